"""An SAE's folder keeps every bit, and what would be computed differently is refused."""

import json
import shutil

import pytest
import torch

from saelib.run.manifest import MANIFEST
from saelib.run.reading import DamagedFileError
from saelib.sae.autoencoder import SparseAutoencoder
from saelib.sae.folder import folder_sha256, load_sae, sae_sha256, save_sae
from tests.helpers.small_saes import small_sae


def test_folder_keeps_every_bit(tmp_path):
    sae = small_sae()
    save_sae(sae, tmp_path / "a", metadata={"hook_name": "blocks.3.hook_resid_post"}, lineage={"tokens": 5})
    again = load_sae(str(tmp_path / "a"))
    for name, parameter in sae.named_parameters():
        assert torch.equal(parameter, again.get_parameter(name))
    config = json.loads((tmp_path / "a" / "cfg.json").read_text())
    assert config["metadata"]["hook_name"] == "blocks.3.hook_resid_post"
    assert json.loads((tmp_path / "a" / "lineage.json").read_text()) == {"tokens": 5}


def edit_config(folder, **changes):
    """As whoever edits a folder of his own."""
    (folder / MANIFEST).unlink(missing_ok=True)
    config = json.loads((folder / "cfg.json").read_text()) | changes
    (folder / "cfg.json").write_text(json.dumps({key: value for key, value in config.items() if value != "absent"}))


@pytest.mark.parametrize("setting", [True, "absent"])
def test_a_subtracted_decoder_bias_is_folded_away(tmp_path, setting):
    sae, x = small_sae(), torch.randn(10, 6)
    expected = sae.decode(sae.encode(x - sae.b_dec))
    save_sae(sae, tmp_path / "a")
    edit_config(tmp_path / "a", apply_b_dec_to_input=setting)  # absent means true in SAELens
    torch.testing.assert_close(load_sae(tmp_path / "a")(x), expected)


def add_threshold(folder, threshold):
    write_tensors(folder, tensors_of(folder) | {"threshold": threshold})
    edit_config(folder, architecture="jumprelu")


def test_the_authors_jumprelu_without_thresholds_is_a_relu(tmp_path):
    sae, x = small_sae(), torch.randn(10, 6)
    save_sae(sae, tmp_path / "a")
    add_threshold(tmp_path / "a", torch.zeros(20))
    torch.testing.assert_close(load_sae(tmp_path / "a")(x), sae(x))


def test_what_would_be_computed_differently_is_refused(tmp_path):
    save_sae(small_sae(), tmp_path / "a")
    add_threshold(tmp_path / "a", torch.ones(20))
    with pytest.raises(ValueError, match="jumprelu"):
        load_sae(tmp_path / "a")
    save_sae(small_sae(), tmp_path / "b")
    edit_config(tmp_path / "b", normalize_activations="layer_norm")
    with pytest.raises(ValueError, match=r"b/cfg\.json: normalize_activations is 'layer_norm'"):
        load_sae(tmp_path / "b")
    edit_config(tmp_path / "b", normalize_activations="none", d_sae=21)
    with pytest.raises(ValueError, match=r"do not fit cfg\.json"):
        load_sae(tmp_path / "b")
    with pytest.raises(FileNotFoundError, match=r"cfg\.json is missing"):
        load_sae(tmp_path / "nowhere")


@pytest.mark.parametrize("shape", [(0,), (3, 3), (), (19,), (20, 1)])
@pytest.mark.parametrize("name", ["threshold", "scaling_factor", "finetuning_scaling_factor"])
def test_what_changes_nothing_has_a_value_for_each_feature(tmp_path, name, shape):
    """As SAELens has it; one of another shape is somebody's mistake, and no proof that nothing changes."""
    save_sae(small_sae(), tmp_path / "a")
    edit_config(tmp_path / "a", architecture="jumprelu" if name == "threshold" else "standard")
    write_tensors(tmp_path / "a", tensors_of(tmp_path / "a") | {name: (name != "threshold") * torch.ones(shape)})
    with pytest.raises(ValueError, match=rf"sae_weights\.safetensors: .*{name}"):
        load_sae(tmp_path / "a")


def test_thresholds_of_a_relu_are_no_thresholds(tmp_path):
    """One below 0 has nothing to let through; a single one above 0 is another function."""
    sae, x = small_sae(), torch.randn(10, 6)
    save_sae(sae, tmp_path / "a")
    add_threshold(tmp_path / "a", -torch.rand(20))
    assert torch.equal(load_sae(tmp_path / "a")(x), sae(x).detach())
    one = torch.zeros(20)
    one[7] = 0.25
    add_threshold(tmp_path / "a", one)
    with pytest.raises(ValueError, match=r"sae_weights\.safetensors: .* thresholds up to 0\.25"):
        load_sae(tmp_path / "a")


