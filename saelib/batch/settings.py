"""What a batch run was told: PRESET, RUN, SEED and HTEST, from the environment, which changes nothing in them.

In: the environment. Out: the settings, checked as every notebook will check them, before one is started.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saelib.htest.config import resolve_htest_config
from saelib.run.command import make_command
from saelib.run.config import RunConfig
from saelib.run.files import runs_folder
from saelib.run.lock import refuse_double
from saelib.run.typed import typed_fields, typed_seed
from saelib.transfer.presets import resolve_config

NAMES = ("PRESET", "RUN", "SEED", "HTEST")


@dataclass(frozen=True)
class Settings:
    """What a batch run was told."""

    preset: str
    run: str
    seed: int | None
    """None leaves it to the notebooks."""
    htest: Mapping[str, Any]
    """Fields of `saelib.htest.config.HTestConfig`, for the notebooks that take it."""

    @property
    def folder(self) -> Path:
        """`runs/<run>`, the full path."""
        return runs_folder() / self.run

    @property
    def command(self) -> str:
        """Starts this run again."""
        return make_command(self.preset, self.run, self.seed, self.htest)

    def parameters(self, htest: bool) -> dict[str, Any]:
        """Of a notebook.

        Args:
            htest: whether it takes the fields of H-Test.
        """
        names = {"preset": self.preset, "run": self.run} | ({} if self.seed is None else {"seed": self.seed})
        return names | (dict(self.htest) if htest else {})


def settings_from(environment: Mapping[str, str]) -> Settings:
    """The settings, checked; what is absent or empty is not set.

    Raises:
        ValueError: names the first setting that is wrong, or all that one config finds.
        FileExistsError: the run's folder would be another run's on many file systems.
    """
    preset, run, seed, htest = (environment.get(name, "") for name in NAMES)
    preset = preset or "tiny"
    found = Settings(preset, run or preset, typed_seed(seed), typed_fields("htest", htest, RunConfig.model_fields))
    resolve_config(**found.parameters(htest=False))
    resolve_htest_config(**found.parameters(htest=True))
    refuse_double(found.folder)
    return found
