"""Items in pairs of A and B that one cannot tell apart by counting.

In: a function that draws a text for a label, and views of a text. Out: pairs of texts with the same shape (characters,
words, digits, signs), so that both labels have every shape equally often.
"""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from saelib.htest.items.sentences import Shape, shape_of

WAITING = 1000  # texts of B that the first A can choose from; few would favour the commonest shapes among the first
PATIENCE = 20_000  # texts of A in a row that find no partner before we say that there are no more


def matched_pairs(
    draw: Callable[[str], str],
    same_as: Callable[[str], str],
    taken: frozenset[str],
    views: Sequence[Callable[[str], str]] = (str,),
) -> Iterator[tuple[str, str]]:
    """Pairs of A and B of one shape, without repeats, until there are no more.

    A mark that one label has and the other lacks takes room: where whole texts are as long, what stands beside the mark
    is shorter, and the other way round. So the pairs take turns: each has one shape in one of the views.

    Args:
        draw: makes a text for the label "A" or "B".
        same_as: what two texts have in common that count as the same.
        taken: what `same_as` gives for the texts to leave out.
        views: what may be seen of a text; the pairs take them in turn.
    """
    used = set(taken)  # only asked whether it holds a text: the order of a set differs between processes
    waiting: list[dict[Shape, list[str]]] = [defaultdict(list) for _ in views]

    def add_partner(turn: int) -> None:
        text = draw("B")
        if same_as(text) not in used:
            used.add(same_as(text))
            waiting[turn][shape_of(views[turn](text))].append(text)

    for number in range(WAITING):
        add_partner(number % len(views))
    last_pair, turn = 0, 0
    for drawn in itertools.count():
        text = draw("A")
        add_partner(turn)
        partners = waiting[turn][shape_of(views[turn](text))]
        if same_as(text) not in used and partners:
            used.add(same_as(text))
            yield text, partners.pop(0)
            last_pair, turn = drawn, (turn + 1) % len(views)
        if drawn - last_pair >= PATIENCE:
            return
