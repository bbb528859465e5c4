"""Training a causal language model on one letter after a text, and scoring how well it answers.

In: items and a recipe. Out: one step after the other, with the scores of its batch. `fine_tuning` is what calls it.

The loop is written out: `transformers.Trainer` was a tenth slower than the same loop on the embedded model, computes
logits for every position where one in fifteen is needed (a tenth to a quarter of the time), spreads over all GPUs
unasked and reseeds the process. Padding stands behind the tokens, where a causal model cannot see it.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from saelib.htest.asking.encoded import first_ids, first_token_text
from saelib.htest.asking.prompts import render, tokenise
from saelib.htest.config import FineTuning
from saelib.htest.items.item import Item

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor
    from transformers import PreTrainedModel

    from saelib.language.model import LanguageModel

LARGEST_GRADIENT = 1.0  # norm, clipped above
TOKENS_AT_A_TIME = 512  # in a forward pass, padding included; changes speed and memory only


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


def encode(items: Sequence[Item], language_model: "LanguageModel", first_token: str = "auto") -> list[Example]:
    """Items in the bare form as token ids.

    Args:
        first_token: as `HTestConfig.first_token`: the special token before each text.

    Raises:
        ValueError: an item does not fit the model's tokenizer or context; see `asking.prompts.tokenise`.
    """
    tokenizer = language_model.tokenizer
    first = first_ids(tokenizer, first_token_text(tokenizer, first_token))
    tokenised = tokenise(render(items, [], "bare"), tokenizer, language_model.n_ctx, first=first)
    examples = []
    for item, (prompt, answers) in zip(items, tokenised, strict=True):
        letters = {option: answer[0] for option, answer in zip(item.options, answers, strict=True)}
        right = letters.pop(item.label)
        examples.append(Example(prompt, right, *letters.values()))
    return examples


def next_token(model: "PreTrainedModel", prompts: Sequence[Sequence[int]]) -> "Float[Tensor, 'prompts vocabulary']":
    """Log-probabilities of the token after each prompt, in nats; the head is computed for those tokens only."""
    import torch

    width = max(map(len, prompts))
    tokens = torch.tensor([[*ids, *[0] * (width - len(ids))] for ids in prompts], device=model.device)
    with _head_at(model, [len(ids) - 1 for ids in prompts]):
        (logits,) = model(input_ids=tokens, use_cache=False).logits.unbind(1)  # one position is left
    return logits.float().log_softmax(-1)


@contextmanager
def _head_at(model: "PreTrainedModel", places: Sequence[int]) -> Iterator[None]:
    """Have a model compute logits at one place of each row: whatever comes after its head is per position."""

    def select(head: object, inputs: "tuple[Tensor, ...]") -> "tuple[Tensor, ...]":
        return (inputs[0][range(len(places)), places].unsqueeze(1),)

    hook = model.get_output_embeddings().register_forward_pre_hook(select)
    try:
        yield
    finally:
        hook.remove()


def score(model: "PreTrainedModel", examples: Mapping[str, Sequence[Example]]) -> dict[str, LetterScores]:
    """Scores of lists of examples, by the model as it is, in evaluation mode; its mode is left as it was.

    The lists are read together: examples of like length, whichever list they are from, in one forward pass.

    Raises:
        FloatingPointError: a loss is NaN or infinite: accuracies of such a model would look like those of a bad one.
    """
    import torch

    together = [example for those in examples.values() for example in those]
    scores = torch.empty(len(together), 2, dtype=torch.float64)
    was_training = model.training
    model.eval()
    with torch.no_grad():
        for places in _by_length(together):
            part = [together[place] for place in places]
            scores[places] = _scores(next_token(model, [example.prompt for example in part]), part)
    model.train(was_training)
    if not scores.isfinite().all():
        raise FloatingPointError(
            f"the model {type(model).__name__} gives letters no finite probability: its weights hold NaN or infinity, "
            "from the beginning or since it was tuned; get a whole copy of it, or lower fine_tuning.learning_rate"
        )
    parts = scores.split([len(those) for those in examples.values()])
    return {name: LetterScores(*part.mean(0).tolist()) for name, part in zip(examples, parts, strict=True)}


def mean_scores(scores: Sequence[LetterScores], items: Sequence[int]) -> LetterScores:
    """Scores of several batches together, by the number of items in each."""
    return LetterScores(*np.average(np.array(scores), axis=0, weights=items).tolist())


def add_gradients(model: "PreTrainedModel", batch: Sequence[Example]) -> LetterScores:
    """Add the gradients of a batch's mean loss to those of the weights; returns its scores.

    The loss is that of the letter alone: cross-entropy over the whole vocabulary at the token after each prompt.
    """
    import torch

    scores = []
    for places in _by_length(batch):
        part = [batch[place] for place in places]
        log_probabilities = next_token(model, [example.prompt for example in part])
        right = log_probabilities[range(len(part)), [example.right for example in part]]
        (-right.sum() / len(batch)).backward()
        scores.append(_scores(log_probabilities.detach(), part))
    return LetterScores(*torch.cat(scores).mean(0).tolist())


def fit(model: "PreTrainedModel", examples: Sequence[Example], recipe: FineTuning) -> Iterator[Step]:
    """Train what asks for gradients, a step at each call; after the last one the model is in evaluation mode.

    Raises:
        FloatingPointError: the loss is no longer a finite number.
    """
    import torch
    from transformers import get_linear_schedule_with_warmup

    # fused: one pass over the weights, less than half the optimiser's time on a CPU
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True)
    steps = recipe.epochs * recipe.steps_per_epoch
    schedule = get_linear_schedule_with_warmup(optimiser, round(recipe.warm_up * steps), steps)
    with torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []):
        torch.manual_seed(recipe.seed)
        model.train()
        for number, batch in enumerate(_batches(examples, recipe), start=1):
            scores = add_gradients(model, batch)
            if not math.isfinite(scores.loss):
                rate = f"lower fine_tuning.learning_rate, which is {recipe.learning_rate}"
                raise FloatingPointError(f"the loss is {scores.loss} at step {number}: {rate}")
            torch.nn.utils.clip_grad_norm_(trained, LARGEST_GRADIENT)
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


def _by_length(examples: Sequence[Example]) -> list[list[int]]:
    """Places of the examples in parts of like length, which hold little padding, within `TOKENS_AT_A_TIME`."""
    parts: list[list[int]] = []
    for place in sorted(range(len(examples)), key=lambda place: len(examples[place].prompt)):
        width = len(examples[place].prompt)
        if parts and width * (len(parts[-1]) + 1) <= TOKENS_AT_A_TIME:
            parts[-1].append(place)
        else:
            parts.append([place])
    return parts


def _scores(
    log_probabilities: "Float[Tensor, 'prompts vocabulary']", examples: Sequence[Example]
) -> "Float[Tensor, 'prompts 2']":
    """`LetterScores` of each example, float64."""
    import torch

    rows = range(len(examples))
    right = log_probabilities[rows, [example.right for example in examples]]
    wrong = log_probabilities[rows, [example.wrong for example in examples]]
    return torch.stack([right > wrong, -right], dim=-1).cpu().double()
