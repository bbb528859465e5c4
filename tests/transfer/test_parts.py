"""What the parts of an evaluation are together, and what is not kept. Kills are tested in `test_stages`."""

from pathlib import Path

import pandas as pd
import pytest

from saelib.results.provenance import write_table
from saelib.transfer.checks import Results
from saelib.transfer.parts import EvaluationParts


def part(**losses: float) -> Results:
    """SAEs by name with the loss of a row; a second row has one more."""
    names = list(losses)
    keys = {"arm": "scratch", "config_sha256": "c", "sae_sha256": names, "act_layer": 1, "eval_sha256": "e"}
    scores = pd.DataFrame({**keys, "ce_clean": 1.5})
    lines = [
        {"sae_sha256": name, "act_layer": 1, "row": row, "ce_clean": 1.0 + row, "mse": losses[name] + row}
        for name in names
        for row in (0, 1)
    ]
    return Results(scores.assign(mse=[loss + 0.5 for loss in losses.values()]), pd.DataFrame(lines))


def test_a_reading_that_parts_share_has_its_rows_once(tmp_path: Path) -> None:
    parts = EvaluationParts(tmp_path)
    parts.write("a", part(x=1.0, y=2.0))
    parts.write("b", part(y=2.0, z=3.0))
    assert not parts.is_joined()
    parts.join()
    assert parts.is_joined()
    assert pd.read_parquet(tmp_path / "evaluation.parquet")["sae_sha256"].tolist() == ["x", "y", "y", "z"]
    rows = pd.read_parquet(tmp_path / "evaluation_rows.parquet")
    assert rows[["sae_sha256", "row", "mse"]].to_numpy().tolist() == [
        ["x", 0, 1], ["x", 1, 2], ["y", 0, 2], ["y", 1, 3], ["z", 0, 3], ["z", 1, 4],
    ]  # fmt: skip
    assert parts.read(["b", "a"])["sae_sha256"].tolist() == ["y", "z", "x", "y"]


def test_rows_of_a_part_that_is_not_finished_are_not_joined(tmp_path: Path) -> None:
    parts = EvaluationParts(tmp_path)
    parts.write("a", part(x=1.0))
    write_table(part(y=2.0).rows, tmp_path / "evaluation_rows" / "b.parquet")
    assert parts.has("a") and not parts.has("b")
    parts.join()
    assert set(pd.read_parquet(tmp_path / "evaluation_rows.parquet")["sae_sha256"]) == {"x"}


def test_what_is_refused_leaves_everything_as_it_was(tmp_path: Path) -> None:
    parts, good = EvaluationParts(tmp_path), part(x=1.0)
    parts.write("a", good)
    parts.join()
    with pytest.raises(ValueError, match="clean losses differ"):
        parts.write("b", good._replace(evaluation=good.evaluation.assign(ce_clean=1.6)))
    with pytest.raises(ValueError, match="mse differs"):
        parts.write("b", good._replace(evaluation=good.evaluation.assign(mse=1.6)))
    assert parts.is_joined() and not parts.has("b")
    assert [path.name for path in (tmp_path / "evaluation_rows").glob("*.parquet")] == ["a.parquet"]
