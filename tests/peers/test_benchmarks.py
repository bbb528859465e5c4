"""`make bench` at sizes that mean nothing: every competitor does the same work and reaches the table."""

import csv
from pathlib import Path
from typing import Any

import pytest

from benchmarks import compare
from benchmarks.workload import Workload

SMALL = {"layers": 2, "d_model": 32, "d_sae": 64, "vocabulary": 128, "context": 32, "batch_tokens": 256,
         "tokens": 1024, "experiment_tokens": 2048}  # fmt: skip
OPTIONS = [text for name, value in SMALL.items() for text in (f"--{name.replace('_', '-')}", str(value))]


def result(rate: float) -> compare.Result:
    """What a competitor reports, in the parts that the table shows."""
    return {"sae_tokens": 1000, "seconds": 1000 / rate, "sae_tokens_per_second": rate, "peak_memory_mb": 1}


def test_all_competitors_do_the_same_work(peers_python: Path, tmp_path: Path) -> None:
    compare.main([*OPTIONS, "--peers-python", str(peers_python), "--results", str(tmp_path)])
    with (tmp_path / "benchmark.csv").open(encoding="utf-8") as stream:
        rows = {row["competitor"]: row for row in csv.DictReader(stream)}
    assert list(rows) == [competitor.key for competitor in compare.ALL]
    one_pass = {int(rows[competitor.key]["sae_tokens"]) for competitor in (*compare.ONE_PASS, compare.YARDSTICK)}
    assert one_pass == {2 * 1024}
    experiment = {int(rows[competitor.key]["sae_tokens"]) for competitor in compare.EXPERIMENT}
    assert experiment == {2 * 2048 + 2 * 1024}  # two scratch SAEs, one forward and one backward transfer
    report = (tmp_path / "benchmark.md").read_text(encoding="utf-8")
    assert all(competitor.title in report for competitor in compare.ALL)


def test_ratio_is_of_speeds_not_of_seconds() -> None:
    ours, theirs = result(500.0), result(100.0)
    text = compare.table([(compare.ONE_PASS[0], ours), (compare.ONE_PASS[1], theirs)], ours)
    assert "| 5.0 times |" in text.splitlines()[-1]
    assert "times" not in text.splitlines()[-2]


def test_fastest_run_counts() -> None:
    assert compare.best_of([result(100.0), result(300.0), result(200.0)]) == result(300.0)


@pytest.mark.parametrize("wrong", [{"tokens": 1000}, {"experiment_tokens": 0}, {"d_sae": 100}, {"batch_tokens": 100}])
def test_impossible_sizes_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Workload(**{**SMALL, **wrong})


def test_failing_competitor_is_named(tmp_path: Path) -> None:
    missing = compare.Competitor("nobody", "dense_loop", "no_such_measure", peer=False)
    with pytest.raises(RuntimeError, match="dense_loop.no_such_measure failed"):
        compare.run(missing, tmp_path, compare.PEERS_PYTHON)


def test_missing_peers_environment_is_explained(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="make bench"):
        compare.main(["--peers-python", str(tmp_path / "python"), "--results", str(tmp_path)])
