"""What one call of `compare` measured, as results/benchmark.md and results/benchmark.csv.

In: `Measurements`. Out: a page with the conditions, the tables and the settings, and one CSV row for each single run.
"""

import csv
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from benchmarks import growth
from benchmarks.competitors import GROUPS
from benchmarks.runs import Run
from benchmarks.tables import by_competitor, comparison, load_text, neighbours
from benchmarks.workload import EMBEDDED, Workload

MEASURED = ("seconds", "cpu_seconds", "sae_tokens", "sae_tokens_per_second", "l0", "explained_variance",
            "peak_memory_mb", "threads", "settings")  # fmt: skip
NEIGHBOURS_TEXT = (
    "The kit's one pass again, with one busy program on the same machine. The fair share is that of a scheduler which "
    "gives each running thread the same time: of c cores that the kit keeps busy alone, c / (c + 1) beside one more "
    "thread."
)


@dataclass(frozen=True)
class Measurements:
    """Everything that one call measured."""

    work: Workload
    rows_sha256: str
    """Of the text that every trainer reads."""
    rounds: int
    runs: list[Run]
    growth: growth.Growth
    """Empty where it was not asked for."""
    before: list[float | None]
    """Cores that other programs used before each round."""
    load_average: float
    """Of the minute before the start."""

    @property
    def all_runs(self) -> list[Run]:
        """Those of the growth too, each once."""
        grown = [run for points in self.growth.values() for run in points.values()]
        return self.runs + [run for place, run in enumerate(grown) if run not in grown[:place]]


def markdown(found: Measurements, machine: str) -> str:
    """The whole page."""
    load = load_text(found.before, found.all_runs, found.load_average)
    parts = ["# Speed beside the peers", describe_work(found), describe_measures(found), f"Machine: {machine}. {load}"]
    for heading, group in GROUPS.items():
        if runs := by_competitor(found.runs, group):
            parts += [f"## {heading}", comparison(runs)]
    if beside := neighbours(found.runs):
        parts += ["## Beside a busy program", NEIGHBOURS_TEXT, beside]
    if found.growth:
        base = next(iter(next(iter(found.growth.values())).values())).work
        parts += ["## Growth", growth.describe(base), growth.table(found.growth)]
    parts += ["## Settings", settings(found.runs)]
    return "\n\n".join(parts) + "\n"


def describe_work(found: Measurements) -> str:
    """The work that was done, in words."""
    work = found.work
    model, rows = "a random-weight GPT-NeoX", "random rows"
    if work.language_model == EMBEDDED:
        model, rows = "the embedded language model", "docstrings in rows"
    return (
        f"Every trainer reads the same model, {model} ({work.layers} layers, d_model {work.d_model}), and the same "
        f"{rows} of {work.context} tokens (SHA-256 {found.rows_sha256[:12]}). It trains one SAE of {work.d_sae:,} "
        f"features for each layer in steps of {work.batch_tokens:,} tokens, on `{work.device}`, in "
        f"fp32 unless its row says otherwise, at λ = {work.l1_coefficient:g} (squared error summed over d_model + λ "
        f"times the sum of the features) and a learning rate of {work.learning_rate:g}; eai-sparsify has no λ and an "
        f"optimiser of its own (see Settings). One pass: {work.tokens:,} tokens for each SAE. The whole "
        f"experiment: every layer from scratch on {work.experiment_tokens:,} tokens, then every forward and backward "
        f"transfer on {work.transfer_tokens:,}; all runs were made, none is extrapolated."
    )


def describe_measures(found: Measurements) -> str:
    """How it was measured, in words."""
    threads = " or ".join(map(str, sorted({run.result["threads"] for run in found.runs})))
    return (
        f"{found.rounds} round(s) in one call; in each of them every trainer runs once, in a process of its own "
        f"(PyTorch threads: {threads}). Medians, with the lowest and the highest in brackets. Seconds, and CPU seconds "
        "(user + system), run from the start of training to its end, the language model's passes included; imports, "
        "loading and a warm-up of a few steps, in which this kit compiles its kernels, are left out. A ratio is that "
        "of the medians, and its range that over the rounds. L0 and explained variance are means over all SAEs after "
        "training, on the same held-out tokens. An SAE-token is one token seen by one SAE."
    )


def settings(runs: Iterable[Run]) -> str:
    """What each competitor was set to, and the packages that it ran on."""
    lines = {}
    for one in runs:
        if one.competitor.neighbour is None:
            versions = ", ".join(f"{name} {number}" for name, number in one.result["packages"].items())
            lines[one.competitor] = (
                f"- {one.competitor.title}: {one.result['settings']}; threads: {one.result['threads']} ({versions})."
            )
    return "\n".join(lines.values())


def write_csv(runs: Iterable[Run], path: Path) -> None:
    """One row for each run, with its sizes."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        sizes = [field.name for field in fields(Workload)]
        writer.writerow(["competitor", "round", *MEASURED, "other_cores", "packages", *sizes])
        for one in runs:
            values = [one.result[name] for name in MEASURED]
            packages = json.dumps(one.result["packages"])
            sized = asdict(one.work).values()
            writer.writerow([one.competitor.key, one.round, *values, one.other_cores, packages, *sized])
