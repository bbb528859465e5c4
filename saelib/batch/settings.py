"""What a batch run was told: PRESET, RUN, SEED and fields of configs, by the environment, which changes none of them.

In: the environment. Out: the settings, checked as every notebook will check them, before one is started.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from saelib.htest.config import HTestConfig, resolve_htest_config
from saelib.interpret.config import InterpretConfig, resolve_interpret_config
from saelib.run.command import make_command
from saelib.run.config import RunConfig
from saelib.run.files import runs_folder
from saelib.run.lock import refuse_double
from saelib.run.typed import typed_fields, typed_seed
from saelib.transfer.config import ExperimentConfig
from saelib.transfer.presets import resolve_config

Fields = Mapping[str, Any]


class OfConfig(NamedTuple):
    """A config whose fields may be given."""

    kind: type[RunConfig]
    resolve: Callable[..., RunConfig]


CONFIGS = {
    "transfer": OfConfig(ExperimentConfig, resolve_config),
    "interpret": OfConfig(InterpretConfig, resolve_interpret_config),
    "htest": OfConfig(HTestConfig, resolve_htest_config),
}
"""By the name that a notebook has for it (`notebooks.Notebook.configs`), and the setting in capitals."""
NAMES = ("PRESET", "RUN", "SEED", *map(str.upper, CONFIGS))


@dataclass(frozen=True)
class Settings:
    """What a batch run was told."""

    preset: str
    run: str
    seed: int | None
    """None leaves it to the notebooks."""
    fields: Mapping[str, Fields]
    """Of each config that was told something, by its name in `CONFIGS`."""

    @property
    def folder(self) -> Path:
        """`runs/<run>`, the full path."""
        return runs_folder() / self.run

    @property
    def command(self) -> str:
        """Starts this run again."""
        return make_command(self.preset, self.run, self.seed, self.fields)

    def of(self, config: str) -> Fields:
        """The fields that one config was told."""
        return self.fields.get(config, {})

    def parameters(self, *configs: str) -> dict[str, Any]:
        """Of a notebook.

        Args:
            configs: whose fields it takes, by name.
        """
        found = {"preset": self.preset, "run": self.run} | ({} if self.seed is None else {"seed": self.seed})
        for config in configs:
            found |= self.of(config)
        return found


def settings_from(environment: Mapping[str, str]) -> Settings:
    """The settings, checked; what is absent or empty is not set.

    Raises:
        ValueError: names the first setting that is wrong, or all that one config finds.
        FileExistsError: the run's folder would be another run's on many file systems.
    """
    preset, run, seed = (environment.get(name, "") for name in ("PRESET", "RUN", "SEED"))
    preset, number = preset or "tiny", typed_seed(seed)
    told = {name: typed_fields(name, environment.get(name.upper(), ""), RunConfig.model_fields) for name in CONFIGS}
    found = Settings(preset, run or preset, number, {name: fields for name, fields in told.items() if fields})
    for name, config in CONFIGS.items():
        config.resolve(**found.parameters(name))
    _refuse_halves(found)
    refuse_double(found.folder)
    return found


def _refuse_halves(settings: Settings) -> None:
    """Refuse a field of several configs that is not told all of them: a notebook that takes them has it once.

    Raises:
        ValueError: names the field, and the settings that have to have it.
    """
    for field in dict.fromkeys(field for fields in settings.fields.values() for field in fields):
        knowing = [name for name, config in CONFIGS.items() if _decides(config.kind, field)]
        told = [settings.of(name).get(field) for name in knowing if field in settings.of(name)]
        if len(knowing) > 1 and (len(told) < len(knowing) or any(value != told[0] for value in told)):
            raise ValueError(
                f"{field}: {' and '.join(map(str.upper, knowing))} both have such a field, and the report reads one "
                "value; give the same in both"
            )


def _decides(kind: type[RunConfig], field: str) -> bool:
    return field in kind.model_fields and field not in kind.WITHOUT_EFFECT
