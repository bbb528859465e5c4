"""A small model with an attention sink, for tests: whatever stands first has a residual vector of enormous length."""

from pathlib import Path

import torch
from transformers import PreTrainedTokenizerFast

from tests.helpers.small_models import small_model, small_tokenizer

OTHER_BOS = "<bos>"


def save_sink_model(folder: Path, tokenizer: PreTrainedTokenizerFast | None = None, height: float = 300.0) -> Path:
    """A random GPT-2, whose learned vector of position 0 is so many times as long as the others."""
    model = small_model("gpt2")
    with torch.no_grad():
        model.transformer.wpe.weight[0] *= height
    model.save_pretrained(folder)
    (tokenizer or small_tokenizer()).save_pretrained(folder)
    return folder


def bare_tokenizer(**special: str | None) -> PreTrainedTokenizerFast:
    """`small_tokenizer`, which names such special tokens beside its end of text, or no BOS token at all."""
    backend = small_tokenizer()._tokenizer
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|endoftext|>", **special)
