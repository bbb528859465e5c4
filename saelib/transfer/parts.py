"""The two tables of an evaluation on disk: parts that are written one by one, and what they are together.

In: scores of a part's SAEs, and of their rows. Out: `evaluation/<part>.parquet` and `evaluation_rows/<part>.parquet`,
and what each are together (`results.parted`). A process may be killed between any two files: a part counts once both of
its files are there and noted.
"""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from saelib.results.parted import PartedTable, concatenated
from saelib.transfer.checks import NEEDED, READING, Results, check_finite, check_paired, check_rows

ZERO_SHOT, SOURCE = "zero_shot", "source"  # parts that are no checkpoint's


def part_of(phase: str, tokens: int) -> str:
    """Name of the part with the SAEs of a phase at one checkpoint; sorted by it, they stand in the order of tokens."""
    return f"{phase}-{tokens:012d}"


class EvaluationParts:
    """Parts by name in the folder of a run; whoever writes holds the run."""

    def __init__(self, run_folder: Path, name: str = "evaluation") -> None:
        """Nothing is written yet.

        Args:
            name: of the table of scores; that of the rows is called `<name>_rows`.
        """
        self.scores = PartedTable(run_folder / name, NEEDED)
        self.rows = PartedTable(run_folder / f"{name}_rows", [*READING, "row"])

    def has(self, part: str) -> bool:
        """Whether it is finished."""
        return self.scores.has(part) and self.rows.has(part)

    @property
    def parts(self) -> list[str]:
        """Those that are finished, by name."""
        return [part for part in self.scores.parts if self.rows.has(part)]

    def read(self, parts: Iterable[str]) -> pd.DataFrame:
        """The scores of some parts in one table, in the order of their names here."""
        return self.scores.together(parts)

    def write(self, part: str, results: Results) -> None:
        """Keep a part. What is refused leaves none behind, which the next call would take.

        Raises:
            ValueError: a score is no number; or it was scored on other tokens than those that are there, or its rows
                are not its own.
        """
        check_finite(results.evaluation)
        others = [self.scores.read(other) for other in self.parts if other != part]
        check_paired(concatenated([*others, results.evaluation]))
        check_rows(results)
        assert results.rows is not None
        self.rows.write(part, results.rows)
        self.scores.write(part, results.evaluation)

    def together(self) -> Results:
        """All parts; without any, the joined tables, of which that of the rows may lack.

        Raises:
            FileNotFoundError: there are neither.
            ValueError: they were not scored alike, or their rows are not theirs.
        """
        parts = self.parts
        results = Results(self.scores.together(parts), self._rows(parts))
        if "eval_sha256" in results.evaluation:
            check_paired(results.evaluation)
        if results.rows is not None:
            check_rows(results)
        return results

    def _rows(self, parts: list[str]) -> pd.DataFrame | None:
        """Those of finished parts; a reading that several parts share has its rows once."""
        if not parts:
            return self.rows.together(parts) if self.rows.path.is_file() else None
        return self.rows.together(parts).drop_duplicates([*READING, "row"], ignore_index=True)

    def is_joined(self) -> bool:
        """Whether the joined tables are there, and are those of the parts."""
        parts = self.parts
        return self.scores.is_joined(parts) and self.rows.is_joined(parts)

    def join(self) -> None:
        """Make the joined tables."""
        parts, results = self.parts, self.together()
        assert results.rows is not None  # each part has its own
        self.rows.join(parts, results.rows)
        self.scores.join(parts, results.evaluation)
