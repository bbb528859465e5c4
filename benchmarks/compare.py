"""`make bench`: run every competitor on the same work and write results/benchmark.md and .csv.

In: the sizes (command line), the peers' Python. Out: one table of one-pass trainers, one of the whole experiment,
with the machine, the versions and the settings that they were measured with.
"""

import argparse
import csv
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from benchmarks.workload import Workload, write_inputs

PROJECT = Path(__file__).resolve().parents[1]
PEERS_PYTHON = PROJECT / ".venv-peers" / "bin" / "python"
# No competitor may look for a hub or a dashboard while it is timed.
QUIET = {"HF_HUB_OFFLINE": "1", "WANDB_MODE": "disabled", "TOKENIZERS_PARALLELISM": "false", "PYTHONWARNINGS": "ignore"}


@dataclass(frozen=True)
class Competitor:
    """One row of a table."""

    title: str
    module: str
    measure: str
    peer: bool = True

    @property
    def key(self) -> str:
        """How the command line and the CSV name it."""
        return f"{self.module}.{self.measure}"


ONE_PASS = (
    Competitor("this kit", "kit", "one_pass", peer=False),
    Competitor('this kit, matmul_precision="medium" (not fp32)', "kit", "one_pass_medium", peer=False),
    Competitor("eai-sparsify Trainer", "sparsify_trainer", "one_pass"),
    Competitor("sae-lens MultiSAETrainingRunner, Hugging Face model", "sae_lens_runners", "one_pass_hugging_face"),
    Competitor("sae-lens MultiSAETrainingRunner, HookedTransformer", "sae_lens_runners", "one_pass"),
)
EXPERIMENT = (
    Competitor("this kit: two passes", "kit", "experiment", peer=False),
    Competitor("sae-lens single-SAE runner, one run for each SAE", "sae_lens_runners", "experiment"),
)
YARDSTICK = Competitor("bare dense loop, no language model", "dense_loop", "one_pass", peer=False)
ALL = (*ONE_PASS, YARDSTICK, *EXPERIMENT)

Result = dict[str, Any]


