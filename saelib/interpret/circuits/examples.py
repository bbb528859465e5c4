"""Prompts as one layer reads them: what all SAEs of that layer share, so that it is computed once.

In: a language model and prompts, in pairs that differ in what the answer hangs on, or facts with a right and a wrong
answer. Out: `Examples` of each layer from one clean pass, and the gradient of the answers' logit difference in the
layer's stream. The error term is kept and detached, so the stream that a gradient is taken at is the model's own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from saelib.language.gradients import logits_at
from saelib.language.precision import matrix_products
from saelib.run.memory import halving
from saelib.run.threads import one_thread_each

if TYPE_CHECKING:
    from saelib.language.model import LanguageModel

BATCH_ROWS = 32  # prompts in one pass; no result depends on it beyond rounding
Result = TypeVar("Result")


class PromptPairs(Protocol):
    """What a task gives: prompts of one length, and the answers of both sides."""

    @property
    def clean(self) -> Int[np.ndarray, "prompts context"]:
        """Token ids."""
        ...

    @property
    def patch(self) -> Int[np.ndarray, "prompts context"]:
        """The same prompts with what makes the other answer right."""
        ...

    @property
    def answer(self) -> Int[np.ndarray, " prompts"]:
        """Right after `clean`."""
        ...

    @property
    def patch_answer(self) -> Int[np.ndarray, " prompts"]:
        """Right after `patch`."""
        ...


@dataclass(frozen=True, eq=False)
class Examples:
    """Prompts at one layer; tensors lie on the model's device."""

    layer: int
    """Whose stream it is."""
    skipped: int
    """Positions at the start of each prompt that no SAE reads; "positions" elsewhere in this room are the others."""
    tokens: Int[Tensor, "prompts context"]
    """Clean."""
    stream: Float[Tensor, "prompts context d_model"]
    """`blocks.{layer}.hook_resid_post` of the clean prompts."""
    patch_stream: Float[Tensor, "prompts context d_model"] | None
    """Of the patched ones; None for facts."""
    answer: Int[Tensor, " prompts"]
    """The right token after the clean prompt."""
    other: Int[Tensor, " prompts"]
    """The token that it is compared with: the patched prompt's answer, or a wrong one."""
    last: Int[Tensor, " prompts"]
    """Position of a prompt's last token, where the answer is read."""
    difference: Float[Tensor, " prompts"]
    """logit(answer) - logit(other) of the untouched model."""

    def __len__(self) -> int:
        """How many prompts."""
        return len(self.tokens)

    def rows(self, rows: slice | Int[Tensor, " some"]) -> "Examples":
        """Some of the prompts; by their numbers, which may repeat."""
        tensors: dict[str, Any] = {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **{name: tensor[rows] for name, tensor in tensors.items()})

    def patched(self) -> Float[Tensor, "prompts context d_model"]:
        """The patched prompts' stream.

        Raises:
            ValueError: the prompts are not in pairs.
        """
        if self.patch_stream is None:
            raise ValueError("these prompts are facts, without patched ones beside them; read pairs by read_pairs")
        return self.patch_stream


def read_pairs(
    model: "LanguageModel", prompts: PromptPairs, layers: Sequence[int], skipped: int = 0, batch_rows: int = BATCH_ROWS
) -> dict[int, Examples]:
    """A task's prompts at some layers: one clean and one patched pass over them.

    Raises:
        ValueError: no position is left, or clean and patched prompts are not of one shape.
    """
    if prompts.clean.shape != prompts.patch.shape:
        raise ValueError(f"clean prompts {prompts.clean.shape} and patched ones {prompts.patch.shape} are no pairs")
    last = np.full(len(prompts.clean), prompts.clean.shape[1] - 1)
    found = _read(model, prompts.clean, (prompts.answer, prompts.patch_answer), last, layers, skipped, batch_rows)
    patch = _ids(model, prompts.patch)
    streams = _streams(model, patch, layers, batch_rows)
    return {layer: replace(found[layer], patch_stream=stream) for layer, stream in zip(layers, streams, strict=True)}


