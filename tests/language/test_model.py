"""What a loaded model says of itself, its bridge, and what it refuses."""

import pytest
import torch

from saelib.language.forward_pass import hook_name
from saelib.language.model import LanguageModel
from saelib.language.tokenizing import tokenizer_hash
from tests.helpers.small_models import CONTEXT, D_MODEL, LAYERS, VOCABULARY, close, small_model


def test_what_the_model_says_of_itself(models: dict[str, LanguageModel]) -> None:
    for name, model in models.items():
        assert (model.n_layers, model.d_model, model.n_ctx, model.vocabulary) == (LAYERS, D_MODEL, CONTEXT, VOCABULARY)
        assert model.parameters == sum(weight.numel() for weight in small_model(name).parameters())
        assert model.device == torch.device("cpu")
        assert repr(model) == f"LanguageModel({model.name!r}, {LAYERS} layers, d_model {D_MODEL}, cpu)"


def test_bridge_is_folded_and_leaves_the_model_alone(models: dict[str, LanguageModel], tokens: torch.Tensor) -> None:
    model = models["gpt_neox"]
    before, hashed = model.logits(tokens), tokenizer_hash(model.tokenizer)
    _, cache = model.bridge.run_with_cache(tokens, names_filter=hook_name(1))
    assert close(cache[hook_name(1)], model.residual_streams(tokens, [1])[0])
    assert cache[hook_name(1)].mean(-1).abs().max() < 1e-5
    assert torch.equal(model.logits(tokens), before)
    assert tokenizer_hash(model.tokenizer) == hashed
    ids = model.tokenizer("ban ted")["input_ids"]
    assert model.bridge.to_tokens("ban ted", prepend_bos=False).tolist() == [ids]
    assert model.bridge.to_tokens("ban ted", prepend_bos=True).tolist() == [[0, *ids]]


@pytest.mark.parametrize("layers", [[3], [-1], []])
def test_absent_layers_are_refused(models: dict[str, LanguageModel], tokens: torch.Tensor, layers: list[int]) -> None:
    with pytest.raises(ValueError, match="choose from 0 to 2"):
        models["gpt_neox"].residual_streams(tokens, layers)


def test_rows_longer_than_the_context_are_refused(models: dict[str, LanguageModel]) -> None:
    with pytest.raises(ValueError, match=f"{CONTEXT + 1} tokens exceed the context of .*, {CONTEXT}"):
        models["gpt_neox"].logits(torch.zeros(1, CONTEXT + 1, dtype=torch.long))
