"""The H-Test half of `make bench`: what is compared, what is reported, and that unlike numbers stop it."""

import csv
import json
import sys
from pathlib import Path

import pytest

from benchmarks import htest
from benchmarks.htest_work import ITEMS_FILE, Process, largest_difference, read_samples, run_process
from saelib.htest.items.item import write_items
from saelib.language.embedded import EMBEDDED_FOLDER
from tests.helpers.made_items import made_items

KIT = htest.Row("this kit", 200, 50, 5.0, 1.0, 500, 2, None)
PEER = htest.Row("lm-eval, batch size 8", 200, 50, 60.0, 30.0, 1300, 2, 5e-6)


def test_report_says_how_many_times_faster() -> None:
    lines = htest.markdown([KIT, PEER], ["rhyme"], "Kit: torch 2", repeats=1).splitlines()
    row = next(line for line in lines if line.startswith("| lm-eval"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == ["lm-eval, batch size 8", "30.00", "30.0 times", "60.0", "12.0 times", "1,300", "5.0e-06"]


def test_csv_holds_every_row(tmp_path: Path) -> None:
    htest.write_csv([KIT, PEER], tmp_path / "benchmark.csv")
    with (tmp_path / "benchmark.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["program"] for row in rows] == [KIT.program, PEER.program]
    assert [row["largest_difference"] for row in rows] == ["", "5e-06"]


def test_differences_are_found_and_missing_items_refused() -> None:
    ours = {"a": [-1.0, -2.0], "b": [-3.0, -4.0]}
    assert largest_difference(ours, {"b": [-3.0, -4.5], "a": [-1.1, -2.0]}) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="1 items are on one side only"):
        largest_difference(ours, {"a": [-1.0, -2.0]})


def test_other_log_probabilities_stop_the_benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "lm_eval-8" / "model"
    folder.mkdir(parents=True)
    sample = {"doc": {"key": "a"}, "filtered_resps": [["-1.0", "False"], ["-2.0", "True"]]}
    (folder / "samples_htest.jsonl").write_text(json.dumps(sample) + "\n")
    assert read_samples(tmp_path) == {"a": [-1.0, -2.0]}
    monkeypatch.setattr(htest, "run_process", lambda *arguments, **named: Process(1.0, 1, ""))
    with pytest.raises(AssertionError, match=r"differ from the kit's by 0\.5"):
        htest.measure_lm_eval(tmp_path, EMBEDDED_FOLDER, "g", KIT, {"a": [-1.0, -2.5]}, 8, Path("python"), repeats=1)


def test_no_samples_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no samples"):
        read_samples(tmp_path)


def test_kit_process_answers_every_item(tmp_path: Path) -> None:
    write_items(tmp_path / ITEMS_FILE, [*made_items(4, "dev"), *made_items(6)])
    row, found = htest.measure_kit(tmp_path, EMBEDDED_FOLDER, ["uppercase"], k=4, repeats=1)
    assert set(found) == {item.key for item in made_items(6)}
    assert all(len(values) == 2 and max(values) < 0 for values in found.values())
    assert (row.items, row.k) == (6, 4)
    assert 0 < row.scoring_seconds < row.process_seconds


def test_failing_process_is_explained(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no good reason"):
        run_process([sys.executable, "-c", "raise SystemExit('no good reason')"], tmp_path)


def test_missing_peers_environment_is_explained(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="make peers"):
        htest.main(["--peers-python", str(tmp_path / "python"), "--results", str(tmp_path)])
