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


def lines_of(lock: str) -> list[str]:
    return [line for line in (PROJECT / lock).read_text(encoding="utf-8").splitlines() if not line.startswith("#")]


def pins(lines: list[str]) -> dict[str, str]:
    return {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}


USER_LINES, TEST_LINES = lines_of("requirements.lock"), lines_of("requirements-test.lock")
USER_LOCK, LOCK = pins(USER_LINES), pins(USER_LINES + TEST_LINES)
USED = [Requirement(text) for text in PYPROJECT["dependencies"]]
TESTED = [Requirement(text) for text in PYPROJECT["optional-dependencies"]["test"]]
REQUIREMENTS = USED + TESTED
OF_ONE_MACHINE = ("nvidia-", "cuda-", "triton")


def needed(wanted: list[Requirement]) -> set[str]:
    """What the installed packages ask for on this platform, one after the other."""
    waiting = [(canonicalize_name(requirement.name), extra) for requirement in wanted for extra in _extras(requirement)]
    found = set(waiting)
    while waiting:
        name, extra = waiting.pop()
        for requirement in map(Requirement, metadata.requires(name) or []):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                more = {(canonicalize_name(requirement.name), inner) for inner in _extras(requirement)} - found
                found |= more
                waiting += sorted(more)
    return {name for name, _ in found if not name.startswith(OF_ONE_MACHINE)}


def _extras(requirement: Requirement) -> tuple[str, ...]:
    return ("", *requirement.extras)


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=lambda requirement: requirement.name)
def test_the_lock_pins_what_pyproject_asks_for(requirement: Requirement) -> None:
    lock = USER_LOCK if requirement in USED else LOCK
    assert requirement.specifier.contains(lock[canonicalize_name(requirement.name)])


def test_the_lock_holds_exact_versions_and_nothing_of_one_machine() -> None:
    for line in USER_LINES + TEST_LINES:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!]+", line), line  # no URL, path, hash or "+cpu"
    assert len(LOCK) == len(USER_LINES) + len(TEST_LINES)  # nothing stands in both
    assert not [name for name in LOCK if name.startswith(OF_ONE_MACHINE)]


def test_the_locks_hold_what_is_needed_and_no_more() -> None:
    """Every requirement of every pinned package, on this platform, is pinned and satisfied; users get no tools."""
    installed: dict[str, str] = {
        canonicalize_name(found.name): found.version.partition("+")[0] for found in metadata.distributions()
    }
    if others := [name for name, version in LOCK.items() if installed.get(name) != version]:
        pytest.skip(
            f"{', '.join(others)}: other versions are installed than the lock has, so it cannot be checked here"
        )
    assert needed(USED) == set(USER_LOCK)
    assert needed(REQUIREMENTS) == set(LOCK)
    for name in LOCK:
        for requirement in map(Requirement, metadata.requires(name) or []):
            is_chosen = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if is_chosen and not requirement.name.startswith(OF_ONE_MACHINE):
                pinned = LOCK[canonicalize_name(requirement.name)]
                assert requirement.specifier.contains(pinned, prereleases=True), f"{name} wants {requirement}"


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
