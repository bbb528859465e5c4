"""Training a causal language model on one letter after a text, and scoring how well it answers.

In: items and a recipe. Out: one step after the other, with the scores of its batch. `fine_tuning` is what calls it.

The loop is written out: `transformers.Trainer` was a tenth slower than the same loop on the embedded model, computes
logits for every position where one in fifteen is needed (a tenth to a quarter of the time), spreads over all GPUs
unasked and reseeds the process.
"""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from saelib.htest.asking.prompts import render, tokenise
from saelib.htest.config import FineTuning
from saelib.htest.items.item import Item

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor
    from transformers import PreTrainedModel

    from saelib.language.model import LanguageModel

LARGEST_GRADIENT = 1.0  # norm, clipped above
AT_A_TIME = 16  # items in a forward pass; changes speed and memory only


class Example(NamedTuple):
    """An item as token ids."""

    prompt: list[int]
    right: int
    wrong: int


class LetterScores(NamedTuple):
    """How well a model answers a list of items."""

    accuracy: float
    """Share of items whose right letter is more likely than the wrong one."""
    loss: float
    """Mean of -log probability of the right letter among all tokens, in nats."""


class Step(NamedTuple):
    """What happened in a step of the training."""

    number: int
    """From 1."""
    items: int
    """In its batch."""
    scores: LetterScores
    """Of its batch, before the weights changed."""


def encode(items: Sequence[Item], language_model: "LanguageModel") -> list[Example]:
    """Items in the bare form as token ids.

    Raises:
        ValueError: an item does not fit the model's tokenizer or context; see `asking.prompts.tokenise`.
    """
    tokenised = tokenise(render(items, [], "bare"), language_model.tokenizer, language_model.n_ctx)
    examples = []
    for item, (prompt, answers) in zip(items, tokenised, strict=True):
        letters = {option: answer[0] for option, answer in zip(item.options, answers, strict=True)}
        right = letters.pop(item.label)
        examples.append(Example(prompt, right, *letters.values()))
    return examples


def next_token(model: "PreTrainedModel", prompts: Sequence[Sequence[int]]) -> "Float[Tensor, 'prompts vocabulary']":
    """Log-probabilities of the token after each prompt, in nats.

    Padding stands behind the tokens, where a causal model cannot see it.
    """
    import torch

    width = max(map(len, prompts))
    tokens = torch.tensor([[*ids, *[0] * (width - len(ids))] for ids in prompts], device=model.device)
    real = torch.tensor([[1] * len(ids) + [0] * (width - len(ids)) for ids in prompts], device=model.device)
    ends = sorted({len(ids) - 1 for ids in prompts})  # the only positions whose logits are computed
    kept = torch.tensor(ends, device=model.device)
    logits = model(input_ids=tokens, attention_mask=real, use_cache=False, logits_to_keep=kept).logits
    own = [ends.index(len(ids) - 1) for ids in prompts]
    return logits[range(len(prompts)), own].float().log_softmax(-1)


def score(model: "PreTrainedModel", examples: Sequence[Example]) -> LetterScores:
    """Scores of the model as it is, in evaluation mode; its mode is left as it was."""
    import torch

    parts = _by_length(examples)
    was_training = model.training
    model.eval()
    with torch.no_grad():
        scores = [_scores(next_token(model, [example.prompt for example in part]), part) for part in parts]
    model.train(was_training)
    return mean_scores(scores, list(map(len, parts)))


def mean_scores(scores: Sequence[LetterScores], items: Sequence[int]) -> LetterScores:
    """Scores of several batches together, by the number of items in each."""
    return LetterScores(*np.average(np.array(scores), axis=0, weights=items).tolist())


def add_gradients(model: "PreTrainedModel", batch: Sequence[Example]) -> LetterScores:
    """Add the gradients of a batch's mean loss to those of the weights; returns its scores.

    The loss is that of the letter alone: cross-entropy over the whole vocabulary at the token after each prompt.
    """
    parts, scores = _by_length(batch), []
    for part in parts:
        log_probabilities = next_token(model, [example.prompt for example in part])
        right = log_probabilities[range(len(part)), [example.right for example in part]]
        (-right.sum() / len(batch)).backward()
        scores.append(_scores(log_probabilities.detach(), part))
    return mean_scores(scores, list(map(len, parts)))


def fit(model: "PreTrainedModel", examples: Sequence[Example], recipe: FineTuning) -> Iterator[Step]:
    """Train, a step whenever the next one is asked for; after the last one the model is in evaluation mode.

    Raises:
        FloatingPointError: the loss is no longer a finite number.
    """
    import torch
    from transformers import get_linear_schedule_with_warmup

    # fused: one pass over the weights, less than half the optimiser's time on a CPU
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
    )
    steps = recipe.epochs * recipe.steps_per_epoch
    schedule = get_linear_schedule_with_warmup(optimiser, round(recipe.warm_up * steps), steps)
    with torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []):
        torch.manual_seed(recipe.seed)
        model.train()
        for number, batch in enumerate(_batches(examples, recipe), start=1):
            scores = add_gradients(model, batch)
            if not math.isfinite(scores.loss):
                raise FloatingPointError(f"the loss is {scores.loss} at step {number}; lower the learning rate")
            torch.nn.utils.clip_grad_norm_(model.parameters(), LARGEST_GRADIENT)
            optimiser.step()
            schedule.step()
            optimiser.zero_grad()
            yield Step(number, len(batch), scores)
    model.eval()


def _batches(examples: Sequence[Example], recipe: FineTuning) -> Iterator[list[Example]]:
    """Batches of all epochs; the order is a function of the seed and the epoch alone."""
    for epoch in range(recipe.epochs):
        order = np.random.default_rng([recipe.seed, epoch]).permutation(len(examples))
        for start in range(0, len(order), recipe.batch_size):
            yield [examples[place] for place in order[start : start + recipe.batch_size]]


def _by_length(examples: Sequence[Example]) -> list[list[Example]]:
    """Parts of like length, which hold little padding: a fifth less time than whole batches of 32."""
    ordered = sorted(examples, key=lambda example: len(example.prompt))
    return [ordered[start : start + AT_A_TIME] for start in range(0, len(ordered), AT_A_TIME)]


def _scores(log_probabilities: "Float[Tensor, 'prompts vocabulary']", examples: Sequence[Example]) -> LetterScores:
    rows = range(len(examples))
    right = log_probabilities[rows, [example.right for example in examples]].double()
    wrong = log_probabilities[rows, [example.wrong for example in examples]]
    return LetterScores((right > wrong).double().mean().item(), -right.mean().item())
