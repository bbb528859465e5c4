"""What a config means by the version that wrote it, and which are refused by name."""

from typing import Any

import pytest

from saelib.sae.sae_lens import describe, keeps_mean

# As SAELens 3.14 wrote it for the paper's authors (but for its name of the architecture).
THREE: dict[str, Any] = {
    "architecture": "standard", "d_in": 6, "d_sae": 20, "dtype": "torch.float32", "device": "cuda",
    "model_name": "pythia-160m-deduped", "hook_name": "blocks.3.hook_resid_post", "hook_layer": 3,
    "hook_head_index": None, "activation_fn_str": "relu", "activation_fn_kwargs": {}, "apply_b_dec_to_input": False,
    "finetuning_scaling_factor": False, "sae_lens_training_version": "3.14.0", "prepend_bos": True,
    "dataset_path": "NeelNanda/pile-small-tokenized-2b", "dataset_trust_remote_code": True, "context_size": 1024,
    "normalize_activations": "none", "neuronpedia_id": None, "model_from_pretrained_kwargs": {},
}  # fmt: skip
# As SAELens 2 did; what is lacking it did not know yet.
TWO: dict[str, Any] = {
    "d_in": 6, "d_sae": 20, "dtype": "torch.float32", "device": "cpu", "model_name": "gpt2-small",
    "hook_point": "blocks.3.hook_resid_pre", "hook_point_layer": 3, "hook_point_head_index": None,
    "activation_fn": "relu", "normalize_activations": False, "noise_scale": 0.0, "context_size": 128,
}  # fmt: skip
SIX: dict[str, Any] = {
    "architecture": "standard", "d_in": 6, "d_sae": 20, "dtype": "float32", "device": "cpu",
    "apply_b_dec_to_input": True, "normalize_activations": "none", "reshape_activations": "none",
    "metadata": {"sae_lens_version": "6.54.12", "sae_lens_training_version": "6.54.12", "model_name": "pythia-70m",
                 "hook_name": "blocks.3.hook_resid_post", "hook_head_index": None, "prepend_bos": False,
                 "context_size": 64, "model_from_pretrained_kwargs": {"center_writing_weights": False}},
}  # fmt: skip


def without(config: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name not in names}


def hooked(name: str, **changes: Any) -> dict[str, Any]:
    return without(THREE, "hook_layer") | {"hook_name": name} | changes


def test_each_version_is_read_by_its_own_names() -> None:
    three, two, six = map(describe, (THREE, TWO, SIX))
    assert {one.architecture for one in (three, two, six)} == {"standard"}
    assert {(one.d_in, one.d_sae) for one in (three, two, six)} == {(6, 20)}
    assert [one.subtracts_b_dec for one in (three, two, six)] == [False, True, True]
    assert [one.lineage["sae_layer"] for one in (three, two, six)] == [3, 2, 3]
    assert [one.lineage["prepend_bos"] for one in (three, two, six)] == [True, True, False]
    assert three.lineage["dataset_path"] == "NeelNanda/pile-small-tokenized-2b"
    assert two.lineage["hook_name"] == "blocks.3.hook_resid_pre"
    assert (six.lineage["model_name"], six.lineage["context_size"]) == ("pythia-70m", 64)


@pytest.mark.parametrize("name", ["architecture", "activation_fn_str", "normalize_activations", "prepend_bos", "dtype",
                                  "finetuning_scaling_factor", "hook_layer", "model_name"])  # fmt: skip
