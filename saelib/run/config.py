"""What every run has, whichever paper it reproduces: a frozen, checked config, from a preset and overrides.

In: a preset's name and a few overrides, as a notebook's parameters give them. Out: a config; an unknown name, a wrong
type or a contradiction is an error before any work is done, and all that are wrong are named at once.
"""

import hashlib
import inspect
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Protocol, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import to_jsonable_python

from saelib.run.config_errors import describe, shown, without_place
from saelib.run.config_help import fields_help
from saelib.run.files import CACHE, path_part


class Config(BaseModel):
    """A frozen set of named values, checked when it is made; `replace` makes another one."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,  # a text is no number, and True is no 1
        extra="forbid",
        allow_inf_nan=False,
        validate_default=True,
        use_attribute_docstrings=True,  # the sentence under a field is its description in `help` and JSON schema
    )

    WITHOUT_EFFECT: ClassVar[tuple[str, ...]] = ()  # on the numbers
    GROWS: ClassVar[tuple[str, ...]] = ()  # fields that may change in a run that is there
    ADDED: ClassVar[tuple[str, ...]] = ()  # fields that came after results were kept; at their defaults in no hash

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Have `help` show each field with its sentence, and no types that only pydantic reads."""
        cls.__doc__ = "\n".join([inspect.cleandoc(cls.__doc__ or ""), "", "Fields:", *fields_help(cls)])
        names = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in cls.model_fields]
        cls.__signature__ = inspect.Signature(names)

    @field_validator("*", mode="before")
    @classmethod
    def _lists_are_tuples(cls, value: Any) -> Any:
        """What JSON calls a list is a tuple here, so that nobody can change it; numpy's numbers become Python's."""
        try:
            return _frozen(value)
        except RecursionError:
            raise ValueError("has lists inside lists without an end, or too many of them") from None

    @field_validator("*", mode="after")
    @classmethod
    def _has_a_place(cls, value: Any) -> Any:
        """Nothing that files cannot hold, or the 64 and 32 bits of numbers that are computed with."""
        if fault := without_place(value):
            raise ValueError(fault)
        return value

    def replace(self, **changes: Any) -> Self:
        """The same config with other values, checked; a part of it may be given as a mapping of the changed fields.

        Raises:
            ValueError: names every field that is wrong, its value, and what would be right.
        """
        return checked(type(self), _merged(self, changes))

    def as_dict(self) -> dict[str, Any]:
        """The config as JSON holds it (tuples become lists)."""
        return self.model_dump(mode="json")

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Fields that need not be given and their values, as JSON holds them."""
        return {name: to_jsonable_python(field.get_default(call_default_factory=True))
                for name, field in cls.model_fields.items() if not field.is_required()}  # fmt: skip

    def sha256(self) -> str:
        """Hash of everything that decides the numbers."""
        return hashlib.sha256(json.dumps(self._deciding(), sort_keys=True).encode()).hexdigest()

    def _deciding(self) -> dict[str, Any]:
        """What decides the numbers, as JSON holds it."""
        defaults, plain = self.defaults(), self.as_dict()
        unset = {name: defaults[name] for name in self.ADDED}
        return {
            name: value._deciding() if isinstance(value, Config) else plain[name]
            for name, value in self
            if name not in self.WITHOUT_EFFECT and (name not in unset or plain[name] != unset[name])
        }


def folder_name(name: str) -> str:
    """The name, if it can be a folder's.

    Raises:
        ValueError: it cannot.
    """
    if path_part(name).casefold() == CACHE:  # on many disks Cache is the same folder
        raise ValueError(f"{CACHE!r} is the folder of what can be made again; name the run otherwise")
    return name


def device_name(name: str) -> str:
    """The name, if it can be a device's; whether the machine has it is seen when a model is loaded.

    Raises:
        ValueError: it cannot.
    """
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", name):
        raise ValueError("should be auto, cpu, mps, cuda, or cuda: and a number")
    return name


LONGEST_PART, LONGEST_PATH = 255, 4000  # signs that file systems take


def usable_name(name: str) -> str:
    """The name, if it can be that of a file, a model or a data set.

    Raises:
        ValueError: it is empty, or of blanks, or longer than any disk or hub has one.
    """
    if not name.strip():
        raise ValueError("should not be empty")
    if max(len(part.encode(errors="replace")) for part in name.split("/")) > LONGEST_PART or len(name) > LONGEST_PATH:
        raise ValueError(f"has {len(name)} signs; should be a name, or a path of parts of {LONGEST_PART} at most")
    return name


Name = Annotated[str, AfterValidator(usable_name)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Device = Annotated[str, AfterValidator(device_name)]


class RunConfig(Config):
    """The fields that the config of every run has."""

    WITHOUT_EFFECT: ClassVar[tuple[str, ...]] = ("run", "device", "stored")

    preset: str
    """Name of the preset that this config started from."""
    run: Annotated[str, AfterValidator(folder_name)]
    """Name of its folder under `runs/`."""
    seed: Seed
    """Of the random draws; each config says of which."""
    stored: bool = Field(default=False, exclude=True)  # of who looks, not of the run: in no config.json
    """Show the results that the repository keeps of this preset (`results/<preset>`), and compute nothing."""


class Run(Protocol):
    """A run on disk."""

    @property
    def config(self) -> RunConfig:
        """What decides its numbers."""

    @property
    def folder(self) -> Path:
        """`runs/<run>`."""

    @property
    def inputs(self) -> dict[str, str]:
        """Content of what it was made from, as far as it is known: hashes and revisions by the input's name."""

    @property
    def caveat(self) -> str:
        """What the caption of each of its figures has to add; empty where there is nothing."""

    def claim(self) -> None:
        """Write config and inputs into the folder, before the first result; refuse one of another run."""


SomeConfig = TypeVar("SomeConfig", bound=Config)
SomeRunConfig = TypeVar("SomeRunConfig", bound=RunConfig)


def resolve(
    presets: Mapping[str, SomeRunConfig],
    /,
    preset: str = "tiny",
    run: str | None = None,
    seed: int | None = None,
    **overrides: Any,
) -> SomeRunConfig:
    """A preset with overrides, checked.

    Args:
        run: folder name of the run; None takes the preset's name.
        seed: None takes the preset's.
        overrides: any fields of the config; a field that is a config of its own as a mapping of that one's fields.

    Raises:
        ValueError: an unknown preset or field, a value of the wrong type, or one that contradicts another.
    """
    if not isinstance(preset, str) or preset not in presets:
        raise ValueError(f"preset={shown(preset)} is unknown; choose one of {', '.join(presets)}")
    base = presets[preset]
    named = {"run": base.run if run is None else run, "seed": base.seed if seed is None else seed}
    return base.replace(**(named | overrides))


def checked(kind: type[SomeConfig], values: Mapping[str, Any]) -> SomeConfig:
    """A config of these values.

    Raises:
        ValueError: names every field that is wrong, its value, and what would be right.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise ValueError(describe(error, kind, values)) from None


def _frozen(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(map(_frozen, value))
    return value.item() if getattr(value, "shape", None) == () else value


def _merged(base: Config, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Values of `base` with changes; a mapping changes the fields that it names of a config inside."""
    values = dict(base)
    for name, change in changes.items():
        part = values.get(name)
        values[name] = _merged(part, change) if isinstance(part, Config) and isinstance(change, Mapping) else change
    return values
