"""Heads against logits written out in float64, and a model's head against its own logits."""

from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    GraniteConfig,
    GraniteForCausalLM,
    PhiConfig,
    PhiForCausalLM,
)

from saelib.language import head as heads
from saelib.language.head import Head, LinearHead, LogitsHead, tile_tokens
from saelib.language.loading import load_language_model
from saelib.language.model import LanguageModel
from tests.helpers.small_models import ARCHITECTURES, SIZES, close, small_tokenizer, with_random_weights

TOKENS, D_MODEL, VOCABULARY = 11, 6, 40


def weight() -> torch.Tensor:
    return torch.randn(VOCABULARY, D_MODEL, generator=torch.Generator().manual_seed(0))


def inputs(size: float = 1.0) -> torch.Tensor:
    return size * torch.randn(TOKENS, D_MODEL, generator=torch.Generator().manual_seed(1))


def both(size: float = 1.0) -> list[tuple[Head, torch.Tensor]]:
    """Either head with what it reads for the same logits."""
    return [(LinearHead(weight()), inputs(size)), (LogitsHead(), inputs(size) @ weight().T)]


@pytest.mark.parametrize("tile", [1, 4, TOKENS, 100])
@pytest.mark.parametrize("size", [1.0, 100.0])
def test_what_a_head_gives_equals_the_logits_written_out(
    monkeypatch: pytest.MonkeyPatch, tile: int, size: float
) -> None:
    """At size 100 logits are in the hundreds, where an exponential alone would overflow."""
    monkeypatch.setattr(heads, "CPU_TILE", tile)
    logits = inputs(size).double() @ weight().double().T
    ids = torch.arange(TOKENS) * 3 % VOCABULARY
    probabilities = torch.randn(TOKENS, VOCABULARY, generator=torch.Generator().manual_seed(2)).softmax(-1)
    for head, read in both(size):
        assert close(head.logits(read).double(), logits)
        assert close(head.log_normalisers(read).double(), logits.logsumexp(-1))
        assert close(head.logits_of(read, ids).double(), logits[range(TOKENS), ids])
        expected = (read * head.mixtures(probabilities)).sum(-1)
        assert close(expected.double(), (logits * probabilities.double()).sum(-1))


def test_the_weights_are_left_as_they_are() -> None:
    kept = weight()
    head, read = LinearHead(kept), inputs()
    head.log_normalisers(read)
    assert torch.equal(kept, weight()) and torch.equal(read, inputs())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_models_head_gives_its_logits_but_for_one_number_at_each_position(
    models: dict[str, LanguageModel], tokens: torch.Tensor, architecture: str
) -> None:
    model = models[architecture]
    last = model.n_layers - 1
    read = model.head_inputs_from(model.residual_streams(tokens, [last])[0], last, tokens).flatten(0, 1)
    logits = model.head.logits(read)
    assert close(logits - logits.mean(-1, keepdim=True), model.logits(tokens).flatten(0, 1))


OTHER_HEADS = {
    "bias": lambda: PhiForCausalLM(PhiConfig(**SIZES)),
    "soft cap, tied embeddings": lambda: Gemma2ForCausalLM(
        Gemma2Config(**SIZES, num_key_value_heads=2, head_dim=8, query_pre_attn_scalar=8, final_logit_softcapping=3.0)
    ),
    "scale": lambda: GraniteForCausalLM(GraniteConfig(**SIZES, num_key_value_heads=2, logits_scaling=4.0)),
    "one matrix, tied embeddings": lambda: GPTNeoXForCausalLM(GPTNeoXConfig(**SIZES, tie_word_embeddings=True)),
}


@pytest.mark.parametrize("name", OTHER_HEADS)
def test_losses_of_other_heads_are_those_of_transformers(name: str, tokens: torch.Tensor, tmp_path: Path) -> None:
    plain = with_random_weights(OTHER_HEADS[name]())
    plain.save_pretrained(tmp_path)
    small_tokenizer().save_pretrained(tmp_path)
    model = load_language_model(str(tmp_path), "cpu")
    assert isinstance(model.head, LinearHead) is name.startswith("one matrix")
    last, targets = model.n_layers - 1, tokens[:, 1:].flatten()
    read = model.head_inputs_from(model.residual_streams(tokens, [last])[0], last, tokens)[:, :-1].flatten(0, 1)
    with torch.no_grad():
        expected = nn.functional.cross_entropy(plain(tokens).logits[:, :-1].flatten(0, 1), targets, reduction="none")
    torch.testing.assert_close(
        model.head.log_normalisers(read) - model.head.logits_of(read, targets), expected, rtol=1e-4, atol=1e-4
    )


def test_only_a_head_that_is_one_matrix_is_taken_for_one(models: dict[str, LanguageModel]) -> None:
    linear = {name for name, model in models.items() if isinstance(model.head, LinearHead)}
    assert linear == set(ARCHITECTURES)
    assert {name for name, model in models.items() if model.thread_safe} == linear - {"olmo2"}


def test_a_device_takes_larger_tiles() -> None:
    assert tile_tokens(torch.device("cuda")) > tile_tokens(torch.device("cpu"))
