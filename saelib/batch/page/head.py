"""Where the numbers of a report come from: when, on what machine, from which code, settings, items and weights.

In: the files of a run. Out: Markdown tokens. What a run does not have is left out, so that a report can be made of any.
"""

import json
import os
import platform
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from saelib.batch.page.markup import Token, folded, tokens_of
from saelib.htest.items.official import OFFICIAL_SET, REPOSITORY
from saelib.htest.scoring.names import shown_items
from saelib.language.origin import model_origin, note_on
from saelib.results.provenance import commit
from saelib.results.tables import as_markdown
from saelib.results.text import escape_markdown
from saelib.run.reading import as_object, naming_damage, read_json, read_table
from saelib.run.timing import read_intervals
from saelib.sae.folder import CONFIG as SAE_CONFIG
from saelib.transfer.parts import EvaluationParts, part_of
from saelib.transfer.soundness import concerns
from saelib.transfer.tables import evaluation_of

if TYPE_CHECKING:
    from nbformat import NotebookNode

CARRIED = "interpretation"
CONFIGS = {"layer transfer": "config.json", CARRIED: "interpret/config.json", "H-Test": "htest/config.json"}
WHOSE = {"layer transfer": ("language_model", "corpus"), "H-Test": ("models",)}
"""Fields of each config that say what a run was made with."""
RECORDED = {"layer transfer": "13_convergence", CARRIED: "20_features", "H-Test": "31_htest_accuracy"}
"""A notebook of each paper, whose recorded values have the hash of the config."""
HTEST_TABLE = "htest.parquet"
EMBEDDED = "embedded"
GIGABYTE = 2**30


def head(folder: Path, executed: "list[NotebookNode]") -> list[Token]:
    """The provenance of a run: what a reader wants to know at once as a table, hashes and versions folded beneath.

    Args:
        executed: the run's notebooks.
    """
    commits, versions = _code(folder)
    short = [
        ("run", folder.name),
        *_times(executed),
        ("machine", machine(folder)),
        ("commit", ", ".join(commits)),
        *_weights_and_items(folder),
    ]
    return [
        *_table("where the numbers come from", short),
        folded("Hashes and versions", _table("", _long(folder, versions))),
    ]


def _table(title: str, facts: Iterable[tuple[str, str]]) -> list[Token]:
    return tokens_of(as_markdown(pd.DataFrame(facts, columns=[title, " "])))


def _long(folder: Path, versions: list[str]) -> Iterator[tuple[str, str]]:
    yield "report written", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    yield (
        "libraries",
        ", ".join([f"saelib {metadata.version('saelib')}", f"Python {platform.python_version()}", *versions]),
    )
    for paper, notebook in RECORDED.items():
        if found := _read(folder / "values" / f"{notebook}.json", itemgetter("config_sha256")):
            yield f"settings, {paper}", f"SHA-256 {found}"
    for item_set, digest in (_items(folder) or {}).items():
        yield f"items, {item_set}", f"SHA-256 {digest}"


def _times(executed: "list[NotebookNode]") -> Iterator[tuple[str, str]]:
    """When papermill ran the notebooks, and how long these took one by one (some run side by side)."""
    ran = [notebook.metadata.get("papermill", {}) for notebook in executed]
    ran = [times for times in ran if times.get("start_time") and times.get("end_time")]
    if ran:
        first, last = min(times["start_time"] for times in ran), max(times["end_time"] for times in ran)
        yield "date", f"{first[:16].replace('T', ' ')} to {last[:16].replace('T', ' ')} UTC"
        yield "wall time", f"{sum(times['duration'] for times in ran) / 60:.1f} minutes in {len(ran)} notebooks"


def machine(folder: Path) -> str:
    """Operating system, cores and memory of this machine, and the devices that the run's training noted."""
    devices = sorted({str(entry["device"]) for entry in read_intervals(folder / "resume_points") if "device" in entry})
    parts = [platform.system(), platform.machine(), f"{os.cpu_count()} cores"]
    if hasattr(os, "sysconf"):  # not on Windows
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        parts.append(f"{memory / GIGABYTE:.0f} GB of memory")
    return ", ".join([*parts, *([f"trained on {' and '.join(devices)}"] if devices else [])])


def _code(folder: Path) -> tuple[list[str], list[str]]:
    """Commits and package versions that the rows of results carry; this code's own where there are none yet."""
    found = (evaluation_of(folder), _replies(folder))
    tables = [table.reindex(columns=["commit", "versions"]).dropna() for table in found if table is not None]
    if not tables:
        return [commit()], []
    rows = pd.concat(tables)
    with naming_damage(folder, "no run whose tables say by which versions they were made"):
        noted = [as_object(json.loads(text)) for text in rows["versions"].unique()]
    versions = {f"{name} {number}" for known in noted for name, number in known.items()}
    return sorted(rows["commit"].unique()), sorted(versions)


