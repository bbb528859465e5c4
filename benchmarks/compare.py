"""Run every competitor on the same work, in alternating rounds, and write results/benchmark.md and .csv.

In: the sizes (command line), the peers' Python. Out: tables of the one-pass trainers, of the whole experiment, of the
kit beside a busy program and of its growth, with the machine, its load, versions and settings. `make bench` calls it.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

from benchmarks import growth
from benchmarks.competitors import ALL, KIT, Competitor
from benchmarks.inputs import write_inputs
from benchmarks.machine import WAIT_SECONDS, machine, wait_for_rest
from benchmarks.report import Measurements, markdown, write_csv
from benchmarks.runs import PEERS_PYTHON, PROJECT, Run, alternate, run
from benchmarks.workload import Workload

GROWTH_TOKENS = 65_536  # 8 times as many are a run of the preset "tiny"


def measure(chosen: Sequence[Competitor], options: argparse.Namespace, work: Workload) -> Measurements:
    """Run everything that was asked for."""
    load_average, before = os.getloadavg()[0], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows_sha256 = write_inputs(work, folder)

        def run_one(competitor: Competitor, number: int) -> Run:
            return run(competitor, work, folder, options.peers_python, number)

        def rest() -> None:
            before.append(wait_for_rest(options.wait_seconds))

        runs = list(alternate(chosen, options.rounds, run_one, rest))
        grown: growth.Growth = {}
        if options.growth_factors:
            rest()
            base = replace(work, tokens=options.growth_tokens)
            grown = growth.measure(base, options.growth_factors, lambda size: run_size(size, folder))
    return Measurements(work, rows_sha256, options.rounds, runs, grown, before, load_average)


def run_size(size: Workload, folder: Path) -> Run:
    """The kit on work of another size."""
    grown = ", ".join(f"{name} {getattr(size, name):,}" for name in growth.GROWN)
    print(f"growth: {grown} ...", file=sys.stderr, flush=True)
    return run(KIT, size, folder)


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line; every size of `Workload` is an option."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--peers-python", type=Path, default=PEERS_PYTHON, help="Python of the peers' environment")
    parser.add_argument("--results", type=Path, default=PROJECT / "results", help="folder of benchmark.md and .csv")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each competitor, in turn")
    parser.add_argument("--only", nargs="+", choices=[competitor.key for competitor in ALL], help="some competitors")
    parser.add_argument("--growth-factors", nargs="*", type=int, default=growth.FACTORS, help="none leaves it out")
    parser.add_argument("--growth-tokens", type=int, default=GROWTH_TOKENS, help="at factor 1")
    parser.add_argument("--wait-seconds", type=float, default=WAIT_SECONDS, help="for other programs, at each round")
    for field in fields(Workload):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=type(field.default), default=field.default)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    options = parse_arguments(arguments)
    try:
        work = Workload(**{field.name: getattr(options, field.name) for field in fields(Workload)})
    except ValueError as error:
        raise SystemExit(str(error)) from error
    chosen = [competitor for competitor in ALL if not options.only or competitor.key in options.only]
    if any(competitor.peer for competitor in chosen) and not options.peers_python.exists():
        raise SystemExit(f"{options.peers_python} is missing: `make bench` makes the peers' environment first")
    found = measure(chosen, options, work)
    report = markdown(found, machine())
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "benchmark.md").write_text(report, encoding="utf-8")
    write_csv(found.all_runs, options.results / "benchmark.csv")
    print(report)


if __name__ == "__main__":
    main()
