"""Where the numbers of a report come from: when, on what machine, from which code, settings, items and weights.

In: the files of a run. Out: Markdown tokens. What a run does not have is left out, so that a report can be made of any.
"""

import json
import os
import platform
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from saelib.batch.page.markup import Token, folded, tokens_of
from saelib.htest.items.official import OFFICIAL_SET, REPOSITORY
from saelib.htest.scoring.names import shown_items
from saelib.results.provenance import commit
from saelib.results.tables import as_markdown
from saelib.results.text import escape_markdown
from saelib.run.files import read_json
from saelib.run.timing import read_intervals
from saelib.sae.folder import CONFIG as SAE_CONFIG
from saelib.transfer.soundness import concerns

if TYPE_CHECKING:
    from nbformat import NotebookNode

CONFIGS = {"layer transfer": "config.json", "H-Test": "htest/config.json"}
RECORDED = {"layer transfer": "13_convergence", "H-Test": "31_htest_accuracy"}
"""A notebook of each paper, whose recorded values have the hash of the config."""
TABLES = ("evaluation.parquet", "htest.parquet")
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
        if found := _read(folder / "values" / f"{notebook}.json"):
            yield f"settings, {paper}", f"SHA-256 {found['config_sha256']}"
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
    tables = [pd.read_parquet(folder / name, columns=["commit", "versions"])
              for name in TABLES if (folder / name).is_file()]  # fmt: skip
    if not tables:
        return [commit()], []
    rows = pd.concat(tables)
    versions = {f"{name} {number}" for text in rows["versions"].unique() for name, number in json.loads(text).items()}
    return sorted(rows["commit"].unique()), sorted(versions)


def _weights_and_items(folder: Path) -> Iterator[tuple[str, str]]:
    configs = {paper: _read(folder / name) for paper, name in CONFIGS.items()}
    if transfer := configs["layer transfer"]:
        revision = f", revision {transfer['revision']}" if transfer.get("revision") else ""
        yield "layer transfer", f"weights: {_weights(transfer['language_model'])}{revision}; text: {transfer['corpus']}"
    if htest := configs["H-Test"]:
        items = ", ".join(_items(folder) or ["not audited yet"])
        yield "H-Test", f"weights: {', '.join(map(_weights, htest['models']))}; items: {items}"


def _weights(name: str) -> str:
    return f"{name} (small, ships with the kit)" if name == EMBEDDED else name


def warnings(folder: Path) -> Iterator[str]:
    """What a reader has to know first: senseless SAEs, items or weights not the papers', parts that did not run."""
    yield from _concerns(folder)
    items, htest = _items(folder), _read(folder / CONFIGS["H-Test"])
    if items is not None and OFFICIAL_SET not in items:
        official = str((htest or {}).get("official", "auto"))
        others = " and ".join(escape_markdown(shown_items(name)) for name in items)
        why = {"none": "the settings leave them out"}.get(official, "the settings name others")
        if official in ("auto", "released"):
            why = f"neither a copy of them nor {REPOSITORY} could be read"
        yield f"**Without the released H-Test items:** {why}. The numbers of paper 2 are those of {others}."
    transfer = _read(folder / CONFIGS["layer transfer"])
    models = [*([transfer["language_model"]] if transfer else []), *(htest["models"] if htest else [])]
    if EMBEDDED in models:
        yield ("**Not the papers' weights:** *embedded* is a small model that ships with the kit, "
               "so that no hub is needed. What it cannot say stands at the end.")  # fmt: skip
    for paper, notebook in RECORDED.items():
        if _read(folder / "values" / f"{notebook}.json") is None:
            yield f"**{escape_markdown(notebook)} has not run here:** numbers of {paper} come from stored results."


def _concerns(folder: Path) -> list[str]:
    """Of the run's SAEs, as its notebooks say them."""
    path = folder / TABLES[0]
    if not path.is_file():
        return []
    described = next((folder / "saes").rglob(SAE_CONFIG), None)  # all of a run have the same size
    return concerns(pd.read_parquet(path), read_json(described)["d_sae"] if described else None)


def _items(folder: Path) -> dict[str, str] | None:
    """The hash of each set of items; None where they were not audited."""
    found = _read(folder / "values" / "30_htest_items.json")
    return dict(found["values"]["items_sha256"]) if found else None


def _read(path: Path) -> dict[str, Any] | None:
    return dict(read_json(path)) if path.is_file() else None
