"""Tokenizers that put a special token first, for tests: one of Llama 3's kind, one of sentencepiece's."""

from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from saelib.language.model import LanguageModel
from tests.helpers.made_items import VOCABULARY, letter_tokenizer

BOS, END_OF_TURN = "<|begin|>", "<|turn_end|>"
FRAMED_VOCABULARY = VOCABULARY + 2
ADMITTED = " ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.,:;!?\"'()<>|/[]_-\n"


def framed_tokenizer() -> PreTrainedTokenizerFast:
    """The letter tokenizer, which now writes `BOS` before every text that it encodes with special tokens."""
    tokenizer = letter_tokenizer()
    tokenizer.add_special_tokens({"bos_token": BOS, "additional_special_tokens": [END_OF_TURN]})
    framed(tokenizer, BOS)
    assert len(tokenizer) == FRAMED_VOCABULARY
    return tokenizer


def framed(tokenizer: PreTrainedTokenizerFast, token: str) -> None:
    """Have a tokenizer write a token first."""
    place = tokenizer.convert_tokens_to_ids(token)
    tokenizer._tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{token} $A", pair=f"{token} $A {token} $B", special_tokens=[(token, place)]
    )


def sentencepiece_tokenizer() -> PreTrainedTokenizerFast:
    """Llama 2's kind: a blank before a word is "▁" within its token, put before the first word of a text too."""
    pieces = ["<unk>", "<s>", "</s>", "▁", *(sign for sign in ADMITTED if sign != " "), "▁A", "▁B", "▁the"]
    tokenizer = Tokenizer(models.Unigram([(piece, -float(len(pieces) > 4)) for piece in pieces], unk_id=0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first")
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="first")
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in ("<unk>", "<s>", "</s>")])
    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>")
    framed(made, "<s>")
    return made


def random_model(
    tokenizer: PreTrainedTokenizerFast, architecture: str = "llama", context: int = 1024, **sizes: object
) -> LanguageModel:
    """A random model whose replies depend on what it reads."""
    usual = {"vocab_size": len(tokenizer), "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    if architecture in ("llama", "mistral", "qwen2"):
        usual |= {"num_key_value_heads": 2, "intermediate_size": 48, "max_position_embeddings": context}
    config = AutoConfig.for_model(architecture, **(usual | {"eos_token_id": tokenizer.eos_token_id} | sizes))
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval()
    for weight in model.parameters():
        if weight.ndim == 2:
            torch.nn.init.normal_(weight, std=0.3)
    return LanguageModel(architecture, "", model, tokenizer)


def save(model: LanguageModel, folder: Path) -> Path:
    """Where `load_language_model` reads it."""
    model.hugging_face.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return folder
