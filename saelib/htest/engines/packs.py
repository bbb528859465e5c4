"""Packs of questions behind the tokens that all of them begin with, which are read once.

In: a model for which `shared_prefix` is right, questions of one task. Out: outcomes, by their places. The questions of
a pack are read together; it is small, since all of it looks at whatever stands in it. Replies grow by a token in each
pass over the weights, so those of several packs grow together.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from saelib.htest.engines.decoding import Decoding, EncodedPrompt, Outcome, check_finite, choose, generators
from saelib.htest.engines.shared_prefix import Aside, Segment, SharedPrefix, common_prefix

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Replies, at least: SmolLM2-135M gave 15, 66 and 140 tokens per CPU second with 1, 8 and 32 of them.
GROWN_TOGETHER = 32


def ask_together(
    model: "PreTrainedModel",
    questions: Sequence[EncodedPrompt],
    decoding: Decoding,
    batch_tokens: int,
    done: Collection[int] = (),
) -> Iterator[tuple[int, Outcome]]:
    """Outcomes, by their places, from packs of tails after the tokens that all questions begin with.

    Args:
        done: places that need no answer; packs of nothing else are left out, and the others are the same without.
    """
    length = common_prefix([question.ids for question in questions])
    prefix = SharedPrefix(model, questions[0].ids[:length])
    together = GROWN_TOGETHER if decoding.max_tokens > 1 and prefix.can_set_aside else 1
    for group in groups(packs_of([len(question.ids) - length for question in questions], batch_tokens), together):
        places = [place for pack in group for place in pack]
        if {*places} <= {*done}:
            continue
        read = [read_pack(prefix, length, [questions[place] for place in pack], len(group) > 1) for pack in group]
        scores = [values for pack in read for values in pack.scores]
        check_finite(model, scores)
        prefix.put_back([pack.aside for pack in read if pack.aside is not None])
        next_token = torch.cat([pack.next_token for pack in read])
        replies = grow_replies(prefix, [questions[place] for place in places], next_token, decoding)
        prefix.forget()
        yield from zip(places, map(Outcome, scores, replies), strict=True)


class ReadPack(NamedTuple):
    """What a pack has given before its replies grow."""

    next_token: Float[Tensor, "pack vocabulary"]
    scores: list[list[float]]
    aside: Aside | None


def read_pack(prefix: SharedPrefix, length: int, pack: Sequence[EncodedPrompt], set_aside: bool) -> ReadPack:
    """Log-probabilities at the end of each question and of its answers.

    Args:
        length: of the shared prefix.
        set_aside: leave nothing behind the prefix, for the next pack.
    """
    tails = [Segment(tail, 0, length, question.ids[length:], kept=1) for tail, question in enumerate(pack)]
    next_token = prefix.extend(tails)
    scores = score_answers(prefix, pack, next_token)
    return ReadPack(next_token, scores, prefix.set_aside() if set_aside else None)


def groups(packs: Iterable[list[int]], questions: int) -> Iterator[list[list[int]]]:
    """Packs in their order, as many at a time as hold so many questions; at least one."""
    group: list[list[int]] = []
    for pack in packs:
        group.append(pack)
        if sum(map(len, group)) >= questions:
            yield group
            group = []
    if group:
        yield group


def packs_of(tails: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Places of the questions in their order, as many at a time as `batch_tokens` allows; at least one.

    Args:
        tails: tokens of each behind the shared prefix.
    """
    pack: list[int] = []
    tokens = 0
    for place, tail in enumerate(tails):
        if pack and tokens + tail > batch_tokens:
            yield pack
            pack, tokens = [], 0
        pack.append(place)
        tokens += tail
    yield pack


def score_answers(
    prefix: SharedPrefix, pack: Sequence[EncodedPrompt], next_token: Float[Tensor, "pack vocabulary"]
) -> list[list[float]]:
    """Log-probability of each answer: that of its first token, and for a longer one those of the others after it.

    Args:
        next_token: log-probabilities at the end of each question.
    """
    answers = [(tail, answer) for tail, question in enumerate(pack) for answer in question.answers]
    sums = next_token[[tail for tail, _ in answers], [answer[0] for _, answer in answers]]
    longer = [(place, tail, answer) for place, (tail, answer) in enumerate(answers) if len(answer) > 1]
    if longer:
        later = prefix.extend([
            Segment(tail, 1 + place, len(pack[tail].ids), answer[:-1], kept=len(answer) - 1)
            for place, tail, answer in longer
        ])  # fmt: skip
        tokens = torch.tensor([token for *_, answer in longer for token in answer[1:]], device=later.device)
        owners = torch.tensor([place for place, _, answer in longer for _ in answer[1:]], device=later.device)
        sums.index_add_(0, owners, later.gather(1, tokens[:, None])[:, 0])
    values = iter(sums.tolist())
    return [[next(values) for _ in question.answers] for question in pack]


def grow_replies(
    prefix: SharedPrefix,
    pack: Sequence[EncodedPrompt],
    next_token: Float[Tensor, "pack vocabulary"],
    decoding: Decoding,
) -> list[list[int]]:
    """Token ids of a reply to each question; in each pass all grow by one token, until each has come to its end."""
    replies: list[list[int]] = [[] for _ in pack]
    draws = generators([question.seed for question in pack])
    live = list(range(len(pack)))
    for step in range(decoding.max_tokens):
        for tail, token in zip(live, choose(next_token, decoding, [draws[tail] for tail in live]), strict=True):
            replies[tail].append(token)
        live = [tail for tail in live if replies[tail][-1] not in decoding.stops]
        if not live or step == decoding.max_tokens - 1:
            break
        next_token = prefix.extend(
            [Segment(tail, 0, len(pack[tail].ids) + step, [replies[tail][-1]], kept=1) for tail in live]
        )
    return replies
