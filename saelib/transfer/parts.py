"""The two tables of an evaluation on disk: parts that are written one by one, and what they are together.

In: scores of a part's SAEs, and of their rows. Out: `evaluation/<part>.parquet` and `evaluation_rows/<part>.parquet`;
`evaluation.parquet` and `evaluation_rows.parquet`, which are functions of the parts alone. A process may be killed
between any two files: a part counts once both of its files are there, and no joined table is there while it would lack
a part.
"""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from saelib.results.provenance import write_table
from saelib.transfer.tables import READING, Results, check_finite, check_paired, check_rows, concatenate


class EvaluationParts:
    """Parts by name in the folder of a run; whoever writes holds the run."""

    def __init__(self, run_folder: Path) -> None:
        """Nothing is written yet."""
        self.scores, self.rows = run_folder / "evaluation", run_folder / "evaluation_rows"
        self._joined = [run_folder / f"{folder.name}.parquet" for folder in (self.rows, self.scores)]

    def has(self, part: str) -> bool:
        """Whether it is finished."""
        return all((folder / f"{part}.parquet").is_file() for folder in (self.rows, self.scores))

    def read(self, parts: Iterable[str]) -> pd.DataFrame:
        """The scores of some parts in one table, in the order of their names here."""
        return pd.concat([pd.read_parquet(self.scores / f"{part}.parquet") for part in parts], ignore_index=True)

    def write(self, part: str, results: Results) -> None:
        """Keep a part. What is refused leaves none behind, which the next call would take.

        Raises:
            ValueError: a score is no number; or it was scored on other tokens than those that are there, or its rows
                are not its own.
        """
        check_finite(results.evaluation)
        others = [pd.read_parquet(path, columns=["eval_sha256", "ce_clean"]) for path in _files(self.scores)]
        check_paired(pd.concat([*others, results.evaluation]))
        check_rows(results)
        for joined in self._joined:
            joined.unlink(missing_ok=True)
        write_table(results.rows, self.rows / f"{part}.parquet")
        write_table(results.evaluation, self.scores / f"{part}.parquet")

    def is_joined(self) -> bool:
        """Whether the joined tables are there, and so hold all parts."""
        return all(path.is_file() for path in self._joined)

    def join(self) -> None:
        """Make the joined tables; a reading that several parts share has its rows once."""
        paths = [self.rows / path.name for path in _files(self.scores)]
        rows = pd.concat([pd.read_parquet(path) for path in paths if path.is_file()], ignore_index=True)
        rows = rows.drop_duplicates([*READING, "row"], ignore_index=True)
        for table, path in zip((rows, concatenate(self.scores)), self._joined, strict=True):
            write_table(table, path)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.parquet"))
