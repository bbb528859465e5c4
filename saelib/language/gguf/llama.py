"""A model of Llama's kind in a GGUF file: its config and its weights, as transformers has them.

In: a `GgufFile`. Out: the content of a config.json; float32 weights one after the other, by transformers' names. What
the file says and this module does not know is refused, as it may change every number. Names and layout follow
llama.cpp's convert_hf_to_gguf.py (class LlamaModel), which permutes the rows of the query and key matrices.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float32

from saelib.language.gguf.reading import DOWNLOAD, ORIGINAL, GgufFile
from saelib.run.reading import DamagedFileError

ARCHITECTURE = "llama"
NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
FREQUENCIES = "rope_freqs.weight"  # by what each frequency of the rotary position embedding is divided (Llama 3.1)
UNTIED = "output.weight"  # absent where embedding and unembedding are one matrix
_KNOWN = {"block_count", "context_length", "embedding_length", "feed_forward_length", "vocab_size",
          "attention.head_count", "attention.head_count_kv", "attention.key_length", "attention.value_length",
          "attention.layer_norm_rms_epsilon", "rope.dimension_count", "rope.freq_base", "rope.scale_linear",
          "rope.scaling.type", "rope.scaling.factor", "rope.scaling.original_context_length",
          "rope.scaling.finetuned", "expert_count", "expert_used_count",
          "tensor_data_layout"}  # fmt: skip
_ENDS = ("eos", "eot", "eom")  # tokens that end a reply: of text, turn and message


def check_architecture(file: GgufFile) -> None:
    """Refuse what is no whole model of Llama's kind.

    Raises:
        ValueError: another architecture, an adapter, experts, a part of a file, or a setting that is not known here.
    """
    if (kind := file.get("general.type", str, "model")) != "model":
        raise ValueError(f"{file.path} holds no language model but {kind!r}; give the model's own file")
    if (name := file.get("general.architecture", str)) != ARCHITECTURE:
        raise ValueError(
            f"{file.path} is of architecture {name!r}, and GGUF files of {ARCHITECTURE!r} are read; {ORIGINAL}"
        )
    if (parts := file.get("split.count", int, 1)) > 1:
        raise ValueError(f"{file.path} is one of {parts} parts; put them together with `llama-gguf-split --merge`")
    if experts := file.settings.get(f"{ARCHITECTURE}.expert_count"):
        raise ValueError(
            f"{file.path} is a mixture of {experts} experts, which is not read from GGUF files; {ORIGINAL}"
        )
    own = {key.removeprefix(f"{ARCHITECTURE}.") for key in file.settings if key.startswith(f"{ARCHITECTURE}.")}
    if unknown := sorted(own - _KNOWN):
        key = f"{ARCHITECTURE}.{unknown[0]}"
        raise ValueError(
            f"{file.path} has a setting that is not known here, {key}={file.settings[key]!r:.60}; {ORIGINAL}"
        )


def llama_config(file: GgufFile) -> dict[str, Any]:
    """The content of config.json.

    Raises:
        DamagedFileError: a setting is missing, or contradicts another one or the tensors.
        ValueError: the file asks for rotary positions that are not known here.
    """
    heads, width = _size(file, "attention.head_count"), _size(file, "embedding_length")
    keys = _size(file, "attention.head_count_kv", heads)
    head = _size(file, "attention.key_length", _size(file, "rope.dimension_count", width // heads))
    if "token_embd.weight" not in file.tensors:
        raise DamagedFileError(f"{file.path} lacks the tensor token_embd.weight; {DOWNLOAD}")
    vocabulary = file.shape("token_embd.weight")[0]
    wanted = {"attention.value_length": head, "rope.dimension_count": head, "vocab_size": vocabulary}
    for key, size in wanted.items():
        if (found := _size(file, key, size)) != size:
            raise DamagedFileError(f"{file.path}: {ARCHITECTURE}.{key} is {found}, where {size} is wanted; {DOWNLOAD}")
    if heads % keys:
        raise DamagedFileError(f"{file.path}: {heads} heads cannot share {keys} heads of keys and values; {DOWNLOAD}")
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "float32",
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": _size(file, "feed_forward_length"),
        "num_hidden_layers": _size(file, "block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": keys,
        "head_dim": head,
        "hidden_act": "silu",
        "max_position_embeddings": _size(file, "context_length"),
        "rms_norm_eps": _decimal(file, "attention.layer_norm_rms_epsilon"),
        "rope_parameters": _rope(file),
        "attention_bias": "blk.0.attn_q.bias" in file.tensors,
        "mlp_bias": "blk.0.ffn_up.bias" in file.tensors,
        "tie_word_embeddings": UNTIED not in file.tensors,
        **token_ids(file, vocabulary),
    }


def token_ids(file: GgufFile, vocabulary: int) -> dict[str, Any]:
    """Ids of BOS, padding and EOS by transformers' names; several of EOS where a turn ends otherwise than a text.

    Raises:
        DamagedFileError: one of them is beyond the vocabulary.
    """
    named = {kind: f"tokenizer.ggml.{kind}_token_id" for kind in ("bos", "padding", *_ENDS)}
    found = {kind: file.get(key, int) for kind, key in named.items() if key in file.settings}
    if beyond := [kind for kind, token in found.items() if not 0 <= token < vocabulary]:
        raise DamagedFileError(
            f"{file.path}: {named[beyond[0]]} is {found[beyond[0]]}, of {vocabulary} tokens; {DOWNLOAD}"
        )
    ends = list(dict.fromkeys(found[kind] for kind in _ENDS if kind in found))
    eos = ends if len(ends) > 1 else next(iter(ends), None)
    return {"bos_token_id": found.get("bos"), "pad_token_id": found.get("padding"), "eos_token_id": eos}


def _size(file: GgufFile, key: str, default: int | None = None) -> int:
    key = f"{ARCHITECTURE}.{key}"
    size = file.get(key, int) if default is None else file.get(key, int, default)
    if size < 1:
        raise DamagedFileError(f"{file.path}: {key} is {size}, which is no size; {DOWNLOAD}")
    return size


def _decimal(file: GgufFile, key: str, default: float | None = None) -> float:
    """A float32 as the decimal number that was meant: 1e-05, not 9.999999747378752e-06."""
    key = f"{ARCHITECTURE}.{key}"
    return float(str(np.float32(file.get(key, float) if default is None else file.get(key, float, default))))


def _rope(file: GgufFile) -> dict[str, Any]:
    """Rotary positions, as llama.cpp reads them: a factor without a kind is linear.

    A table of divisors is what transformers calls "longrope", whose tables for short and long rows are then the same.
    """
    theta = {"rope_theta": _decimal(file, "rope.freq_base", 10_000.0)}
    kind = file.get(f"{ARCHITECTURE}.rope.scaling.type", str, "linear")
    factor = _decimal(file, "rope.scaling.factor", 0.0) or _decimal(file, "rope.scale_linear", 0.0) or 1.0
    if kind not in ("none", "linear"):
        raise ValueError(f"{file.path} has rotary positions of kind {kind!r}, which are not read from GGUF files; "
                         f"{ORIGINAL}")  # fmt: skip
    factor = 1.0 if kind == "none" else factor
    if FREQUENCIES in file.tensors:
        divisors = (file.numbers(FREQUENCIES) * np.float32(factor)).tolist()
        longest = _size(file, "context_length")
        return theta | {"rope_type": "longrope", "short_factor": divisors, "long_factor": divisors,
                        "attention_factor": 1.0, "original_max_position_embeddings": longest}  # fmt: skip
    return theta | ({"rope_type": "default"} if factor == 1.0 else {"rope_type": "linear", "factor": factor})


def llama_weights(file: GgufFile, config: Mapping[str, Any]) -> Iterator[tuple[str, Float32[np.ndarray, "..."]]]:
    """Every weight by transformers' name, in float32.

    Raises:
        DamagedFileError: a tensor is missing, of another shape than the config says, or holds a number that is none.
        ValueError: there are tensors that a Llama has not, or one of a type that cannot be dequantised.
    """
    shapes = _shapes(config)
    _check_tensors(file, shapes)
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    for name in shapes:
        *layer, part, ending = name.split(".")
        values = file.numbers(name)
        if part.endswith("norm") and not values.any():  # of a download that was cut off, the rest may be zeros
            raise DamagedFileError(f"{file.path}: all numbers of tensor {name} are 0; {DOWNLOAD}")
        if part in heads:
            values = _unpermuted(values, heads[part])
        place = f"model.layers.{layer[1]}." if layer else ""
        yield f"{place}{NAMES[part]}.{ending}", np.ascontiguousarray(values)


def _unpermuted(rows: Float32[np.ndarray, "rows ..."], heads: int) -> Float32[np.ndarray, "rows ..."]:
    """Rows in transformers' order: of each head, those of the first half of the rotation, then those of the second.

    llama.cpp has the two rows of each plane of rotation side by side.
    """
    return rows.reshape(heads, -1, 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def _shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Of every tensor by its name in the file."""
    width, wide, head = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    query, key = config["num_attention_heads"] * head, config["num_key_value_heads"] * head
    attention = {"attn_q": (query, width), "attn_k": (key, width), "attn_v": (key, width),
                 "attn_output": (width, query)}  # fmt: skip
    mlp = {"ffn_gate": (wide, width), "ffn_up": (wide, width), "ffn_down": (width, wide)}
    layer: dict[str, tuple[int, ...]] = {"attn_norm.weight": (width,), "ffn_norm.weight": (width,)}
    for parts, biased in ((attention, config["attention_bias"]), (mlp, config["mlp_bias"])):
        layer |= {f"{part}.weight": shape for part, shape in parts.items()}
        layer |= {f"{part}.bias": shape[:1] for part, shape in parts.items() if biased}
    whole: dict[str, tuple[int, ...]] = {"token_embd.weight": (config["vocab_size"], width)}
    for place in range(config["num_hidden_layers"]):
        whole |= {f"blk.{place}.{name}": shape for name, shape in layer.items()}
    whole["output_norm.weight"] = (width,)
    return whole if config["tie_word_embeddings"] else whole | {UNTIED: whole["token_embd.weight"]}


def _check_tensors(file: GgufFile, shapes: Mapping[str, tuple[int, ...]]) -> None:
    missing = [name for name in shapes if name not in file.tensors]
    others = [name for name in file.tensors if name not in shapes and name != FREQUENCIES]
    if missing:
        raise DamagedFileError(f"{file.path} lacks {len(missing)} tensors, {missing[0]} among them; {DOWNLOAD}")
    if others:
        raise ValueError(f"{file.path} has {len(others)} tensors that a Llama has not, {others[0]} among them")
    for name, shape in shapes.items():
        if file.shape(name) != shape:
            raise DamagedFileError(f"{file.path}: {name} is {file.shape(name)}, where {shape} is wanted; {DOWNLOAD}")
