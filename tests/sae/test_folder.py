"""An SAE's folder keeps every bit, and what would be computed differently is refused."""

import json

import pytest
import torch

from saelib.sae.autoencoder import SparseAutoencoder
from saelib.sae.folder import load_sae, save_sae
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
    from safetensors.torch import load_file, save_file

    save_file(
        load_file(folder / "sae_weights.safetensors") | {"threshold": threshold}, folder / "sae_weights.safetensors"
    )
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
    with pytest.raises(ValueError, match="layer_norm"):
        load_sae(tmp_path / "b")
    edit_config(tmp_path / "b", normalize_activations="none", d_sae=21)
    with pytest.raises(ValueError, match=r"do not fit cfg\.json"):
        load_sae(tmp_path / "b")
    with pytest.raises(FileNotFoundError, match=r"cfg\.json is missing"):
        load_sae(tmp_path / "nowhere")


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
    (tmp_path / "a" / "lineage.json").unlink()
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
