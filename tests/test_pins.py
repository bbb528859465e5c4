"""pyproject.toml, requirements.lock and environment.yml ask for one and the same environment."""

import re
import tomllib
from importlib import metadata

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from saelib.language.corpus import docstrings
from saelib.run.files import PROJECT

PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCK_LINES = [
    line
    for line in (PROJECT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]
LOCK: dict[str, str] = {
    canonicalize_name(name): version for name, _, version in (line.partition("==") for line in LOCK_LINES)
}
REQUIREMENTS = [Requirement(text) for text in (*PYPROJECT["dependencies"], *PYPROJECT["optional-dependencies"]["test"])]


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=lambda requirement: requirement.name)
def test_the_lock_pins_what_pyproject_asks_for(requirement: Requirement) -> None:
    assert requirement.specifier.contains(LOCK[canonicalize_name(requirement.name)])


def test_the_lock_holds_exact_versions_and_nothing_of_one_machine() -> None:
    for line in LOCK_LINES:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!]+", line), line  # no URL, path, hash or "+cpu"
    assert len(LOCK) == len(LOCK_LINES)
    assert not [name for name in LOCK if name.startswith(("nvidia-", "cuda-", "triton"))]


def test_the_lock_is_complete() -> None:
    """Every requirement of every pinned package, on this platform, is pinned too, and satisfied."""
    installed: dict[str, str] = {
        canonicalize_name(found.name): found.version.partition("+")[0] for found in metadata.distributions()
    }
    if others := [name for name, version in LOCK.items() if installed.get(name) != version]:
        pytest.skip(
            f"{', '.join(others)}: other versions are installed than the lock has, so it cannot be checked here"
        )
    for name in LOCK:
        for text in metadata.requires(name) or []:
            requirement = Requirement(text)
            chosen = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if chosen and not requirement.name.startswith(("nvidia-", "cuda-", "triton")):
                assert requirement.specifier.contains(LOCK[canonicalize_name(requirement.name)], prereleases=True), text


def test_torch_is_pinned_in_pyproject_as_in_every_lock() -> None:
    torch = next(requirement for requirement in REQUIREMENTS if requirement.name == "torch")
    assert str(torch.specifier) == f"=={LOCK['torch']}"
    for lock in PROJECT.glob("benchmarks/*.lock"):
        assert f"torch=={LOCK['torch']}" in lock.read_text(encoding="utf-8").splitlines()


def test_conda_reads_the_same_pins() -> None:
    environment = yaml.safe_load((PROJECT / "environment.yml").read_text(encoding="utf-8"))
    python, pip, packages = environment["dependencies"]
    assert SpecifierSet(PYPROJECT["requires-python"]).contains(python.removeprefix("python="))
    assert pip == "pip"
    assert packages == {"pip": ["-r requirements.lock", "-e ."]}


def test_packages_read_for_the_corpus_are_pinned() -> None:
    """Another version of one of them is another corpus."""
    assert {canonicalize_name(name) for name in docstrings.PACKAGES} <= set(LOCK)
    wanted = {canonicalize_name(requirement.name) for requirement in REQUIREMENTS}
    assert {canonicalize_name(name) for name in docstrings.PACKAGES} <= wanted
