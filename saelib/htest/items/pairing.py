"""Items in pairs of A and B that one cannot tell apart by counting.

In: a function that draws a text for a label. Out: pairs of texts with the same shape (characters, words, non-letters),
so that both labels have every shape equally often.
"""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator

from saelib.htest.items.sentences import Shape, shape_of

WAITING = 1000  # texts of B that the first A can choose from; few would favour the commonest shapes among the first
PATIENCE = 20_000  # texts of A in a row that find no partner before we say that there are no more


def matched_pairs(
    draw: Callable[[str], str], same_as: Callable[[str], str], taken: frozenset[str]
) -> Iterator[tuple[str, str]]:
    """Pairs of A and B of one shape, without repeats, until there are no more.

    Args:
        draw: makes a text for the label "A" or "B".
        same_as: what two texts have in common that count as the same.
        taken: what `same_as` gives for the texts to leave out.
    """
    used = set(taken)  # only asked whether it holds a text: the order of a set differs between processes
    waiting: dict[Shape, list[str]] = defaultdict(list)

    def add_partner() -> None:
        text = draw("B")
        if same_as(text) not in used:
            used.add(same_as(text))
            waiting[shape_of(text)].append(text)

    for _ in range(WAITING):
        add_partner()
    last_pair = 0
    for drawn in itertools.count():
        text = draw("A")
        add_partner()
        if same_as(text) not in used and waiting[shape_of(text)]:
            used.add(same_as(text))
            yield text, waiting[shape_of(text)].pop(0)
            last_pair = drawn
        if drawn - last_pair >= PATIENCE:
            return