def test_an_absent_key_is_read_as_sae_lens_does(name: str) -> None:
    described = describe(without(THREE, name))
    assert described[:4] == ("standard", 6, 20, False)
    assert described.lineage["prepend_bos"] is True
    assert describe(without(THREE, "apply_b_dec_to_input")).subtracts_b_dec is True


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activation_fn_str": "topk", "activation_fn_kwargs": {"k": 4}}, "activation_fn_str is 'topk'"),
        ({"activation_fn_str": "tanh-relu"}, "activation_fn_str is 'tanh-relu'; only SAEs with .*'relu'"),
        ({"normalize_activations": "expected_average_only_in"}, "normalize_activations is 'expected_average_only_in'"),
        ({"normalize_activations": "constant_norm_rescale"}, "normalize_activations is 'constant_norm_rescale'"),
        ({"normalize_activations": "layer_norm"}, "normalize_activations is 'layer_norm'"),
        ({"normalize_activations": True}, "normalize_activations is True"),
        ({"reshape_activations": "hook_z"}, "reshape_activations is 'hook_z'"),
        ({"hook_head_index": 0}, "hook_head_index is 0"),
        ({"hook_name_out": "blocks.3.hook_mlp_out"}, "hook_name_out is 'blocks.3.hook_mlp_out'"),
        ({"apply_b_dec_to_input": "false"}, "apply_b_dec_to_input is 'false'"),
        ({"apply_b_dec_to_input": None}, "apply_b_dec_to_input is None, neither true nor false"),
        ({"hook_name": "blocks.\N{ARABIC-INDIC DIGIT THREE}.hook_resid_post"}, "only SAEs of residual streams"),
        ({"d_in": None}, "d_in is None"),
        ({"d_sae": 20.0}, "d_sae is 20.0"),
        ({"d_sae": True}, "d_sae is True"),
        ({"hook_layer": 4}, "hook_layer is 4"),
        ({"metadata": {"hook_name": "blocks.5.hook_resid_post"}}, "hook_name is 'blocks.5.hook_resid_post', and"),
        ({"metadata": []}, "its metadata"),
    ],
)
def test_what_would_be_computed_differently_is_refused_by_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        describe(THREE | changes)


@pytest.mark.parametrize("activation", ["topk", "tanh-relu"])
def test_the_activation_function_has_two_names(activation: str) -> None:
    for config in (without(THREE, "activation_fn_str"), TWO, SIX):
        with pytest.raises(ValueError, match=f"activation_fn_str is '{activation}'"):
            describe(config | {"activation_fn": activation})


@pytest.mark.parametrize("config", [None, [], "standard", 3])
def test_what_is_no_object_is_no_config(config: object) -> None:
    with pytest.raises(ValueError, match="not the config of an SAE"):
        describe(config)


@pytest.mark.parametrize(
    ("hook", "layer"),
    [
        ("blocks.0.hook_resid_post", 0),
        ("blocks.11.hook_resid_post", 11),
        ("blocks.1.hook_resid_pre", 0),  # before a layer is after the one before
        ("blocks.11.hook_resid_pre", 10),
        ("blocks.2.hook_out", 2),
        ("blocks.2.hook_in", 1),
        ("transformer.h.3", 3),
        ("gpt_neox.layers.3", 3),
        ("model.layers.0", 0),
    ],
)
def test_a_hook_is_a_layer_s_residual_stream(hook: str, layer: int) -> None:
    assert describe(hooked(hook)).lineage["sae_layer"] == layer


@pytest.mark.parametrize(
    "hook",
    ["blocks.3.hook_mlp_out", "blocks.3.hook_attn_out", "blocks.3.hook_resid_mid", "blocks.3.attn.hook_z", "hook_embed",
     "blocks.3.ln2.hook_normalized", "blocks.3.mlp.hook_post", "transformer.h.3.mlp", "model.layers.3.self_attn",
     "blocks.hook_resid_post", "blocks.-1.hook_resid_post", "blocks.{layer}.hook_resid_post",
     "blocks.0.hook_resid_pre", "vision_tower.encoder.layers.3", ""],
)  # fmt: skip
def test_another_kind_of_hook_is_refused(hook: str) -> None:
    with pytest.raises(ValueError, match=f"hook_name is '{hook}'".replace("{", r"\{").replace(".", r"\.")):
        describe(hooked(hook))


def test_a_config_without_a_hook_says_nothing_of_a_layer() -> None:
    assert describe(without(THREE, "hook_name", "hook_layer")).lineage == {}


def test_whether_the_stream_had_its_mean() -> None:
    """SAELens 3 centres as the paper did; SAELens 6 and modules of transformers do not."""
    assert not keeps_mean(describe(THREE).lineage)
    assert keeps_mean(describe(SIX).lineage)
    assert keeps_mean(describe(hooked("transformer.h.3")).lineage)
    assert not keeps_mean({})
