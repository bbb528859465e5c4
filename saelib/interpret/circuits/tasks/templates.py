"""The tasks of the paper and of its sources, as templates: what is drawn, and what the patch changes.

In: a tokenizer with its words. Out: for each task a function that draws one example. Each patch is itself a prompt of
the task with another answer, so that both kinds stand on both sides; greater-than alone has none such, and says so.

- Indirect objects (Wang et al. 2023, arXiv 2211.00593): two people, one gives something to the other. The patch lets
  the other one give.
- Greater than (Hanna et al. 2023, arXiv 2305.00586): a period ends after it began. The patch begins it in the first
  year of the century, after which any year may come.
- Agreement (Marks et al. 2024, arXiv 2403.19647): a verb agrees with the subject across a relative clause, whose own
  noun has either number. The patch has the subject in the other number.
- Argument order (Heimersheim and Janiak 2023): a docstring goes through the arguments as the signature does. The patch
  swaps the argument that comes next with the one after it.
- Brackets: what is open is closed by its own kind. The patch opens another kind.
"""

import numpy as np

from saelib.interpret.circuits.tasks import words as lists
from saelib.interpret.circuits.tasks.prompts import Draw, Example, TaskError, Words, chosen

BRACKETS = (("(", ")"), ("[", "]"), ("{", "}"))
CENTURIES = ("16", "17", "18")
LISTED = 5  # arguments of a signature; the docstring has come to the third


def indirect_objects(words: Words) -> Draw:
    """Whom is it given to? The one who does not give."""
    names = words.known(lists.NAMES, 8, "first names")
    places, gifts = words.known(lists.PLACES, 4, "places"), words.known(lists.GIFTS, 4, "gifts")

    def draw(random: np.random.Generator) -> Example | None:
        first, second = chosen(random, names, 2)
        place, gift = chosen(random, places)[0], chosen(random, gifts)[0]
        giver, other = (first, second) if random.integers(2) else (second, first)
        before = f"When{first} and{second} went to the{place},"
        return words.example(f"{before}{giver} gave a{gift} to", f"{before}{other} gave a{gift} to", other, giver)

    return draw


def greater_than(words: Words) -> Draw:
    """In which year did it end? Later than it began: two digits of the year, or one where digits stand alone."""
    events = words.known(lists.EVENTS, 4, "events")
    whole = sum(words.answer("to the year 17", f"{year}") is not None for year in range(11, 99)) > 60
    step, first, last = (1, "01", 99) if whole else (10, "0", 9)

    def draw(random: np.random.Generator) -> Example | None:
        event, century = chosen(random, events)[0], chosen(random, CENTURIES)[0]
        year = int(random.integers(20, 80))
        begun = year // step
        right, wrong = random.integers(begun + 1, last + 1), random.integers(1 if step > 1 else 2, begun)
        width = 1 if step > 1 else 2
        ending = f" to the year {century}"
        clean, patch = (f"The{event} lasted from the year {century}{start}{ending}"
                        for start in (f"{year:02}", first + f"{year % 10}" * (step > 1)))  # fmt: skip
        return words.example(clean, patch, f"{right:0{width}}", f"{wrong:0{width}}")

    return draw


def agreement(words: Words) -> Draw:
    """is or are? As the subject says, not as the noun of the clause does."""
    kinds = [(lists.NOUNS, lists.SEEN), (lists.THINGS, lists.USED)]
    sets = []
    for nouns, verbs in kinds:
        try:
            sets.append((words.pairs(nouns, 8, "nouns with their plurals"), words.known(verbs, 3, "verbs")))
        except TaskError as error:
            reason = error
    if not sets:
        raise reason
    ends = words.pairs(lists.VERBS, 1, "verbs with their plurals")

    def draw(random: np.random.Generator) -> Example | None:
        nouns, verbs = sets[random.integers(len(sets))]
        subject, other = (nouns[place] for place in random.choice(len(nouns), 2, replace=False))
        verb, end = chosen(random, verbs)[0], ends[random.integers(len(ends))]
        number, clause = random.integers(2), other[random.integers(2)]
        clean, patch = (f"The{subject[one]} that the{clause}{verb}" for one in (number, 1 - number))
        return words.example(clean, patch, end[number], end[1 - number])

    return draw


def argument_order(words: Words) -> Draw:
    """Which argument is described next? The signature says so."""
    arguments = words.known(lists.ARGUMENTS, 12, "names of arguments")
    things = words.known(lists.SINGULAR_THINGS, 8, "things")

    def draw(random: np.random.Generator) -> Example | None:
        named = chosen(random, arguments, LISTED + 1)
        one, two = chosen(random, things, 2)
        swapped = [*named[:2], named[3], named[2], *named[4:]]
        texts = []
        for order in (named, swapped):
            signature = ",".join(order[:LISTED])
            texts.append(
                f'def{named[-1]}(self,{signature}):\n    """The{one} of the{two}.\n\n    :param{named[0]}: the{two}\n'
                f"    :param{named[1]}: the{one}\n    :param"
            )
        clean, patch = texts
        return words.example(clean, patch, named[2], named[3])

    return draw


def brackets(words: Words) -> Draw:
    """Which bracket closes? The one of the kind that was opened."""
    things = words.known(lists.SINGULAR_THINGS, 8, "things")
    kinds = [(start, end) for start, end in BRACKETS if words.token(f" {start}") is not None]
    if len(kinds) < 2:
        raise TaskError(f"{len(kinds)} of {len(BRACKETS)} opening brackets are one token, 2 are needed")

    def draw(random: np.random.Generator) -> Example | None:
        here, there, last = chosen(random, things, 3)
        (start, end), (other, other_end) = (kinds[place] for place in random.choice(len(kinds), 2, replace=False))
        clean, patch = (f"The{here} of the{there} {sign}the{last}" for sign in (start, other))
        return words.example(clean, patch, end, other_end)

    return draw
