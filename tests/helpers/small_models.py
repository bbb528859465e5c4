"""Small language models with random weights, as folders and as a hub cache, for tests of every module."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    Olmo2Config,
    Olmo2ForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

VOCABULARY, D_MODEL, LAYERS, CONTEXT = 320, 32, 3, 64
END_OF_TEXT = "<|endoftext|>"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
_SIZES = {"hidden_size": D_MODEL, "num_hidden_layers": LAYERS, "num_attention_heads": 4, "intermediate_size": 64,
          "max_position_embeddings": CONTEXT}  # fmt: skip
_IDS = {"vocab_size": VOCABULARY, "bos_token_id": 0, "eos_token_id": 0}
SIZES = _SIZES | _IDS | {"pad_token_id": 0}
ARCHITECTURES = {
    "gpt_neox": lambda: GPTNeoXForCausalLM(GPTNeoXConfig(**_SIZES, **_IDS)),
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(n_embd=D_MODEL, n_layer=LAYERS, n_head=4, n_positions=CONTEXT, **_IDS)),
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**_SIZES, **_IDS, num_key_value_heads=2)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**_SIZES, **_IDS, num_key_value_heads=2)),
    "olmo2": lambda: Olmo2ForCausalLM(Olmo2Config(**_SIZES, **_IDS, num_key_value_heads=2)),
}


def small_model(architecture: str = "gpt_neox", seed: int = 0) -> PreTrainedModel:
    """A model whose every weight is random, norms and biases included, so that no mistake hides behind 0 or 1."""
    torch.manual_seed(seed)
    return with_random_weights(ARCHITECTURES[architecture]())


def with_random_weights(model: PreTrainedModel) -> PreTrainedModel:
    """The model, in evaluation mode, its weights drawn anew."""
    for name, weight in model.named_parameters():
        is_norm = weight.ndim == 1 and name.endswith("weight")
        torch.nn.init.normal_(weight, mean=1.0 if is_norm else 0.02, std=0.15)
    return model.eval()


def small_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer with an end-of-text token and `VOCABULARY` ids."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=[END_OF_TEXT], initial_alphabet=alphabet, show_progress=False
    )
    words = [first + second for first in "bcdfghklmnprst" for second in ("an", "ed", "ing", "or", "us", "ite")]
    tokenizer.train_from_iterator([" ".join(words)], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END_OF_TEXT, bos_token=END_OF_TEXT)


def save_small_model(folder: Path, architecture: str = "gpt_neox", seed: int = 0) -> Path:
    """Save a random model and its tokenizer where `load_language_model` can read them."""
    small_model(architecture, seed).save_pretrained(folder)
    small_tokenizer().save_pretrained(folder)
    return folder


def random_rows(rows: int, context: int = CONTEXT, seed: int = 0) -> np.ndarray:
    """Rows of random token ids."""
    return np.random.default_rng(seed).integers(0, VOCABULARY, (rows, context), dtype=np.int32)


def close(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Equal up to float32 rounding, measured against the size of the values."""
    return torch.allclose(first, second, rtol=0, atol=2e-6 * float(second.abs().max()))


def cache_hub_model(hub: Path, name: str, architecture: str = "gpt_neox") -> Path:
    """Put a random model into a hub cache as if it had been downloaded; returns its snapshot folder."""
    return save_small_model(_snapshot(hub, f"models--{name.replace('/', '--')}"), architecture)


def cache_hub_rows(hub: Path, name: str, files: dict[str, np.ndarray], row_group: int = 4) -> Path:
    """Put parquet files of token rows into a hub cache as if they had been downloaded; returns the snapshot folder."""
    snapshot = _snapshot(hub, f"datasets--{name.replace('/', '--')}")
    for file, rows in files.items():
        (snapshot / file).parent.mkdir(parents=True, exist_ok=True)
        table = pa.table({"tokens": pa.array(list(rows), pa.list_(pa.int32()))})
        parquet.write_table(table, snapshot / file, row_group_size=row_group)
    return snapshot


def _snapshot(hub: Path, repository: str) -> Path:
    snapshot = hub / repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (hub / repository / "refs").mkdir()
    (hub / repository / "refs" / "main").write_text(COMMIT)
    return snapshot
