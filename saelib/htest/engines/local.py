"""The engine for models on this machine: log-probabilities of the answers, and replies.

In: items, their prompts and a condition. Out: an `Answer` to each. The k shots, which all prompts of a task begin
with, are read once (`shared_prefix`); where an architecture does not allow that, every prompt is read from its first
token (`padded_batches`). Either way an answer is that of its prompt alone, whatever else is asked and however many
tokens are read at a time.
"""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

import torch

from saelib.htest.asking.answering import PlacedAnswer
from saelib.htest.asking.encoded import encode_prompts
from saelib.htest.asking.prompts import Prompt
from saelib.htest.asking.replies import Answer, Condition
from saelib.htest.asking.thinking import opens_thoughts
from saelib.htest.engines import padded_batches
from saelib.htest.engines.decoding import Decoding, EncodedPrompt, Outcome, decode, stop_tokens
from saelib.htest.engines.packs import ask_together
from saelib.htest.engines.shared_prefix import agrees, can_share
from saelib.htest.items.item import Item
from saelib.language.deferred import DeferredLanguageModel
from saelib.run.progress import progress

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from saelib.language.model import LanguageModel

BATCH_TOKENS = 512


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

    def __call__(self, items: Sequence[Item], prompts: Sequence[Prompt], condition: Condition) -> list[Answer]:
        """Answers to the prompts, `condition.samples` for each item; errors as `answers`."""
        answers = dict(self.answers(items, prompts, condition))
        return [answers[place] for place in range(len(answers))]

    @torch.inference_mode()
    def answers(
        self, items: Sequence[Item], prompts: Sequence[Prompt], condition: Condition, done: Collection[int] = ()
    ) -> Iterator[PlacedAnswer]:
        """Answers as packs of them come, each with its place (`asking.answering.AnsweringEngine`).

        Raises:
            ValueError: a prompt or answer does not fit the model's tokenizer, vocabulary or context, a chat template
                fails (see `encoded.encode_prompts`), or the condition sets no longest reply.
            RuntimeError: the model's only copy is inside its bridge.
            FloatingPointError: a log-probability is NaN or infinite; nothing of its pack is answered.
        """
        if condition.max_tokens is None:
            raise ValueError("max_tokens is None: a local model needs a longest reply; set a number, 0 for none")
        if not prompts:
            return
        model, tokenizer = reader(self.language_model), self.language_model.tokenizer
        encoded = encode_prompts(prompts, condition, tokenizer, self.language_model.n_ctx)
        check_vocabulary(model, encoded.ids, self.language_model.name)
        asked = [(item, ids, rendered, sample)
                 for item, ids, rendered in zip(items, encoded.ids, encoded.rendered, strict=True)
                 for sample in range(condition.samples)]  # fmt: skip
        questions = [EncodedPrompt(*ids, seed_of(condition.seed, item.key, sample)) for item, ids, _, sample in asked]
        stops = stop_tokens(model, tokenizer.eos_token_id, encoded.stops)
        decoding = Decoding(condition.max_tokens, condition.temperature, stops)
        with progress("asking", len(questions), len(done), unit="item") as advance:
            for place, outcome in self._outcomes(model, questions, decoding, done):
                item, _, rendered, _ = asked[place]
                yield (
                    place,
                    Answer(
                        reply=decode(tokenizer, outcome.reply, stops) if condition.max_tokens else None,
                        log_probabilities=None
                        if rendered and opens_thoughts(rendered)
                        else dict(zip(item.options, outcome.log_probabilities, strict=True)),
                        usage={"input_tokens": len(questions[place].ids), "output_tokens": len(outcome.reply)},
                        rendered=rendered,
                    ),
                )
                advance(place not in done)

    def _outcomes(
        self, model: "PreTrainedModel", questions: Sequence[EncodedPrompt], decoding: Decoding, done: Collection[int]
    ) -> Iterator[tuple[int, Outcome]]:
        """By the fastest way that has been proved right for the model."""
        ids = [question.ids for question in questions]
        if self._shares is None and can_share(model):
            self._shares = agrees(model, ids)
        if self._shares:
            return ask_together(model, questions, decoding, self.batch_tokens, done)
        if self._batches is None and decoding.max_tokens:
            self._batches = padded_batches.agrees(model, ids)
        reply_tokens = self.batch_tokens if self._batches else 1
        return padded_batches.ask_apart(model, questions, decoding, self.batch_tokens, reply_tokens, done)


def reader(language_model: "LanguageModel") -> "PreTrainedModel":
    """What gives logits, in evaluation mode; transformers is not loaded for it where it need not be."""
    if isinstance(language_model, DeferredLanguageModel):
        return language_model.reader
    return language_model.hugging_face.eval()


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
