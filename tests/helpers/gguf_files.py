"""GGUF files of small random models, written with the package gguf as llama.cpp's convert_hf_to_gguf.py does."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from tests.helpers.small_models import small_tokenizer, with_random_weights

TEMPLATE = "{% for message in messages %}{{ message['content'] + eos_token }}{% endfor %}"
PARTS = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "q_proj": "attn_q", "k_proj": "attn_k",
         "v_proj": "attn_v", "o_proj": "attn_output", "gate_proj": "ffn_gate", "up_proj": "ffn_up",
         "down_proj": "ffn_down", "embed_tokens": "token_embd", "norm": "output_norm",
         "lm_head": "output"}  # fmt: skip


def llama(**settings: Any) -> PreTrainedModel:
    """A random Llama, 2 layers of width 32, 4 heads that share 2 of keys and values."""
    sizes = {"vocab_size": 320, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
             "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
             "tie_word_embeddings": True, "bos_token_id": 0, "eos_token_id": 0}  # fmt: skip
    return with_random_weights(LlamaForCausalLM(LlamaConfig(**(sizes | settings))))


def settings_of(model: PreTrainedModel) -> dict[str, Any]:
    """What a GGUF file says of a model, without its tokenizer."""
    config = model.config
    return {
        "llama.block_count": config.num_hidden_layers,
        "llama.context_length": config.max_position_embeddings,
        "llama.embedding_length": config.hidden_size,
        "llama.feed_forward_length": config.intermediate_size,
        "llama.attention.head_count": config.num_attention_heads,
        "llama.attention.head_count_kv": config.num_key_value_heads,
        "llama.attention.layer_norm_rms_epsilon": config.rms_norm_eps,
        "llama.rope.freq_base": config.rope_parameters["rope_theta"],
        "llama.rope.dimension_count": config.head_dim,
        "llama.vocab_size": config.vocab_size,
    }


def small_vocabulary() -> dict[str, Any]:
    """The tokenizer of `small_tokenizer` as a GGUF file has it."""
    tokenizer = small_tokenizer()
    texts = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__)
    texts += [f"[PAD{place}]" for place in range(len(texts), 320)]
    merges = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": texts,
        "tokenizer.ggml.token_type": [3 if text == "<|endoftext|>" else 1 for text in texts],
        "tokenizer.ggml.merges": [" ".join(pair) for pair in merges],
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 0,
        "tokenizer.chat_template": TEMPLATE,
    }


def tensors_of(model: PreTrainedModel) -> dict[str, np.ndarray]:
    """Weights by their names in a GGUF file, rows of queries and keys permuted."""
    heads = {"attn_q": model.config.num_attention_heads, "attn_k": model.config.num_key_value_heads}
    found = {}
    for name, weight in model.state_dict().items():
        *place, part, ending = name.split(".")
        if part == "lm_head" and model.config.tie_word_embeddings:
            continue
        values, part = weight.numpy(), PARTS[part]
        if part in heads:
            shape = (heads[part], 2, len(values) // heads[part] // 2, *values.shape[1:])
            values = np.ascontiguousarray(values.reshape(shape).swapaxes(1, 2).reshape(values.shape))
        layer = f"blk.{place[2]}." if "layers" in place else ""
        found[f"{layer}{part}.{ending}"] = values
    return found


def write_gguf(
    path: Path,
    model: PreTrainedModel | None = None,
    matrices: Type = Type.F32,
    tensors: Mapping[str, np.ndarray | None] | None = None,
    without: Sequence[str] = (),
    architecture: str = "llama",
    endian: gguf.GGUFEndian = gguf.GGUFEndian.LITTLE,
    **settings: Any,
) -> Path:
    """Write a model as a GGUF file.

    Args:
        matrices: type of their numbers; K-quants get random blocks.
        tensors: that are other than the model's; None for one that is left out.
        without: settings that are left out.
        settings: that are other than the model's, by key with "__" for ".".
    """
    model = llama() if model is None else model
    values = settings_of(model) | small_vocabulary() | {key.replace("__", "."): it for key, it in settings.items()}
    writer = gguf.GGUFWriter(path, architecture, endianess=endian)
    for key, value in values.items():
        if key not in without and value is not None:
            _add(writer, key, value)
    for name, array in (tensors_of(model) | dict(tensors or {})).items():
        if array is not None:
            _add_tensor(writer, name, array, matrices)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, value)


def _add_tensor(writer: gguf.GGUFWriter, name: str, array: np.ndarray, kind: Type) -> None:
    if array.ndim == 1 or kind == Type.F32:
        writer.add_tensor(name, array)
        return
    writer.add_tensor(name, quantized(array, kind), raw_dtype=kind)


def quantized(array: np.ndarray, kind: Type) -> np.ndarray:
    """The array in a type; random blocks of it, scales small, where the package gguf only reads the type."""
    try:
        return gguf.quantize(array, kind)
    except NotImplementedError:
        size, width = gguf.GGML_QUANT_SIZES[kind]
        blocks = np.random.default_rng(0).integers(0, 256, (array.size // size, width), dtype=np.uint8)
        scale = np.frombuffer(np.float16(1e-3).tobytes(), np.uint8)
        for start in SCALES[kind]:
            blocks[:, start : start + 2] = scale
        return blocks.reshape(*array.shape[:-1], -1)


# Bytes at which the float16 scales of a block begin, in ggml's ggml-common.h
SCALES = {Type.Q2_K: (80, 82), Type.Q3_K: (108,), Type.Q4_K: (0, 2), Type.Q5_K: (0, 2), Type.Q6_K: (208,)}