def _replies(folder: Path) -> pd.DataFrame | None:
    """Where the replies of H-Test come from; None where nobody was asked."""
    path = folder / HTEST_TABLE
    return read_table(path, columns=["commit", "versions"]) if path.is_file() else None


def _weights_and_items(folder: Path) -> Iterator[tuple[str, str]]:
    if transfer := _config(folder, "layer transfer"):
        revision = f", revision {transfer['revision']}" if transfer.get("revision") else ""
        yield "layer transfer", f"weights: {_weights(transfer['language_model'])}{revision}; text: {transfer['corpus']}"
    if htest := _config(folder, "H-Test"):
        items = ", ".join(_items(folder) or ["not audited yet"])
        yield "H-Test", f"weights: {', '.join(map(_weights, htest['models']))}; items: {items}"


def _weights(name: str) -> str:
    """A model with what is known of it: "embedded (small, ships with the kit)"; others have a title and a licence."""
    origin = model_origin(name)
    known = [part for part in origin if part and part != name]
    return f"{name} ({', '.join(known)})" if known else name


def warnings(folder: Path) -> Iterator[str]:
    """What a reader has to know first: senseless SAEs, items or weights not the papers', parts that did not run."""
    yield from _unfinished(folder)
    yield from _concerns(folder)
    items, htest = _items(folder), _config(folder, "H-Test")
    if items is not None and OFFICIAL_SET not in items:
        official = str((htest or {}).get("official", "auto"))
        others = " and ".join(escape_markdown(shown_items(name)) for name in items)
        why = {"none": "the settings leave them out"}.get(official, "the settings name others")
        if official in ("auto", "released"):
            why = f"neither a copy of them nor {REPOSITORY} could be read"
        yield f"**Without the released H-Test items:** {why}. The numbers of paper 2 are those of {others}."
    transfer = _config(folder, "layer transfer")
    models = [*([transfer["language_model"]] if transfer else []), *(htest["models"] if htest else [])]
    if EMBEDDED in models:
        yield ("**Not the papers' weights:** *embedded* is a small model that ships with the kit, "
               "so that no hub is needed. What it cannot say stands at the end.")  # fmt: skip
    for name in filter(note_on, dict.fromkeys(models)):
        origin = ", ".join(filter(None, model_origin(name)))
        yield (f"**What the weights are:** {escape_markdown(name)} is {escape_markdown(origin)}. "
               "Nothing here is said of the same model in other weights.")  # fmt: skip
    for paper, notebook in RECORDED.items():
        if _read(folder / "values" / f"{notebook}.json") is None:
            yield f"**{escape_markdown(notebook)} has not run here:** there are no numbers of {paper}."


def _unfinished(folder: Path) -> Iterator[str]:
    """That what follows is said of some checkpoints of a phase, the others not being scored yet."""
    there = set(EvaluationParts(folder).parts)
    for phase in ("scratch", "transfer"):
        wanted = _read(folder / CONFIGS["layer transfer"], partial(_parts_of, phase=phase)) or set()
        if wanted & there and wanted - there:
            yield (f"**The evaluation of the phase {phase} is not finished:** {len(wanted & there)} of {len(wanted)} "
                   "checkpoints are scored, and what is said of its SAEs is said of those.")  # fmt: skip


def _parts_of(config: dict[str, Any], phase: str) -> set[str]:
    return {part_of(phase, tokens) for tokens in config[phase]["checkpoints"]}


def _concerns(folder: Path) -> list[str]:
    """Of the run's SAEs, as its notebooks say them."""
    evaluation = evaluation_of(folder)
    if evaluation is None:
        return []
    described = next((folder / "saes").rglob(SAE_CONFIG), None)  # all of a run have the same size
    return concerns(evaluation, read_json(described, itemgetter("d_sae")) if described else None)


def _items(folder: Path) -> dict[str, str] | None:
    """The hash of each set of items; None where they were not audited."""
    return _read(folder / "values" / "30_htest_items.json", lambda found: dict(found["values"]["items_sha256"]))


def _config(folder: Path, paper: str) -> dict[str, Any] | None:
    return _read(folder / CONFIGS[paper], lambda found: found | {name: found[name] for name in WHOSE[paper]})


def _read(path: Path, parse: Callable[[Any], Any] = dict) -> Any:
    """What `parse` makes of a JSON file; None where there is none."""
    return read_json(path, parse) if path.is_file() else None