@pytest.mark.parametrize("name", ["topk", "gated", "batchtopk", "matryoshka_batchtopk", "transcoder", "skip_transcoder",
                                  "temporal", "jumprelu"])  # fmt: skip
def test_another_architecture_is_refused_by_name(tmp_path, name):
    save_sae(small_sae(), tmp_path / "a")
    edit_config(tmp_path / "a", architecture=name)
    with pytest.raises(ValueError, match=f"cfg.json: architecture '{name}' is not one of"):
        load_sae(tmp_path / "a")


def tensors_of(folder):
    from safetensors.torch import load_file

    return load_file(folder / "sae_weights.safetensors")


def write_tensors(folder, tensors):
    from safetensors.torch import save_file

    (folder / MANIFEST).unlink(missing_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "sae_weights.safetensors")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("subtracted", [True, False])
def test_weights_of_other_precision_are_read_in_float32(tmp_path, dtype, subtracted):
    """Against the equations of SAELens in float64, on the weights as they are stored."""
    save_sae(small_sae(), tmp_path / "a")
    edit_config(tmp_path / "a", dtype=str(dtype), apply_b_dec_to_input=subtracted)
    stored = {name: tensor.to(dtype) for name, tensor in tensors_of(tmp_path / "a").items()}
    write_tensors(tmp_path / "a", stored)
    sae, x = load_sae(tmp_path / "a"), torch.randn(10, 6)
    assert {parameter.dtype for parameter in sae.parameters()} == {torch.float32}
    exact = {name: tensor.double() for name, tensor in stored.items()}
    inputs = x.double() - exact["b_dec"] * subtracted
    features = torch.relu(inputs @ exact["W_enc"] + exact["b_enc"])
    torch.testing.assert_close(sae.encode(x).double(), features, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(sae(x).double(), features @ exact["W_dec"] + exact["b_dec"], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["scaling_factor", "finetuning_scaling_factor"])
def test_scales_of_one_change_nothing_and_others_are_refused(tmp_path, name):
    sae, x = small_sae(), torch.randn(10, 6)
    save_sae(sae, tmp_path / "a")
    write_tensors(tmp_path / "a", tensors_of(tmp_path / "a") | {name: torch.ones(20)})
    assert torch.equal(load_sae(tmp_path / "a")(x), sae(x).detach())
    write_tensors(tmp_path / "a", tensors_of(tmp_path / "a") | {name: torch.full((20,), 1.5)})
    with pytest.raises(ValueError, match=rf"has beside its own \['{name}'\]"):
        load_sae(tmp_path / "a")


def one_bad_value(value):
    def change(tensors):
        tensors["W_dec"][3, 2] = value
        return tensors

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (one_bad_value(float("nan")), "W_dec has 1 values that are not finite"),
        (one_bad_value(float("-inf")), "W_dec has 1 values that are not finite"),
        (lambda tensors: tensors | {"W_enc": tensors["W_enc"].double() * 1e300}, "W_enc has 120 values"),
        (lambda tensors: tensors | {"b_enc": tensors["b_enc"].int()}, r"b_enc is of torch\.int32"),
        (lambda tensors: tensors | {"b_enc": tensors["b_enc"].to(torch.float8_e4m3fn)}, "b_enc is of torch.float8"),
        (lambda tensors: tensors | {"W_enc": tensors["W_enc"].T}, r"W_enc has the shape \[20, 6\], \[6, 20\] is right"),
        (lambda tensors: tensors | {"W_dec": tensors["W_dec"].T}, r"W_dec has the shape \[6, 20\], \[20, 6\] is right"),
        (lambda tensors: tensors | {"b_dec": tensors["b_dec"][:1]}, r"b_dec has the shape \[1\], \[6\] is right"),
        (lambda tensors: tensors | {"error": torch.zeros(6)}, r"has beside its own \['error'\]"),
        (lambda tensors: tensors | {"threshold": torch.zeros(20)}, r"has beside its own \['threshold'\]"),
        (lambda tensors: {"W_enc": tensors["W_enc"]}, r"lacks \['W_dec', 'b_dec', 'b_enc'\]"),
        (lambda _: {}, r"lacks \['W_dec', 'W_enc', 'b_dec', 'b_enc'\]"),
    ],
)
def test_wrong_weights_are_refused_naming_file_and_tensor(tmp_path, change, message):
    save_sae(small_sae(), tmp_path / "a")
    write_tensors(tmp_path / "a", change(tensors_of(tmp_path / "a")))
    with pytest.raises(ValueError, match=rf"a/sae_weights\.safetensors: .*{message}"):
        load_sae(tmp_path / "a")


