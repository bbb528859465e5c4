"""The small run on which faults are tried."""

import functools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from saelib.results import provenance
from saelib.sae.training.train import train
from saelib.transfer import passes
from tests.faults.bench import Bench
from tests.faults.stages import TEXT, World
from tests.faults.table import TALLY
from tests.faults.tally import Tally


@pytest.fixture(scope="session")
def tally(pytestconfig: pytest.Config) -> Tally:
    """Where outcomes are counted."""
    return pytestconfig.stash.setdefault(TALLY, Tally())


@pytest.fixture(scope="session")
def world(random_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The model and the text of all runs here."""
    text = tmp_path_factory.mktemp("text") / "prose.txt"
    text.write_text(TEXT)
    return World(random_model_folder, text)


@pytest.fixture(scope="session")
def finished(world: World, tally: Tally, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A finished small run."""
    if sys.platform != "linux":
        pytest.skip("faults are tried on Linux: forks, /proc, and file systems in memory")
    bench = Bench(world, tmp_path_factory.mktemp("bench"), tally)
    with _made_alike(bench):
        bench.finish()
    return bench


@pytest.fixture
def bench(finished: Bench) -> Iterator[Bench]:
    """The finished small run, to try faults on."""
    with _made_alike(finished):
        yield finished


@contextmanager
def _made_alike(bench: Bench) -> Iterator[None]:
    """Resume points after every chunk, and the same git commit in all tables."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAELIB_RUNS", str(bench.folder / "runs"))
        patch.setattr(provenance, "commit", lambda: "commit")
        patch.setattr(passes, "train", functools.partial(train, resume_seconds=0.0))
        yield
