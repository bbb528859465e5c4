"""A prefix that many prompts share, read once: its key-value cache, and packs of tails that go on from it.

In: a Hugging Face model, the token ids of the prefix, then packs of segments of tokens. Out: log-probabilities of the
next token. All tails of a pack stand one after the other in a single sequence, and a mask keeps each from seeing the
others, so the prefix's keys and values are held once and never copied for every prompt:

    column      prefix prefix prefix | tail 0 tail 0 | tail 1 tail 1 tail 1 | tail 0, a reply's next token
    position    0      1      2      | 3      4      | 3      4      5      | 5

Positions are given beside the tokens, so this is right only where a model knows of places by the positions that it is
given, and where any token may look at any earlier one: see `can_share`. There it is the same sum as reading every
prompt alone, in another order; `agrees` sees to it with the first prompts of each model.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from saelib.htest.engines.decoding import same
from saelib.language.forward_pass import attends_plainly
from saelib.language.gpt_neox import GPTNeoXForCausalLM, KeyValueCache

if TYPE_CHECKING:
    from transformers import DynamicCache, PreTrainedModel

# Tested beside reading every prompt alone. Others may be as right, but one that is not gives no error.
SHARING = frozenset(
    f"{name}ForCausalLM"
    for name in ("GPTNeoX", "Llama", "Mistral", "Qwen2", "Qwen3", "Olmo2", "Phi", "StableLm", "Gemma", "Granite",
                 "SmolLM3", "Starcoder2", "Cohere", "Phi3", "Mixtral")
) | {"GPT2LMHeadModel"}  # fmt: skip
_PREFIX = -1


class Segment(NamedTuple):
    """Tokens that go on from the prefix, or from earlier segments of the same tail."""

    tail: int
    branch: int
    """0 for what all branches of the tail go on from; a branch sees itself and branch 0."""
    start: int
    """Position of the first token, counted from the first token of the prompt."""
    ids: list[int]
    kept: int
    """How many of the segment's last positions are wanted."""


class Aside(NamedTuple):
    """What a model has read behind a prefix, while something else is read there."""

    columns: Int[Tensor, "columns 2"]
    """Tail and branch of each token."""
    layers: list[tuple[Tensor, Tensor]]
    """Keys and values."""


class SharedPrefix:
    """A model that has read a prefix; `extend` reads on, `forget` goes back to the prefix.

    What was read on can be set aside and put back, so that replies of several packs grow together.

    Records no gradients; call it under `torch.inference_mode` or `torch.no_grad`.
    """

    def __init__(self, model: "PreTrainedModel", prefix: Sequence[int]) -> None:
        self._model, self._prefix, self._cache = model, len(prefix), empty_cache(model)
        if prefix:
            tokens = torch.tensor([list(prefix)], device=model.device)
            model(input_ids=tokens, past_key_values=self._cache, use_cache=True, logits_to_keep=1)
        self._columns = torch.tensor([(_PREFIX, 0)] * self._prefix, device=model.device).reshape(-1, 2)

    def extend(self, segments: Sequence[Segment]) -> Float[Tensor, "kept vocabulary"]:
        """Read segments; log-probabilities of the next token at their kept positions, one segment after the other."""
        device = self._model.device
        new = torch.tensor([(segment.tail, segment.branch) for segment in segments for _ in segment.ids], device=device)
        self._columns = torch.cat([self._columns, new])
        ends = torch.tensor([len(segment.ids) for segment in segments]).cumsum(0).tolist()
        kept = [
            end - place for segment, end in zip(segments, ends, strict=True) for place in range(segment.kept, 0, -1)
        ]
        positions = [segment.start + place for segment in segments for place in range(len(segment.ids))]
        output = self._model(
            input_ids=torch.tensor([[token for segment in segments for token in segment.ids]], device=device),
            position_ids=torch.tensor([positions], device=device),
            attention_mask=self._mask(len(new)),
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=torch.tensor(kept, device=device),
        )
        return output.logits[0].float().log_softmax(-1)

    def forget(self) -> None:
        """Leave nothing but the prefix."""
        self._cache.crop(self._prefix - len(self._columns))
        self._columns = self._columns[: self._prefix]

    @property
    def can_set_aside(self) -> bool:
        """Whether `set_aside` works: with transformers' own cache."""
        return not isinstance(self._cache, KeyValueCache)

    def set_aside(self) -> "Aside":
        """Take away what was read behind the prefix, and go back to it.

        Raises:
            TypeError: it cannot (`can_set_aside`).
        """
        first = self._prefix
        if isinstance(self._cache, KeyValueCache):
            raise TypeError(f"{type(self._model).__name__} keeps a cache of its own, of which nothing can be set aside")
        layers = [(layer.keys[..., first:, :], layer.values[..., first:, :]) for layer in self._cache.layers]
        aside = Aside(self._columns[first:], layers)
        self.forget()
        return aside

    def put_back(self, parts: "Sequence[Aside]") -> None:
        """Have several parts behind the prefix, one after the other, their tails numbered on from part to part."""
        numbered, first = [], 0
        for part in parts:
            numbered.append(part.columns + torch.tensor([first, 0], device=part.columns.device))
            first += int(part.columns[:, 0].max()) + 1
        self._columns = torch.cat([self._columns, *numbered])
        for place, layers in enumerate(zip(*(part.layers for part in parts), strict=True)):
            keys, values = (torch.cat(tensors, dim=-2) for tensors in zip(*layers, strict=True))
            self._cache.update(keys, values, place)

    def _mask(self, new: int) -> Float[Tensor, "1 1 new columns"]:
        """What the last `new` columns may not see is masked by the least number, which every attention can add."""
        dtype = self._model.dtype
        seen = visible(self._columns, new)
        mask = torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, torch.finfo(dtype).min)
        return mask[None, None]


