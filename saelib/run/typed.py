"""Settings as somebody typed them: texts in the environment, which mean what they say.

In: a text, as `make RUN=2024 HTEST='{shots: [4]}'` puts it there. Out: a seed, or fields and their values. A name is a
text and stays one; what could be read in two ways is refused.
"""

import json
import re
from collections.abc import Hashable, Iterable
from typing import Any

import yaml

WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)")


def typed_seed(text: str) -> int | None:
    """The whole number that the text is; None where it is empty.

    Raises:
        ValueError: it is none, or written so that programs read different numbers (`010`, `1e5`, `0x10`).
    """
    if text and not WHOLE.fullmatch(text):
        raise ValueError(f"seed={text!r} should be a whole number, in decimal digits and without zeros in front")
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
            meant otherwise (`010`, `1_000`, `1:20`); the message quotes it.
    """
    try:
        found = _parsed(text) if text.strip() else {}
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(f"{name}={text!r} cannot be read as JSON or YAML: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(field, str) for field in found):
        raise ValueError(f"{name}={text!r} must name fields and their values: {name.upper()}='{{models: [embedded]}}'")
    if given_otherwise := [field for field in reserved if field in found]:
        raise ValueError(
            f"{name}={text!r}: {', '.join(f'{field} is given as {field.upper()}=' for field in given_otherwise)}"
        )
    return found


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, strict=False, object_pairs_hook=_each_once)
    except json.JSONDecodeError:
        return yaml.load(text, Loader=_EachOnce)


def _each_once(pairs: Iterable[tuple[Hashable, Any]]) -> dict[Hashable, Any]:
    """A mapping from its pairs; the last of two with one name would win without a word."""
    found: dict[Hashable, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name!r} is named twice")
        found[name] = value
    return found


class _EachOnce(yaml.SafeLoader):
    """PyYAML's safe loader, which refuses a name that is there twice, and a number that is none to whoever typed it."""

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
