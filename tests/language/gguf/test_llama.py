"""Config and weights of a Llama from a GGUF file, beside transformers' own reading of it and the model it was."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Type
from transformers import AutoModelForCausalLM

from saelib.language.loading import load_language_model
from saelib.run.reading import DamagedFileError
from tests.helpers.gguf_files import llama, write_gguf
from tests.helpers.small_models import random_rows

TOKENS = torch.from_numpy(random_rows(2, 24)).long()
KINDS = [Type.F32, Type.F16, Type.BF16, Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q8_0]
K_QUANTS = [Type.Q2_K, Type.Q3_K, Type.Q4_K, Type.Q5_K, Type.Q6_K]
WIDE = {"hidden_size": 256, "intermediate_size": 256, "vocab_size": 320}


def loaded(path: Path) -> Any:
    return load_language_model(str(path), "cpu")


@pytest.mark.parametrize("kind", [*KINDS, *K_QUANTS], ids=lambda kind: kind.name)
def test_weights_are_those_that_transformers_reads_from_the_file(tmp_path: Path, kind: Type) -> None:
    path = write_gguf(tmp_path / "model.gguf", llama(**WIDE if kind in K_QUANTS else {}), kind)
    wanted = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=path.name, dtype=torch.float32).state_dict()
    found = loaded(path).hugging_face.state_dict()
    assert found.keys() == wanted.keys()
    for name, weight in wanted.items():
        assert torch.equal(found[name], weight), name


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"tie_word_embeddings": False},
        {"num_key_value_heads": 4},
        {"num_key_value_heads": 1},
        {"attention_bias": True, "mlp_bias": True},
        {"head_dim": 16},
        {"rope_parameters": {"rope_type": "default", "rope_theta": 500_000.0}, "rms_norm_eps": 1e-5},
    ],
)
def test_a_model_comes_back_as_it_was(tmp_path: Path, settings: dict[str, Any]) -> None:
    model = llama(**settings)
    found = loaded(write_gguf(tmp_path / "model.gguf", model))
    assert torch.equal(found.hugging_face(TOKENS).logits, model(TOKENS).logits)
    assert found.hugging_face.config.tie_word_embeddings == settings.get("tie_word_embeddings", True)


def test_the_bare_pass_equals_the_bridge(tmp_path: Path) -> None:
    model = loaded(write_gguf(tmp_path / "model.gguf"))
    assert torch.allclose(model.bridge(TOKENS), model.logits(TOKENS), atol=1e-4)
    assert not model.is_centred


def test_linear_scaling_of_positions_is_kept(tmp_path: Path) -> None:
    model = llama(rope_parameters={"rope_type": "linear", "factor": 4.0, "rope_theta": 10_000.0})
    scaling: dict[str, Any] = {"llama__rope__scaling__type": "linear", "llama__rope__scaling__factor": 4.0}
    other: dict[str, Any] = {"llama__rope__scale_linear": 4.0}  # as old files say it
    for number, said in enumerate([scaling, other]):
        found = loaded(write_gguf(tmp_path / f"{number}.gguf", model, **said))
        assert torch.equal(found.hugging_face(TOKENS).logits, model(TOKENS).logits)
    plain = loaded(write_gguf(tmp_path / "none.gguf", model, **scaling | {"llama__rope__scaling__type": "none"}))
    assert not torch.allclose(plain.hugging_face(TOKENS).logits, model(TOKENS).logits, atol=1e-3)


def test_the_frequencies_of_llama_3_are_kept(tmp_path: Path) -> None:
    """The file has a table by which frequencies are divided, as llama.cpp's converter computes it."""
    rope = {"rope_type": "llama3", "rope_theta": 100.0, "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 64}  # fmt: skip
    model = llama(rope_parameters=rope)
    table = []
    for place in range(4):
        length = 2 * math.pi * 100 ** (place / 4)
        smooth = (64 / length - 1) / (4 - 1)
        table.append(1 if length < 64 / 4 else 8 if length > 64 else 1 / ((1 - smooth) / 8 + smooth))
    assert len(set(table)) == 4
    found = loaded(write_gguf(tmp_path / "3.gguf", model, tensors={"rope_freqs.weight": np.array(table, np.float32)}))
    assert torch.allclose(found.hugging_face(TOKENS).logits, model(TOKENS).logits, atol=1e-5)
    assert found.logits(TOKENS).shape == (2, 24, 320)


REMEDY = "give the name or the folder of the model that it was made from"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"architecture": "qwen2"}, rf"is of architecture 'qwen2', and GGUF files of 'llama' are read; {REMEDY}"),
        ({"architecture": "gemma3"}, "architecture 'gemma3'"),
        ({"general__type": "adapter"}, "holds no language model but 'adapter'"),
        ({"split__count": 3}, "one of 3 parts; put them together with `llama-gguf-split --merge`"),
        ({"llama__expert_count": 8}, "a mixture of 8 experts"),
        ({"llama__logit_scale": 8.0}, r"a setting that is not known here, llama\.logit_scale=8\.0"),
        ({"llama__rope__scaling__type": "yarn"}, "rotary positions of kind 'yarn'"),
        ({"llama__attention__head_count_kv": 3}, "4 heads cannot share 3 heads"),
        ({"llama__attention__head_count_kv": [2, 2]}, r"head_count_kv is \[2, 2\], not of type int"),
        ({"llama__rope__dimension_count": 4, "llama__attention__key_length": 8}, r"dimension_count is 4, where 8"),
        ({"llama__vocab_size": 321}, r"llama\.vocab_size is 321, where 320"),
        ({"llama__block_count": 0}, r"llama\.block_count is 0, which is no size"),
        ({"llama__block_count": 3}, r"lacks 9 tensors, blk\.2\.attn_norm\.weight among them"),
        ({"llama__block_count": 1}, r"has 9 tensors that a Llama has not, blk\.1\."),
        ({"llama__feed_forward_length": 96}, r"ffn_gate\.weight is \(64, 32\), where \(96, 32\) is wanted"),
        ({"without": ["llama.attention.layer_norm_rms_epsilon"]}, r"lacks llama\.attention\.layer_norm_rms_epsilon"),
        ({"tensors": {"token_embd.weight": None}}, r"lacks the tensor token_embd\.weight"),
        ({"tensors": {"blk.1.ffn_up.weight": None}}, r"lacks 1 tensors, blk\.1\.ffn_up\.weight among them"),
        ({"tensors": {"blk.0.attn_q.bias": np.ones(32, np.float32)}}, r"lacks 7 tensors, blk\.0\.attn_k\.bias"),
        ({"tokenizer__ggml__eot_token_id": 320}, "eot_token_id is 320, of 320 tokens"),
    ],
)
def test_what_is_no_llama_is_refused_by_name(tmp_path: Path, said: dict[str, Any], told: str) -> None:
    path = write_gguf(tmp_path / "model.gguf", **said)
    with pytest.raises(ValueError, match=rf"model\.gguf.*{told}"):
        loaded(path)
    assert not list((tmp_path / "runs" / "cache").glob("gguf*"))


def test_a_reply_ends_with_a_turn_as_with_a_text(tmp_path: Path) -> None:
    model = loaded(write_gguf(tmp_path / "model.gguf", tokenizer__ggml__eot_token_id=5))
    assert model.hugging_face.generation_config.eos_token_id == [0, 5]
    assert model.tokenizer.eos_token_id == 0


def test_damage_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(DamagedFileError):
        loaded(write_gguf(tmp_path / "model.gguf", tensors={"output_norm.weight": None}))
