"""Settings as somebody typed them: texts in the environment, which mean what they say.

In: a text, as `make RUN=2024 HTEST='{shots: [4]}'` puts it there. Out: a seed, or fields and their values. A name is a
text and stays one; what could be read in two ways is refused.
"""

import json
import re
from collections.abc import Hashable, Iterable
from typing import Any

import yaml

from saelib.run.config_errors import shown

WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)")
EXAMPLES = {"transfer": "layers: [1, 2]", "interpret": "features: null", "htest": "models: [embedded]"}  # of settings
MOST_DIGITS = 20  # of a seed; more are wrong in any case, and Python reads 4,300 at most
MOST_VALUES = 10_000  # in a setting; a few lines of YAML that repeat each other may stand for millions


def typed_seed(text: str) -> int | None:
    """The whole number that the text is; None where it is empty.

    Raises:
        ValueError: it is none, or written so that programs read different numbers (`010`, `1e5`, `0x10`).
    """
    if text and not WHOLE.fullmatch(text):
        raise ValueError(f"seed={shown(text)} should be a whole number, in decimal digits and without zeros in front")
    if len(text) > MOST_DIGITS:
        raise ValueError(f"seed={shown(text)} has {len(text)} digits; take a number of ten at most")
    return int(text) if text else None


def typed_fields(name: str, text: str, reserved: Iterable[str] = ()) -> dict[str, Any]:
    """The fields and values that the text names, as JSON or YAML: `{shots: [4], models: [embedded]}`.

    JSON is taken to the letter, line breaks within its texts included; YAML by its own rules (version 1.1), but that
    whole numbers are in decimal digits there too.

    Args:
        name: of the setting, for errors.
        reserved: fields that are given otherwise.

    Raises:
        ValueError: the text is neither, names a field twice, no fields, or a reserved one, or has a number that may be
            meant otherwise (`010`, `1_000`, `1:20`), or more values than anybody means; the message quotes it.
    """
    quoted = f"{name}={shown(text)}"
    try:
        found = _parsed(text) if text.strip() else {}
        _check_size(found)
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(f"{quoted} cannot be read as JSON or YAML: {error}") from error
    except RecursionError:
        raise ValueError(f"{quoted} has too many brackets inside each other; close each of them") from None
    if not isinstance(found, dict) or not all(isinstance(field, str) for field in found):
        raise ValueError(f"{quoted} must name fields and their values: {name.upper()}='{{{EXAMPLES[name]}}}'")
    if given_otherwise := [field for field in reserved if field in found]:
        raise ValueError(f"{quoted}: {', '.join(f'{field} {_place_of(field)}' for field in given_otherwise)}")
    return found


def _place_of(field: str) -> str:
    return "is for notebooks that only read: leave it out" if field == "stored" else f"is given as {field.upper()}="


def _check_size(found: Any) -> None:
    """Refuse what is too much to be checked value by value."""
    waiting, values = [found], 0
    while waiting:
        value = waiting.pop()
        values += 1
        if values > MOST_VALUES:
            raise ValueError(f"it stands for more than {MOST_VALUES:,} values; leave out anchors that repeat others")
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list | tuple | set):
            waiting += value


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, strict=False, object_pairs_hook=_each_once)
    except json.JSONDecodeError:
        return yaml.load(text, Loader=_EachOnce)


def _each_once(pairs: Iterable[tuple[Hashable, Any]]) -> dict[Hashable, Any]:
    """A mapping from its pairs; the last of two with one name would win without a word."""
    found: dict[Hashable, Any] = {}
    for name, value in pairs:
        if not isinstance(name, Hashable):
            raise ValueError(f"{name!r} is no name of a field")
        if name in found:
            raise ValueError(f"{name!r} is named twice")
        found[name] = value
    return found


class _EachOnce(yaml.SafeLoader):
    """PyYAML's safe loader, which refuses a name that is there twice, and a number that is none to whoever typed it."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (AttributeError, LookupError, TypeError) as error:  # PyYAML takes a tag's word for it
            raise ValueError(f"{node.value!r} is not what its tag {node.tag} says; leave the tag out") from error

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        self.flatten_mapping(node)
        return _each_once((self.construct_object(key, deep=True), self.construct_object(value, deep=True))
                          for key, value in node.value)  # fmt: skip

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        kind, text = node.tag.rpartition(":")[2], str(node.value)
        is_doubtful = not WHOLE.fullmatch(text) if kind == "int" else kind == "float" and {*text} & {*":_"}
        if is_doubtful:
            raise ValueError(
                f"{text} is {yaml.safe_load(text)} by YAML's rules; write that number, or a text in quotes"
            )
        return super().construct_scalar(node)
