"""The engine for models on this machine: log-probabilities of the answers, and replies.

In: items, their prompts and a condition. Out: an `Answer` to each. The k shots, which all prompts of a task begin
with, are read once (`shared_prefix`); where an architecture does not allow that, every prompt is read from its first
token (`padded_batches`). Either way an answer is that of its prompt alone, whatever else is asked and however many
tokens are read at a time.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from saelib.htest.asking.encoded import encode_prompts
from saelib.htest.asking.prompts import Prompt
from saelib.htest.asking.replies import Answer, Condition
from saelib.htest.asking.thinking import opens_thoughts
from saelib.htest.engines import padded_batches
from saelib.htest.engines.decoding import Decoding, check_finite, choose, decode, generators, stop_tokens
from saelib.htest.engines.shared_prefix import Segment, SharedPrefix, agrees, can_share, common_prefix
from saelib.htest.items.item import Item
from saelib.language.deferred import DeferredLanguageModel
from saelib.run.progress import progress

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from saelib.language.model import LanguageModel

BATCH_TOKENS = 512


class EncodedPrompt(NamedTuple):
    """One prompt as the model reads it."""

    ids: list[int]
    answers: list[list[int]]
    seed: int
    """Of what is sampled for it."""


class Outcome(NamedTuple):
    """What the model gave for one question."""

    log_probabilities: list[float]
    reply: list[int]


class LocalEngine:
    """Asks a language model that `load_language_model` loaded; an `Engine`.

    Fastest where all prompts of a call are of one task, so that they begin alike. Log-probabilities are in float32
    and summed over an answer's tokens. A reply ends at the model's end-of-text token, which `output_tokens` counts;
    what is sampled depends on the condition's seed and the item alone. There are no log-probabilities where a chat
    template opens the model's thoughts, as the next token is then one of these. The model is left in evaluation mode.

    Args:
        batch_tokens: how many tokens are read at a time, the shared prefix not counted; changes speed and memory only.
    """

    def __init__(self, language_model: "LanguageModel", batch_tokens: int = BATCH_TOKENS) -> None:
        self.language_model, self.batch_tokens = language_model, batch_tokens
        self._shares: bool | None = None  # proved with the first questions
        self._batches: bool | None = None

    @torch.inference_mode()
    def __call__(self, items: Sequence[Item], prompts: Sequence[Prompt], condition: Condition) -> list[Answer]:
        """Answers to the prompts, `condition.samples` for each item.

        Raises:
            ValueError: a prompt or answer does not fit the model's tokenizer, vocabulary or context, a chat template
                fails (see `encoded.encode_prompts`), or the condition sets no longest reply.
            RuntimeError: the model's only copy is inside its bridge.
            FloatingPointError: a log-probability is NaN or infinite; nothing is answered.
        """
        if condition.max_tokens is None:
            raise ValueError("max_tokens is None: a local model needs a longest reply; set a number, 0 for none")
        if not prompts:
            return []
        model, tokenizer = reader(self.language_model), self.language_model.tokenizer
        encoded = encode_prompts(prompts, condition, tokenizer, self.language_model.n_ctx)
        check_vocabulary(model, encoded.ids, self.language_model.name)
        asked = [(item, ids, rendered, sample)
                 for item, ids, rendered in zip(items, encoded.ids, encoded.rendered, strict=True)
                 for sample in range(condition.samples)]  # fmt: skip
        questions = [EncodedPrompt(*ids, seed_of(condition.seed, item.key, sample)) for item, ids, _, sample in asked]
        stops = stop_tokens(model, tokenizer.eos_token_id, encoded.stops)
        outcomes = self._outcomes(model, questions, Decoding(condition.max_tokens, condition.temperature, stops))
        return [
            Answer(
                reply=decode(tokenizer, outcome.reply, stops) if condition.max_tokens else None,
                log_probabilities=None
                if rendered and opens_thoughts(rendered)
                else dict(zip(item.options, outcome.log_probabilities, strict=True)),
                usage={"input_tokens": len(question.ids), "output_tokens": len(outcome.reply)},
                rendered=rendered,
            )
            for (item, _, rendered, _), question, outcome in zip(asked, questions, outcomes, strict=True)
        ]

    def _outcomes(
        self, model: "PreTrainedModel", questions: Sequence[EncodedPrompt], decoding: Decoding
    ) -> list[Outcome]:
        """By the fastest way that has been proved right for the model."""
        ids = [question.ids for question in questions]
        if self._shares is None and can_share(model):
            self._shares = agrees(model, ids)
        if self._shares:
            return ask_together(model, questions, decoding, self.batch_tokens)
        if self._batches is None and decoding.max_tokens:
            self._batches = padded_batches.agrees(model, ids)
        return ask_apart(model, questions, decoding, self.batch_tokens, self.batch_tokens if self._batches else 1)


def reader(language_model: "LanguageModel") -> "PreTrainedModel":
    """What gives logits, in evaluation mode; transformers is not loaded for it where it need not be."""
    if isinstance(language_model, DeferredLanguageModel):
        return language_model.reader
    return language_model.hugging_face.eval()


def ask_together(
    model: "PreTrainedModel", questions: Sequence[EncodedPrompt], decoding: Decoding, batch_tokens: int
) -> list[Outcome]:
    """Outcomes from packs of tails after the tokens that all questions begin with."""
    length = common_prefix([question.ids for question in questions])
    prefix = SharedPrefix(model, questions[0].ids[:length])
    outcomes: list[Outcome] = []
    with progress("asking", len(questions), unit="item") as advance:
        for pack in packs(questions, length, batch_tokens):
            tails = [Segment(tail, 0, length, question.ids[length:], kept=1) for tail, question in enumerate(pack)]
            next_token = prefix.extend(tails)
            scores = score_answers(prefix, pack, next_token)
            check_finite(model, scores)
            replies = grow_replies(prefix, pack, next_token, decoding)
            outcomes += map(Outcome, scores, replies)
            prefix.forget()
            advance(len(pack))
    return outcomes


def ask_apart(
    model: "PreTrainedModel",
    questions: Sequence[EncodedPrompt],
    decoding: Decoding,
    batch_tokens: int,
    reply_tokens: int,
) -> list[Outcome]:
    """Outcomes from reading every question from its first token.

    Args:
        reply_tokens: as `batch_tokens`, where replies are made; 1 makes them one by one.
    """
    scores = padded_batches.score(model, [(question.ids, question.answers) for question in questions], batch_tokens)
    check_finite(model, scores)
    if not decoding.max_tokens:
        return [Outcome(score, reply=[]) for score in scores]
    replies: dict[int, list[int]] = {}
    with progress("asking", len(questions), unit="item") as advance:
        for places in padded_batches.places([len(question.ids) for question in questions], reply_tokens):
            batch = [questions[place] for place in places]
            grown = padded_batches.generate(
                model, [question.ids for question in batch], [question.seed for question in batch], decoding
            )
            replies |= dict(zip(places, grown, strict=True))
            advance(len(batch))
    return [Outcome(score, replies[place]) for place, score in enumerate(scores)]


def packs(questions: Sequence[EncodedPrompt], prefix: int, batch_tokens: int) -> Iterator[list[EncodedPrompt]]:
    """The questions in their order, as many at a time as `batch_tokens` allows; at least one."""
    pack: list[EncodedPrompt] = []
    tokens = 0
    for question in questions:
        tail = len(question.ids) - prefix
        if pack and tokens + tail > batch_tokens:
            yield pack
            pack, tokens = [], 0
        pack.append(question)
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


def seed_of(seed: int, key: str, sample: int = 0) -> int:
    """A seed for one reply to one item: the same on every machine, whatever else is asked."""
    name = f"{seed}/{key}/{sample}" if sample else f"{seed}/{key}"
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big")


def check_vocabulary(model: "PreTrainedModel", encoded: Sequence[tuple[list[int], list[list[int]]]], name: str) -> None:
    """Refuse prompts with tokens that the tokenizer knows and the model has no embedding for.

    Raises:
        ValueError: names the highest such token.
    """
    rows = model.get_input_embeddings().weight.shape[0]
    highest = max(max(*ids, *(token for answer in answers for token in answer)) for ids, answers in encoded)
    if highest >= rows:
        raise ValueError(
            f"the tokenizer of {name} makes token {highest} of a prompt, and the model embeds {rows} tokens: resize it "
            "with model.resize_token_embeddings(len(tokenizer)) and train it, or give the tokenizer that belongs to it"
        )
