"""What makes a run the same run: its config, and the content of what its names and paths mean.

In: the `config.json` of a run, a config, and the content of inputs (hashes and revisions, by the input's name). Out: an
error that names what is another; or the file, with the newest config and every input that was read so far. A path or a
name says where to look, not what is there: without its content, results of two texts could stand in one table.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saelib.run.config import RunConfig
from saelib.run.files import write_json
from saelib.run.library import INPUT as LIBRARY
from saelib.run.reading import read_json

INPUTS = "inputs"  # in config.json, beside the fields of the config
SHOWN = 12  # characters of a hash in messages
HASH = re.compile(r"[0-9a-f]{40,}")


def check_config(path: Path, config: RunConfig, inputs: Mapping[str, str] | None = None) -> None:
    """Refuse to go on in a folder whose run is another one; a folder without one may be claimed.

    Fields that may grow (`Config.GROWS`) may differ, and what has no effect.

    Args:
        path: where the run keeps its config.
        inputs: content of what was read; what the run has not read yet may be anything.

    Raises:
        FileExistsError: it has another config, or has read another content; the message names the fields or inputs.
    """
    if not path.is_file():
        return
    wanted, found = config.as_dict(), _read(path)
    free = {*config.WITHOUT_EFFECT, *config.GROWS} - {"run"}
    unset = type(config).defaults()  # a run that was begun before a field came has none of it
    differing = [name for name in wanted if name not in free and found.get(name, unset.get(name)) != wanted[name]]
    if differing:
        was = {name: found.get(name, unset.get(name)) for name in differing}
        changes = "; ".join(f"{name} was {was[name]!r}, is {wanted[name]!r}" for name in differing)
        grows = f"; only {', '.join(config.GROWS)} may change" if config.GROWS else ""
        raise FileExistsError(
            f"{path.parent} holds a run with another config ({changes}){grows}: give the old values to go on with it, "
            "or name another run"
        )
    check_inputs(f"{path.parent} holds a run", found.get(INPUTS, {}), inputs or {}, config)


def claim_config(path: Path, config: RunConfig, inputs: Mapping[str, str] | None = None) -> None:
    """Write a run's config and the content of its inputs to `path`, or check that the run which is there is the same.

    A run that has grown has its newest config there; inputs that are read for the first time are added. A file without
    inputs, of an earlier release, stays without: nobody knows what its results were made from.

    Raises:
        FileExistsError: as `check_config`.
    """
    check_config(path, config, inputs)
    if not path.is_file():
        write_json(path, config.as_dict() | {INPUTS: dict(inputs or {})})
        return
    found, wanted = _read(path), config.as_dict()
    new = {} if INPUTS not in found else {INPUTS: found[INPUTS] | dict(inputs or {})}
    if new.get(INPUTS) != found.get(INPUTS) or any(found.get(name) != wanted[name] for name in config.GROWS):
        write_json(path, wanted | new)


def known_inputs(path: Path) -> dict[str, str]:
    """Content of what a run has read, as far as its `config.json` says."""
    return dict(_read(path).get(INPUTS, {})) if path.is_file() else {}


def check_noted(path: Path, *needed: str) -> None:
    """Refuse to compute in a run of an earlier release, which did not note the content of what it read.

    Args:
        needed: inputs that it must have noted.

    Raises:
        FileExistsError: it is one.
    """
    noted = _read(path).get(INPUTS) if path.is_file() else dict.fromkeys(needed)
    if noted is None or not set(needed) <= noted.keys():
        what = "what model and text" if noted is None else " and ".join(sorted(set(needed) - noted.keys()))
        raise FileExistsError(
            f"{path} was written by an earlier release, which did not note {what} the results were made from; what is "
            "finished can be read, and to compute more, name another run"
        )


def check_inputs(who: str, known: Mapping[str, str], now: Mapping[str, str], config: RunConfig | None = None) -> None:
    """Refuse inputs whose content is another than was known before.

    Args:
        who: what knows them, as the beginning of a sentence: "runs/mine holds a run".
        config: whose fields say where the inputs of the same names are.

    Raises:
        FileExistsError: the message names the inputs and both contents.
    """
    changed = [name for name in now if known.get(name, now[name]) != now[name]]
    if changed:
        place = {name: f" {getattr(config, name)!r}" if hasattr(config, name) else "" for name in changed}
        was = "; ".join(f"{name}{place[name]} was {_shown(known[name])}, is {_shown(now[name])}" for name in changed)
        old = "check out the version of the library" if changed == [LIBRARY] else "put the old content back"
        raise FileExistsError(
            f"{who} made from another content ({was}): {old} to go on with it, or name another run, which starts anew"
        )


def _shown(content: str) -> str:
    """Hashes are cut, words are not."""
    return HASH.sub(lambda found: found[0][:SHOWN], content)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = read_json(path)
    except ValueError as error:  # without it nobody knows what the results were made from
        raise FileExistsError(f"{path} is damaged ({error.__cause__}); put it back, or name another run") from error
    if not isinstance(found, dict) or not isinstance(found.get(INPUTS, {}), dict):
        raise FileExistsError(f"{path} holds no config; name another run, or move this folder away")
    return found
