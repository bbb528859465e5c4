"""`python -m benchmarks.htest`: H-Test by this kit and by lm-evaluation-harness, same prompts, model and machine.

In: tasks, shots and batch sizes (command line), the peers' Python. Out: results/benchmark_htest.md and .csv. Both
sides' log-probabilities of every answer are compared first: a speed at which other numbers come out is none.
"""

import argparse
import csv
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.htest_work import (
    EXPORT_FOLDER,
    ITEMS_FILE,
    PROJECT,
    LogProbabilities,
    Process,
    largest_difference,
    last_line,
    lm_eval_command,
    read_samples,
    run_process,
)
from benchmarks.machine import machine
from benchmarks.runs import PEERS_PYTHON
from saelib.htest.asking.lm_eval_export import export
from saelib.htest.asking.replies import read_replies
from saelib.htest.items.item import write_items
from saelib.htest.tasks import TASKS
from saelib.language.embedded import EMBEDDED_FOLDER

TOLERANCE = 1e-4  # of log-probabilities in float32, summed in another order
MODEL = EMBEDDED_FOLDER


@dataclass(frozen=True)
class Row:
    """One program in the table."""

    program: str
    items: int
    k: int
    process_seconds: float
    """Whole process: imports, loading, scoring and writing."""
    scoring_seconds: float
    """Tokenising and scoring only."""
    peak_memory_mb: int
    threads: int
    largest_difference: float | None
    """To the kit's log-probabilities; None for the kit."""


def measure_kit(folder: Path, model: Path, tasks: Sequence[str], k: int, repeats: int) -> tuple[Row, LogProbabilities]:
    """The kit's row, of its fastest process, and its log-probabilities."""
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "benchmarks.htest_kit",
        folder,
        "--model",
        str(model),
        "--k",
        str(k),
        "--tasks",
        *tasks,
    ]
    best = fastest([run_process(command, folder) for _ in range(repeats)])
    replies = [reply for task in tasks for reply in read_replies(folder / f"replies-{task}.jsonl")]
    found = {reply.item.key: list((reply.log_probabilities or {}).values()) for reply in replies}
    report = last_line(best)
    seconds, threads = report["scoring_seconds"], report["threads"]
    return Row("this kit", len(found), k, best.seconds, seconds, best.peak_memory_mb, threads, None), found


def measure_lm_eval(folder: Path, model: Path, group: str, kit: Row, ours: LogProbabilities, batch_size: int,
                    python: Path, repeats: int) -> Row:  # fmt: skip
    """lm-eval's row at one batch size.

    Raises:
        AssertionError: its log-probabilities are not the kit's.
    """
    results = folder / f"lm_eval-{batch_size}"
    command = lm_eval_command(python, model, folder / EXPORT_FOLDER, group, batch_size, results)
    cache = str(folder / "datasets")  # what the harness makes of the data goes with the work folder
    best = fastest([run_process(command, folder, HF_DATASETS_CACHE=cache) for _ in range(repeats)])
    difference = largest_difference(ours, read_samples(results))
    assert difference < TOLERANCE, f"lm-eval's log-probabilities differ from the kit's by {difference}"
    inside: list[str | Path] = [python, "-m", "benchmarks.htest_lm_eval", folder, "--model", model, "--group", group]
    report = last_line(run_process([*inside, "--batch-size", str(batch_size)], folder, HF_DATASETS_CACHE=cache))
    program = f"lm-eval, batch size {batch_size}"
    seconds, threads = report["scoring_seconds"], report["threads"]
    return Row(program, kit.items, kit.k, best.seconds, seconds, best.peak_memory_mb, threads, difference)


def fastest(runs: Sequence[Process]) -> Process:
    """The run that counts."""
    return min(runs, key=lambda run: run.seconds)


def markdown(rows: Sequence[Row], tasks: Sequence[str], packages: str, repeats: int) -> str:
    """The report."""
    kit = rows[0]
    lines = [
        "| program | scoring, s | kit is faster by | whole process, s | kit is faster by | peak memory, MB "
        "| largest difference of a log-probability |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        scoring, process = ("", "") if row is kit else (
            f"{row.scoring_seconds / kit.scoring_seconds:.1f} times",
            f"{row.process_seconds / kit.process_seconds:.1f} times",
        )  # fmt: skip
        difference = "" if row.largest_difference is None else f"{row.largest_difference:.1e}"
        lines.append(
            f"| {row.program} | {row.scoring_seconds:.2f} | {scoring} | {row.process_seconds:.1f} | {process} "
            f"| {row.peak_memory_mb:,} | {difference} |"
        )
    table = "\n".join(lines)
    return (
        "# H-Test beside lm-evaluation-harness\n\n"
        f"`make bench`. {kit.items:,} fresh test items ({', '.join(tasks)}), {kit.k} shots, completion form, the "
        "embedded language model in float32 on a CPU; the same prompt bytes on both sides. The kit reads the shots "
        "once per task, lm-eval with every item. Scoring is tokenising and scoring all items in a started process; the "
        "whole process is imports, loading, scoring and writing of every item's log-probabilities (`lm_eval run "
        f"--log_samples`), the fastest of {repeats} run(s). The largest difference of a log-probability is over all "
        f"items and answers; above {TOLERANCE:g} the benchmark fails.\n\n{table}\n\n"
        f"{packages}. Machine: {machine()}. PyTorch threads: {kit.threads}.\n"
    )


def packages_of(python: Path, folder: Path) -> str:
    """Versions that were compared, those of the kit's environment first."""
    names = ("torch", "transformers", "lm_eval")
    code = f"from importlib.metadata import version as v; print(*(n + ' ' + v(n) for n in {names}), sep=', ')"
    here = run_process([sys.executable, "-c", code.replace(repr(names), repr(names[:2]))], folder).output.strip()
    return f"Kit: {here}. lm-eval: {run_process([python, '-c', code], folder).output.strip()}"


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """One row for each program."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(asdict(rows[0])))
        writer.writeheader()
        writer.writerows(map(asdict, rows))


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--peers-python", type=Path, default=PEERS_PYTHON, help="Python of the peers' environment")
    parser.add_argument("--results", type=Path, default=PROJECT / "results", help="folder of the report")
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=["uppercase"])
    parser.add_argument("--items", type=int, default=200, help="test items of each task")
    parser.add_argument("--k", type=int, default=50, help="shots")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 8, 32], help="of lm-eval")
    parser.add_argument("--repeats", type=int, default=1, help="processes of each program; the fastest counts")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    from saelib.htest.items.generators import fresh_items

    options = parse_arguments(arguments)
    if not options.peers_python.exists():
        raise SystemExit(f"{options.peers_python} is missing: `make peers` makes the peers' environment")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        items = [item for item in fresh_items(seed=0, test=options.items) if item.task in options.tasks]
        write_items(folder / ITEMS_FILE, items)
        group = export(folder / EXPORT_FOLDER, items, options.k, tasks=options.tasks)
        kit, ours = measure_kit(folder, MODEL, options.tasks, options.k, options.repeats)
        rows = [kit]
        for size in options.batch_sizes:
            print(f"lm-eval, batch size {size} ...", file=sys.stderr, flush=True)
            rows.append(measure_lm_eval(folder, MODEL, group, kit, ours, size, options.peers_python, options.repeats))
        packages = packages_of(options.peers_python, folder)
    report = markdown(rows, options.tasks, packages, options.repeats)
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "benchmark_htest.md").write_text(report, encoding="utf-8")
    write_csv(rows, options.results / "benchmark_htest.csv")
    print(report)


if __name__ == "__main__":
    main()
