"""What every run has, whichever paper it reproduces: a frozen config from a preset and overrides, and a folder.

In: a preset's name and a few overrides, as a notebook's parameters give them. Out: a checked config; an unknown name,
a wrong type or a contradiction is an error before any work is done.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar, get_args, get_origin, get_type_hints

from saelib.run.files import read_json, write_json


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """The fields that every config has."""

    WITHOUT_EFFECT: ClassVar[tuple[str, ...]] = ("run", "device")  # on the numbers

    preset: str
    """Name of the preset that this config started from."""
    run: str
    """Folder name under `runs/`."""
    seed: int
    """Of the random draws; each config says of which."""

    def __post_init__(self) -> None:
        """Refuse a run that cannot be a folder.

        Raises:
            ValueError: with the field, its value and what would be right.
        """
        if not re.fullmatch(r"[\w.-]+", self.run) or self.run.startswith("."):
            raise ValueError(f"run={self.run!r}: use letters, digits, '.', '_' and '-'; it becomes a folder's name")
        if self.seed < 0:
            raise ValueError(f"seed={self.seed}: must not be negative")

    def as_dict(self) -> dict[str, Any]:
        """The config as JSON holds it (tuples become lists)."""
        return dict(json.loads(json.dumps(asdict(self))))

    def sha256(self) -> str:
        """Hash of everything that decides the numbers."""
        deciding = {key: value for key, value in self.as_dict().items() if key not in self.WITHOUT_EFFECT}
        return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()


class Run(Protocol):
    """A run on disk."""

    @property
    def config(self) -> RunConfig:
        """What decides its numbers."""

    @property
    def folder(self) -> Path:
        """`runs/<run>`."""


Config = TypeVar("Config", bound=RunConfig)
Part = TypeVar("Part")


def resolve(
    presets: Mapping[str, Config],
    preset: str = "tiny",
    run: str | None = None,
    seed: int | None = None,
    **overrides: Any,
) -> Config:
    """A preset with overrides, checked.

    Args:
        run: folder name of the run; None takes the preset's name.
        seed: None takes the preset's.
        overrides: any fields of the config; a field that is a config of its own as a mapping of that one's fields.

    Raises:
        ValueError: an unknown preset or field, or a value that contradicts another.
        TypeError: a value of the wrong type.
    """
    if not isinstance(preset, str) or preset not in presets:
        raise ValueError(f"preset={preset!r} is unknown; choose one of {', '.join(presets)}")
    base = presets[preset]
    named = {"run": base.run if run is None else run, "seed": base.seed if seed is None else seed}
    return _override(base, named | overrides)


def claim_config(path: Path, config: RunConfig) -> None:
    """Write a run's config to `path`, or check that the run which is there has the same one.

    Raises:
        FileExistsError: it has another config; the message names the fields.
    """
    wanted = config.as_dict()
    if not path.is_file():
        write_json(path, wanted)
        return
    found = read_json(path)
    ignored = set(config.WITHOUT_EFFECT) - {"run"}
    differing = [name for name in wanted if name not in ignored and found.get(name) != wanted[name]]
    if differing:
        changes = "; ".join(f"{name} was {found.get(name)!r}, is {wanted[name]!r}" for name in differing)
        raise FileExistsError(f"{path.parent} holds a run with another config ({changes}); name another run")


def _override(base: Part, overrides: Mapping[str, Any]) -> Part:
    hints = get_type_hints(type(base))
    known = [field.name for field in fields(base)]  # type: ignore[arg-type]
    checked: dict[str, Any] = {}
    for name, value in overrides.items():
        if name not in known:
            raise ValueError(f"parameter {name!r} is unknown; the known ones are {', '.join(known)}")
        if is_dataclass(hints[name]) and isinstance(value, Mapping):
            checked[name] = _override(getattr(base, name), value)
        else:
            checked[name] = _typed(name, value, hints[name])
    return replace(base, **checked)  # type: ignore[type-var]


def _typed(name: str, value: Any, hint: Any) -> Any:
    """`value` if it is of the field's type; lists become tuples and whole numbers floats where the field wants them."""
    text = getattr(hint, "__name__", str(hint)) if not get_args(hint) else str(hint)
    if isinstance(value, list | tuple) and "tuple" in text:
        item: type = next((kind for kind in (float, str) if kind.__name__ in text), int)
        if all(type(entry) is item or (item is float and type(entry) is int) for entry in value):
            return tuple(item(entry) for entry in value)
    elif hint is float and type(value) in (int, float):
        return float(value)
    elif get_origin(hint) is not tuple and type(value) in (get_args(hint) or (hint,)) and type(value) is not tuple:
        return value
    raise TypeError(f"parameter {name}={value!r} is a {type(value).__name__}; it must be {text}")
