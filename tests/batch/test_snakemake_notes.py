"""Results whose note Snakemake cannot read count as unfinished; the others are left alone."""

import json
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest

from saelib.batch.snakemake_notes import (
    NOTES,
    RESULTS,
    UNFINISHED,
    doubt_results_of_lost_parts,
    doubt_results_without_note,
    has_notes,
)
from saelib.run.manifest import MANIFEST, note_part

RESULT = "notebooks/13_convergence.ipynb"
NAME = urlsafe_b64encode(RESULT.encode()).decode()
WHOLE = json.dumps({"params": ["'a'"], "record_format_version": 6, "rule": "13_convergence"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run with one result."""
    (tmp_path / NOTES).mkdir(parents=True)
    (tmp_path / RESULT).parent.mkdir()
    (tmp_path / RESULT).write_text("executed")
    return tmp_path


def test_a_result_with_its_note_is_finished(folder: Path) -> None:
    (folder / NOTES / NAME).write_text(WHOLE)
    doubt_results_without_note(folder)
    assert (folder / NOTES / NAME).read_text() == WHOLE
    assert not (folder / UNFINISHED).exists()


@pytest.mark.parametrize("note", [None, b"", b"{", WHOLE[:-1].encode(), b"\xff\xff", b"3", b"[]", b"null", b"{}",
                                  b'{"params": null}', b'{"params": 3}', bytes(40)])  # fmt: skip
def test_a_result_without_a_whole_note_is_unfinished(folder: Path, note: bytes | None) -> None:
    if note is not None:
        (folder / NOTES / NAME).write_bytes(note)
    doubt_results_without_note(folder)
    assert [path.name for path in (folder / UNFINISHED).iterdir()] == [NAME]
    assert not (folder / NOTES / NAME).exists()
    assert (folder / RESULT).read_text() == "executed"


def test_what_is_not_there_needs_no_note(tmp_path: Path) -> None:
    doubt_results_without_note(tmp_path)
    assert not [*tmp_path.iterdir()]
    assert not has_notes(tmp_path)


@pytest.mark.parametrize("lost", ["", "zero_shot.parquet", MANIFEST])
def test_where_a_part_of_a_table_is_lost_its_notebooks_run_again(folder: Path, lost: str) -> None:
    makers = ["notebooks/11_scratch_saes.ipynb", "notebooks/12_layer_transfer.ipynb"]
    for result in makers:
        (folder / result).write_text("executed")
    evaluation = folder / "evaluation"
    evaluation.mkdir()
    for part in ("scratch.parquet", "zero_shot.parquet"):
        (evaluation / part).write_text(part)
        note_part(evaluation, part)
    if lost == MANIFEST:
        (evaluation / MANIFEST).write_text("{")
    elif lost:
        (evaluation / lost).unlink()
    doubt_results_of_lost_parts(folder)
    marked = {path.name for path in (folder / UNFINISHED).glob("*")}
    assert marked == {urlsafe_b64encode(result.encode()).decode() for result in makers if lost}


def test_every_result_of_a_batch_run_is_looked_at() -> None:
    assert RESULT in RESULTS and "report.html" in RESULTS