def empty_cache(model: "PreTrainedModel") -> "KeyValueCache | DynamicCache":
    """Where a model keeps keys and values of what it has read."""
    if isinstance(model, GPTNeoXForCausalLM):
        return KeyValueCache()
    from transformers import DynamicCache

    return DynamicCache()


def visible(columns: Int[Tensor, "columns 2"], new: int) -> Bool[Tensor, "new columns"]:
    """Which columns each of the last `new` ones may see.

    Args:
        columns: tail and branch of every column.
    """
    tails, branches = columns.T
    own_branch = (branches == 0) | (branches == branches[-new:, None])
    own_tail = (tails == _PREFIX) | (tails == tails[-new:, None])
    earlier = torch.ones(new, len(columns), dtype=torch.bool, device=columns.device).tril(len(columns) - new)
    return own_tail & own_branch & earlier


def can_share(model: "PreTrainedModel") -> bool:
    """Whether packing is right for a model: a tested architecture, no sliding window, rotations of one kind."""
    return type(model).__name__ in SHARING and attends_plainly(model)


def agrees(model: "PreTrainedModel", prompts: Sequence[list[int]]) -> bool:
    """Whether packs give what plain passes give, seen from the shortest prompt and the longest one."""
    pair = [min(prompts, key=len), max(prompts, key=len)]
    length = common_prefix(pair)
    plain = torch.stack([_plain(model, ids) for ids in pair])
    try:
        packed = SharedPrefix(model, pair[0][:length]).extend(
            [Segment(tail, 0, length, ids[length:], kept=1) for tail, ids in enumerate(pair)]
        )
    except (TypeError, ValueError, RuntimeError):  # arguments that an architecture does not take
        return False
    return same(packed, plain, model.dtype)


def _plain(model: "PreTrainedModel", ids: list[int]) -> Float[Tensor, " vocabulary"]:
    tokens = torch.tensor([ids], device=model.device)
    return model(input_ids=tokens, use_cache=False, logits_to_keep=1).logits[0, -1].float().log_softmax(-1)


def common_prefix(rows: Sequence[list[int]]) -> int:
    """How many first tokens all rows share; at least one token of each is left over."""
    first, last = min(rows), max(rows)  # whatever the two ends of the sorted rows share, all between them share
    longest = min(map(len, rows)) - 1
    return next((place for place in range(longest) if first[place] != last[place]), longest)