def test_sizes_are_compared_before_memory_is_taken(tmp_path):
    save_sae(small_sae(), tmp_path / "a")
    edit_config(tmp_path / "a", d_in=10**6, d_sae=10**8)
    with pytest.raises(ValueError, match=r"W_enc has the shape \[6, 20\], \[1000000, 100000000\] is right"):
        load_sae(tmp_path / "a")


@pytest.mark.parametrize("kept", [0, 7, 200, -1])
def test_a_truncated_file_is_refused_by_name(tmp_path, kept):
    save_sae(small_sae(), tmp_path / "a")
    weights = tmp_path / "a" / "sae_weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:kept])
    with pytest.raises(DamagedFileError, match=r"/a: sae_weights\.safetensors is not what manifest\.json says"):
        load_sae(tmp_path / "a")
    (tmp_path / "a" / MANIFEST).unlink()
    with pytest.raises(ValueError, match=r"a/sae_weights\.safetensors is no whole safetensors file"):
        load_sae(tmp_path / "a")


@pytest.mark.parametrize("content", [b"", b"{", b"version https://git-lfs.github.com/spec/v1", b"\xff\xfe{}", b"[]"])
def test_a_config_that_is_none_is_refused_by_name(tmp_path, content):
    save_sae(small_sae(), tmp_path / "a")
    (tmp_path / "a" / "cfg.json").write_bytes(content)
    (tmp_path / "a" / MANIFEST).unlink()
    with pytest.raises(
        ValueError, match=r"a/cfg\.json(: it is not the config| is not valid JSON .*; copy or download)"
    ):
        load_sae(tmp_path / "a")


@pytest.mark.parametrize(
    "name", ["params.npz", "ae.pt", "sae.safetensors"]
)  # Gemma Scope, dictionary_learning, sparsify
def test_files_of_other_layouts_are_named_and_not_opened(tmp_path, name):
    (tmp_path / name).write_bytes(b"whatever")
    with pytest.raises(FileNotFoundError, match=f"{name} cannot be read here"):
        load_sae(tmp_path)


def as_of_somebody_else(folder):
    for name in ("lineage.json", MANIFEST):
        (folder / name).unlink()


def test_what_somebody_else_s_sae_was_trained_on_is_its_lineage(tmp_path):
    metadata = {"model_name": "pythia-70m", "hook_name": "blocks.3.hook_resid_pre", "prepend_bos": True,
                "context_size": 128}  # fmt: skip
    save_sae(small_sae(), tmp_path / "a", metadata)
    as_of_somebody_else(tmp_path / "a")
    sae = load_sae(tmp_path / "a")
    assert sae.lineage == metadata | {"sae_layer": 2}
    assert "sae_layer=2" in repr(sae)


def test_a_hash_of_the_folder_is_of_all_that_is_read(tmp_path):
    sae = small_sae()
    for name in "abc":
        save_sae(sae, tmp_path / name, {"hook_name": "blocks.3.hook_resid_post"}, {"tokens": 5})
    assert folder_sha256(tmp_path / "a") == folder_sha256(tmp_path / "b")
    edit_config(tmp_path / "b", metadata={"hook_name": "blocks.2.hook_resid_post"})
    write_tensors(tmp_path / "c", tensors_of(tmp_path / "c") | {"b_dec": torch.zeros(6)})
    assert len({folder_sha256(tmp_path / name) for name in "abc"}) == 3
    assert sae_sha256(tmp_path / "a") == sae_sha256(tmp_path / "b") != sae_sha256(tmp_path / "c")
    (tmp_path / "a" / "lineage.json").unlink()
    assert folder_sha256(tmp_path / "a") not in map(folder_sha256, [tmp_path / "b", tmp_path / "c"])


@pytest.mark.parametrize("name", ["cfg.json", "sae_weights.safetensors"])
@pytest.mark.parametrize("read", [load_sae, sae_sha256, folder_sha256])
def test_a_missing_file_is_named_with_its_folder_and_the_remedy(tmp_path, read, name):
    save_sae(small_sae(), tmp_path / "a")
    (tmp_path / "a" / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"{tmp_path}/a is not an SAE folder: {name} is missing; copy or"):
        read(tmp_path / "a")


def test_an_sae_is_read_without_gradients_and_knows_its_lineage(tmp_path):
    lineage = {"arm": "forward", "source_layer": 0, "sae_layer": 1, "seed": 0, "tokens": 5}
    save_sae(small_sae(), tmp_path / "a", lineage=lineage)
    sae = load_sae(tmp_path / "a")
    assert not any(parameter.requires_grad for parameter in sae.parameters())
    assert sae(torch.randn(2, 6)).grad_fn is None
    assert sae.lineage == lineage
    assert "arm=forward, source_layer=0, sae_layer=1, seed=0, tokens=5" in repr(sae)
    assert all(parameter.requires_grad for parameter in sae.requires_grad_(True).parameters())


