"""Every number says where it comes from."""

import json
import subprocess
from importlib import metadata
from pathlib import Path

import pandas as pd
import pytest

from saelib.results import provenance as module
from saelib.results.provenance import check_origin, commit, provenance, write_table
from saelib.run.reading import DamagedFileError
from tests.helpers.small_run import SmallRun


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of its own, with one commit."""
    for name in ("saelib", "notes"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text("1")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    monkeypatch.setattr(module, "PROJECT", tmp_path)
    return tmp_path


def test_the_commit_says_whether_the_library_differs_from_it(project: Path) -> None:
    head = git(project, "rev-parse", "HEAD")
    assert commit() == head
    (project / "notes" / "a.txt").write_text("2")  # decides no number
    assert commit() == head
    (project / "saelib" / "a.txt").write_text("2")
    assert commit() == f"{head}+changes"


def test_outside_a_checkout_the_commit_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROJECT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert commit() == "unknown"


def test_rows_carry_config_commit_and_versions(tmp_path: Path) -> None:
    config = SmallRun(tmp_path / "mine").config
    columns = provenance(config, {"language_model": "b", "corpus": "a"})
    assert columns["config_sha256"] == config.sha256()
    assert columns["inputs"] == '{"corpus": "a", "language_model": "b"}'
    assert columns["commit"] == commit()
    assert json.loads(columns["versions"])["torch"] == metadata.version("torch")


def test_a_table_comes_back(tmp_path: Path) -> None:
    table = pd.DataFrame({"arm": ["scratch", "forward"], "source_layer": pd.array([None, 1], "Int64")})
    write_table(table, tmp_path / "below" / "a.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "below" / "a.parquet"), table)
    assert [path.name for path in (tmp_path / "below").iterdir()] == ["a.parquet"]


def origin(**inputs: str) -> str:
    return json.dumps(inputs)


def test_a_table_of_another_content_than_its_run_is_refused(tmp_path: Path) -> None:
    run = SmallRun(tmp_path / "mine")
    run.inputs["corpus"] = "1" * 64
    run.claim()
    path = run.folder / "evaluation.parquet"
    check_origin(pd.DataFrame({"inputs": [origin(corpus="1" * 64)] * 2}), path)
    check_origin(pd.DataFrame({"mse": [1.0]}), path)  # an earlier release's
    with pytest.raises(
        FileExistsError, match=r"evaluation\.parquet has rows made from another content \(corpus was 11"
    ):
        check_origin(pd.DataFrame({"inputs": [origin(corpus="2" * 64)] * 2}), path)


def test_a_table_of_two_contents_is_refused_wherever_it_lies(tmp_path: Path) -> None:
    rows = pd.DataFrame({"inputs": [origin(corpus="1" * 64), origin(corpus="2" * 64)]})
    with pytest.raises(ValueError, match="rows made from different models or texts; start another run"):
        check_origin(rows, tmp_path / "evaluation.parquet")
    with pytest.raises(ValueError, match="rows made from different models or texts"):
        check_origin(rows.assign(inputs=[origin(corpus="1" * 64), None]), tmp_path / "evaluation.parquet")


@pytest.mark.parametrize("line", ["nope", "[]", "3"])
def test_a_table_that_does_not_say_of_what_it_was_made_is_named(tmp_path: Path, line: str) -> None:
    with pytest.raises(DamagedFileError, match=r"evaluation\.parquet is no table of results: its column inputs cannot"):
        check_origin(pd.DataFrame({"inputs": [line]}), tmp_path / "evaluation.parquet")