def run(competitor: Competitor, folder: Path, peers_python: Path) -> Result:
    """Run one competitor in a process of its own and read the JSON line that it prints last.

    Raises:
        RuntimeError: it failed; the message holds the end of what it wrote.
    """
    python = str(peers_python) if competitor.peer else sys.executable
    command = [python, "-m", f"benchmarks.{competitor.module}", str(folder), competitor.measure]
    done = subprocess.run(command, cwd=PROJECT, env=os.environ | QUIET, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{competitor.key} failed ({' '.join(command)}):\n{done.stderr[-3000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def best_of(results: Sequence[Result]) -> Result:
    """The fastest of several runs of one competitor."""
    return min(results, key=lambda result: result["seconds"])


def table(rows: Sequence[tuple[Competitor, Result]], ours: Result) -> str:
    """Markdown: speed of each, and how much faster the kit is."""
    lines = [
        "| trainer | SAE-tokens | seconds | SAE-tokens/s | this kit is faster by | peak memory, MB |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for competitor, result in rows:
        ratio = ours["sae_tokens_per_second"] / result["sae_tokens_per_second"]
        faster = "" if result is ours else f"{ratio:.1f} times"
        lines.append(
            f"| {competitor.title} | {result['sae_tokens']:,} | {result['seconds']:.1f} "
            f"| {result['sae_tokens_per_second']:,.0f} | {faster} | {result['peak_memory_mb']:,} |"
        )
    return "\n".join(lines)


def markdown(results: dict[str, Result], work: Workload, repeats: int) -> str:
    """The whole report."""
    named = {competitor.key: competitor for competitor in ALL}
    settings = [f"- {named[key].title}: {result['settings']} ({versions(result)})." for key, result in results.items()]
    parts = ["# Speed beside the peers\n", describe(work, repeats)]
    for heading, group in (("One pass over all layers", (*ONE_PASS, YARDSTICK)), ("The whole experiment", EXPERIMENT)):
        rows = [(competitor, results[competitor.key]) for competitor in group if competitor.key in results]
        if rows:
            parts.append(f"\n## {heading}\n\n{table(rows, rows[0][1])}\n")
    threads = ", ".join(sorted({str(result["threads"]) for result in results.values()}))
    parts += ["\n## Settings\n\n" + "\n".join(settings)]
    parts += [f"\nMachine: {machine()}. PyTorch threads: {threads}.\n"]
    return "\n".join(parts)


def versions(result: Result) -> str:
    """The packages that one competitor ran on."""
    return ", ".join(f"{name} {number}" for name, number in result["packages"].items())


def describe(work: Workload, repeats: int) -> str:
    """What was compared, in words."""
    return (
        f"`make bench`. Every trainer ran in a process of its own, on the same random-weight GPT-NeoX ({work.layers} "
        f"layers, d_model {work.d_model}, vocabulary {work.vocabulary:,}) and the same random rows of {work.context} "
        f"tokens, with one SAE of {work.d_sae:,} features per layer and {work.batch_tokens:,} tokens per step, in fp32 "
        f"on `{work.device}`. Seconds run from the start of training to its end, the language model's passes included, "
        f"imports and loading left out, after a warm-up of a few steps; the fastest of {repeats} run(s) counts. An "
        f"SAE-token is one token seen by one SAE. One pass: {work.tokens:,} tokens for each SAE. The whole experiment: "
        f"every layer from scratch on {work.experiment_tokens:,} tokens, then every forward and backward transfer "
        f"on {work.transfer_tokens:,}; all runs were made, none is extrapolated."
    )


def machine() -> str:
    """Processor and cores, in a few words."""
    model = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        lines = information.read_text(encoding="utf-8").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    return f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def write_csv(results: dict[str, Result], work: Workload, path: Path) -> None:
    """One row for each competitor, with the sizes."""
    measured = ["seconds", "sae_tokens", "sae_tokens_per_second", "peak_memory_mb", "threads", "settings"]
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["competitor", *measured, "packages", *asdict(work)])
        for key, result in results.items():
            values = [result[name] for name in measured]
            writer.writerow([key, *values, json.dumps(result["packages"]), *asdict(work).values()])


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line; every size of `Workload` is an option."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--peers-python", type=Path, default=PEERS_PYTHON, help="Python of the peers' environment")
    parser.add_argument("--results", type=Path, default=PROJECT / "results", help="folder of benchmark.md and .csv")
    parser.add_argument("--repeats", type=int, default=1, help="runs of each competitor; the fastest counts")
    parser.add_argument("--only", nargs="+", choices=[competitor.key for competitor in ALL], help="some competitors")
    for field in fields(Workload):
        kind = str if field.name == "device" else int
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=kind, default=field.default)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    options = parse_arguments(arguments)
    work = Workload(**{field.name: getattr(options, field.name) for field in fields(Workload)})
    chosen = [competitor for competitor in ALL if not options.only or competitor.key in options.only]
    if any(competitor.peer for competitor in chosen) and not options.peers_python.exists():
        raise SystemExit(f"{options.peers_python} is missing: `make bench` makes the peers' environment first")
    results: dict[str, Result] = {}
    with tempfile.TemporaryDirectory() as folder:
        write_inputs(work, Path(folder))
        for competitor in chosen:
            print(f"{competitor.title} ...", file=sys.stderr, flush=True)
            results[competitor.key] = best_of(
                [run(competitor, Path(folder), options.peers_python) for _ in range(options.repeats)]
            )
    report = markdown(results, work, options.repeats)
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "benchmark.md").write_text(report, encoding="utf-8")
    write_csv(results, work, options.results / "benchmark.csv")
    print(report)


if __name__ == "__main__":
    main()