def test_a_folder_of_somebody_else_has_no_lineage(tmp_path):
    save_sae(small_sae(), tmp_path / "a")
    as_of_somebody_else(tmp_path / "a")
    assert load_sae(tmp_path / "a").lineage == {}


def test_every_architecture_has_its_name_in_the_folder(tmp_path, monkeypatch):
    """What a new architecture has to do."""
    from saelib.sae.autoencoder import ARCHITECTURES

    class Doubling(SparseAutoencoder):
        architecture = "doubling"

        def encode(self, x):
            return 2 * super().encode(x)

    sae = Doubling(6, 20)
    sae.load_state_dict(small_sae().state_dict())
    save_sae(sae, tmp_path / "a")
    with pytest.raises(ValueError, match=r"architecture 'doubling' is not one of \['standard'\]"):
        load_sae(tmp_path / "a")
    monkeypatch.setitem(ARCHITECTURES, "doubling", Doubling)
    again, x = load_sae(tmp_path / "a"), torch.randn(4, 6)
    assert type(again) is Doubling
    assert torch.equal(again(x), sae(x).detach())


def flip(path, byte):
    content = bytearray(path.read_bytes())
    content[byte] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["sae_weights.safetensors", "cfg.json", "lineage.json", MANIFEST])
@pytest.mark.parametrize("damage", ["first", "middle", "last", "half zero", "cut", "empty", "no UTF-8", "gone"])
def test_no_byte_of_a_folder_changes_unseen(tmp_path, name, damage):
    folder = tmp_path / "a"
    save_sae(small_sae(), folder, lineage={"tokens": 5})
    path = folder / name
    content, half = path.read_bytes(), path.stat().st_size // 2
    changed = {"half zero": content[:half] + bytes(len(content) - half), "cut": content[:half], "empty": b"",
               "no UTF-8": b"\xff" + content[1:]}  # fmt: skip
    if damage == "gone":
        path.unlink()
    elif damage in changed:
        path.write_bytes(changed[damage])
    else:
        flip(path, {"first": 0, "middle": half, "last": -1}[damage])
    if (damage, name) == ("gone", MANIFEST):  # an SAE of an earlier release
        assert torch.equal(load_sae(folder).W_enc, small_sae().W_enc)
        return
    with pytest.raises((DamagedFileError, FileNotFoundError), match=f"{folder}.*{name}"):
        load_sae(folder)


def test_swapped_weights_are_refused(tmp_path):
    """Whole files both, each in the other's place."""
    for name, seed in (("a", 0), ("b", 1)):
        save_sae(small_sae(seed=seed), tmp_path / name)
    shutil.copy(tmp_path / "a" / "sae_weights.safetensors", tmp_path / "b")
    with pytest.raises(
        DamagedFileError, match=r"/b: sae_weights\.safetensors is not what manifest\.json says; put it b"
    ):
        load_sae(tmp_path / "b")


@pytest.mark.parametrize(("name", "value", "other"), [("arm", "scratch", "forward"), ("sae_layer", 1, 2),
                                                      ("seed", 0, 1), ("tokens", 64, 128)])  # fmt: skip
def test_a_folder_in_the_place_of_another_one_is_refused(tmp_path, name, value, other):
    expected = {"arm": "scratch", "sae_layer": 1, "seed": 0, "tokens": 64}
    save_sae(small_sae(), tmp_path / "a", lineage=expected | {name: other})
    with pytest.raises(DamagedFileError, match=rf"lineage\.json has {name} {other!r}, not {value!r}; put the right"):
        load_sae(tmp_path / "a", expected=expected)
    assert load_sae(tmp_path / "a", expected=expected | {name: other}).lineage[name] == other
    assert load_sae(tmp_path / "a").lineage[name] == other


def test_what_a_lineage_does_not_say_is_not_compared(tmp_path):
    save_sae(small_sae(), tmp_path / "a", lineage={"tokens": 5})
    assert load_sae(tmp_path / "a", expected={"arm": "scratch", "tokens": 5}).lineage == {"tokens": 5}


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b"3",
        b"null",
        b"{",
        b"\xff",
        b'{"tokens": NaN}',
        b'{"tokens": "5"}',
        b'{"seed": true}',
        b'{"sae_layer": [1]}',
    ],
)
def test_a_lineage_that_is_none_is_refused_by_name(tmp_path, content):
    save_sae(small_sae(), tmp_path / "a")
    (tmp_path / "a" / MANIFEST).unlink()
    (tmp_path / "a" / "lineage.json").write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"a/lineage\.json is not .*; move it away"):
        load_sae(tmp_path / "a")
