"""What became of each fault that was tried, counted by kind; pytest prints the table at its end.

In: outcomes, one by one. Out: lines of a table: tried, recovered, refused clearly, wrong.
"""

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum


class Outcome(StrEnum):
    """What a run does after a fault."""

    RECOVERED = "recovered"
    """It ends, and what it shows is equal to what an undisturbed run shows."""
    REFUSED = "refused clearly"
    """It ends by an error of a documented type that names the file and says what to do."""
    WRONG = "wrong"
    """Another result, an error that helps nobody, or no end."""


class Tally:
    """Counts of outcomes by kind of fault."""

    def __init__(self) -> None:
        """Nothing was tried yet."""
        self.counts: Counter[tuple[str, Outcome]] = Counter()

    def add(self, kind: str, outcome: Outcome, count: int = 1) -> None:
        """Count a fault, or so many."""
        self.counts[kind, outcome] += count

    def counted(self) -> list[tuple[str, str, int]]:
        """All counts, as plain values."""
        return [(kind, str(outcome), count) for (kind, outcome), count in self.counts.items()]

    def lines(self) -> Iterable[str]:
        """The table; its last line has the sums."""
        kinds = list(dict.fromkeys(kind for kind, _ in self.counts))
        width = max(map(len, kinds), default=0)
        yield f"{'fault':<{width}}  {'tried':>6}" + "".join(f"  {outcome}" for outcome in Outcome)
        for kind in [*kinds, "all"]:
            counts = {outcome: self._count(kind, outcome) for outcome in Outcome}
            cells = "".join(f"  {count:>{len(outcome)}}" for outcome, count in counts.items())
            yield f"{kind:<{width}}  {sum(counts.values()):>6}{cells}"

    def _count(self, kind: str, outcome: Outcome) -> int:
        return sum(count for (one, other), count in self.counts.items() if other is outcome and kind in (one, "all"))