def read_facts(
    model: "LanguageModel",
    prompts: Sequence[Sequence[int]],
    right: Sequence[int],
    wrong: Sequence[int],
    layers: Sequence[int],
    skipped: int = 0,
    batch_rows: int = BATCH_ROWS,
) -> dict[int, Examples]:
    """Prompts of any lengths with a right and a wrong next token.

    Shorter ones are filled up behind their last token, which a causal model's logits there do not see.

    Raises:
        ValueError: no position is left of one of them.
    """
    last = np.array([len(prompt) - 1 for prompt in prompts])
    tokens = np.zeros((len(prompts), last.max() + 1), dtype=np.int64)
    for row, prompt in zip(tokens, prompts, strict=True):
        row[: len(prompt)] = prompt
    return _read(model, tokens, (right, wrong), last, layers, skipped, batch_rows)


def difference_at(
    model: "LanguageModel", examples: Examples, stream: Float[Tensor, "prompts context d_model"]
) -> Float[Tensor, " prompts"]:
    """logit(answer) - logit(other) of each prompt, with `stream` in place of the layer's; differentiable."""
    logits = logits_at(model, stream, examples.layer, examples.tokens, examples.last)
    answers = torch.stack([examples.answer, examples.other], dim=1)
    right, other = logits.gather(1, answers).unbind(1)
    return right - other


def stream_gradients(
    model: "LanguageModel", examples: Examples, batch_rows: int = BATCH_ROWS
) -> Float[Tensor, "prompts context d_model"]:
    """Gradient of each prompt's `difference` in the layer's stream, at the model's own."""

    def of(rows: slice) -> Tensor:
        part = examples.rows(rows)
        with torch.enable_grad():
            stream = part.stream.detach().requires_grad_()
            return torch.autograd.grad(difference_at(model, part, stream).sum(), stream)[0]

    return torch.cat(by_batches(model, of, len(examples), batch_rows))


def by_batches(
    model: "LanguageModel", function: Callable[[slice], Result], count: int, batch_rows: int
) -> list[Result]:
    """What a function gives for one batch of rows after the other, on a thread for each core where that is right.

    Fewer rows where a GPU runs out of memory. No result depends on the number of threads.
    """

    def all_of(size: int) -> list[Result]:
        batches = [slice(start, min(start + size, count)) for start in range(0, count, size)]
        with matrix_products("float32", model.device):
            if model.device.type == "cpu" and model.thread_safe:
                with one_thread_each() as pool:
                    return list(pool.map(function, batches))
            return [function(batch) for batch in batches]

    return halving(batch_rows, all_of)[0]


def _read(
    model: "LanguageModel",
    prompts: Int[np.ndarray, "prompts context"],
    answers: tuple[Sequence[int], Sequence[int]] | tuple[np.ndarray, np.ndarray],
    last: Int[np.ndarray, " prompts"],
    layers: Sequence[int],
    skipped: int,
    batch_rows: int,
) -> dict[int, Examples]:
    if not len(last):
        raise ValueError("there are no prompts to read; give one or more")
    if not 0 <= skipped <= last.min():
        raise ValueError(f"skipped={skipped}: the shortest prompt has {last.min() + 1} tokens, and none would be left; "
                         "take longer prompts")  # fmt: skip
    tokens, final = _ids(model, prompts), model.n_layers - 1
    *streams, end = _streams(model, tokens, [*layers, final], batch_rows)
    answer, other, places = (_ids(model, np.asarray(values)) for values in (*answers, last))
    whole = Examples(final, skipped, tokens, end, None, answer, other, places, end.new_zeros(len(tokens)))

    def untouched(rows: slice) -> Tensor:
        with torch.no_grad():
            return difference_at(model, whole.rows(rows), end[rows])

    difference = torch.cat(by_batches(model, untouched, len(tokens), batch_rows))
    return {layer: replace(whole, layer=layer, stream=stream, difference=difference)
            for layer, stream in zip(layers, streams, strict=True)}  # fmt: skip


def _streams(
    model: "LanguageModel", tokens: Int[Tensor, "prompts context"], layers: Sequence[int], batch_rows: int
) -> Float[Tensor, "layers prompts context d_model"]:
    parts = by_batches(model, lambda rows: model.residual_streams(tokens[rows], layers), len(tokens), batch_rows)
    return torch.cat(parts, dim=1)


def _ids(model: "LanguageModel", values: Int[np.ndarray, "*any"]) -> Int[Tensor, "*any"]:
    return torch.from_numpy(values.astype(np.int64)).to(model.device)
