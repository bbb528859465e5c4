"""Letter geometry: what does a sign look like after it is turned, mirrored, or given or robbed of a stroke?

In: a seed. Out: questions with four signs to choose from. In the released questions the three wrong options are nearly
always the same signs, so the one seldom seen is right. Here questions come in blocks of four that offer the same four
signs, each of them right once: whoever looks at the options alone is right once in a block.
"""

import random
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from saelib.htest.items.item import Item
from saelib.htest.items.sentences import shuffled
from saelib.htest.items.words import FRESH_SET
from saelib.htest.tasks import LETTER_GEOMETRY

COUNT = 90  # as many as were released

TURNS = {
    "quarter": "rotated by 90 degrees clockwise",
    "back": "rotated by 90 degrees counterclockwise",
    "half": "rotated by 180 degrees",
    "mirror": "flipped left to right, about a vertical axis",
    "upturn": "flipped upside down, about a horizontal axis",
}
# Each sign turns into the next by a quarter turn clockwise: what they have on one side points left, up, right, down.
CIRCLES = ("<Λ>V", "C∩Ɔ∪", "⊢T⊣⊥", "←↑→↓")
CIRCLE_RESULTS = {"quarter": "1230", "back": "3012", "half": "2301", "mirror": "2103", "upturn": "0321"}
BOWLS = "bdpq"
BOWL_RESULTS = {"half": "3210", "mirror": "1032", "upturn": "2301"}
# Two signs and what turns do to them: "swap" makes each the other one, "keep" leaves them. Options are those of two
# such pairs.
PAIRS = (
    (("NZ", {"quarter": "swap", "back": "swap", "half": "keep"}),
     ("MW", {"half": "swap", "upturn": "swap", "mirror": "keep"})),
    (("A∀", {"half": "swap", "upturn": "swap", "mirror": "keep"}),
     ("EƎ", {"half": "swap", "mirror": "swap", "upturn": "keep"})),
    (("un", {"half": "swap", "upturn": "swap", "mirror": "keep"}),
     ("3Ɛ", {"half": "swap", "mirror": "swap", "upturn": "keep"})),
    (("=‖", {"quarter": "swap", "back": "swap", "half": "keep"}),
     ("—|", {"quarter": "swap", "back": "swap", "mirror": "keep"})),
    (("69", {"half": "swap"}), ("RЯ", {"mirror": "swap"})),
)  # fmt: skip
EDITS = (
    {"the tail of Q is taken away": "O", "the bar at the top of T is taken away": "I",
     "the leg at the lower right of R is taken away": "P", "the lowest bar of E is taken away": "F"},
    {"the slash through Ø is taken away": "O", "the bar at the foot of L is taken away": "I",
     "the lower bowl of B is taken away": "P", "the short stroke across the stem of ₣ is taken away": "F"},
    {"a short slanted tail is added at the lower right of O": "Q", "a slanted leg is added under the bowl of P": "R",
     "a bar is added at the foot of F": "E", "a second V is put to the right of V": "W"},
    {"a bar is added at the top of I": "T", "a bar is drawn between the middles of two I that stand side by side": "H",
     "a short bar pointing inwards is added at the lower end of C": "G", "a second bowl is added below that of P": "B"},
    {"a slash is drawn through =": "≠", "a vertical line is drawn through S": "$",
     "a slash is drawn through O": "Ø", "a vertical line is drawn through c": "¢"},
    {"the slash through ≠ is taken away": "=", "the vertical line through $ is taken away": "S",
     "the slash through ∅ is taken away": "O", "the vertical line through ¢ is taken away": "c"},
)  # fmt: skip


class Question(NamedTuple):
    """A question and its right answer."""

    text: str
    answer: str


def geometry_items(seed: int, count: int = COUNT, split: str = "test") -> list[Item]:
    """Questions with four options, rows counted from 1; as many as `available()` at most.

    Each place among the options is the right one equally often. The same arguments give the same items on every
    platform.

    Raises:
        ValueError: a negative count, or more questions than there are.
    """
    if not 0 <= count <= available():
        raise ValueError(
            f"count={count}: there are {available()} letter-geometry questions; ask for 0 to {available()}"
        )
    generator = random.Random(f"{FRESH_SET}/{seed}/{LETTER_GEOMETRY}/{split}")
    blocks = [shuffled(generator, block) for block in shuffled(generator, question_blocks())]
    chosen = [(question, block) for block in blocks for question in block][:count]
    places = shuffled(generator, [number % 4 for number in range(count)])
    items = []
    for row, ((question, block), place) in enumerate(zip(shuffled(generator, chosen), places, strict=True), start=1):
        options = shuffled(generator, [other.answer for other in block if other != question])
        options.insert(place, question.answer)
        items.append(Item(LETTER_GEOMETRY, split, row, question.text, question.answer, tuple(options), seed, FRESH_SET))
    return items


def available() -> int:
    """How many questions there are."""
    return sum(map(len, question_blocks()))


def question_blocks() -> list[tuple[Question, ...]]:
    """All questions in blocks of four; the options of each are the four answers of its block."""
    return [*_turned_blocks(), *_edited_blocks()]


def facts() -> list[tuple[str, str, str]]:
    """Sign, turn (a key of `TURNS`) and result, for all questions about turning."""
    return list(chain.from_iterable(_turned_facts()))


def _turned_blocks() -> Iterator[tuple[Question, ...]]:
    for block in _turned_facts():
        yield tuple(
            Question(f'What does "{sign}" look like most when it is {TURNS[turn]}?', result)
            for sign, turn, result in block
        )


def _turned_facts() -> Iterator[list[tuple[str, str, str]]]:
    tables = [(circle, CIRCLE_RESULTS) for circle in CIRCLES] + [(BOWLS, BOWL_RESULTS)]
    for signs, results in tables:
        for turn, places in results.items():
            yield [(sign, turn, signs[int(place)]) for sign, place in zip(signs, places, strict=True)]
    for first, second in PAIRS:
        for one, other in zip(_pair_facts(*first), _pair_facts(*second), strict=True):
            yield [*one, *other]


def _pair_facts(signs: str, effects: dict[str, str]) -> Iterator[list[tuple[str, str, str]]]:
    for turn, effect in effects.items():
        results = signs if effect == "keep" else signs[::-1]
        yield [(sign, turn, result) for sign, result in zip(signs, results, strict=True)]


def _edited_blocks() -> Iterator[tuple[Question, ...]]:
    for block in EDITS:
        yield tuple(Question(f"What does one get when {edit}?", answer) for edit, answer in block.items())
