"""`python -m benchmarks.busy`: each stage of a run alone, and beside a program that keeps one core busy.

In: nothing. Out: results/benchmark_busy.md. A stage is a small fixed piece of its work, timed by turns alone and
beside a neighbour, once as PyTorch waits by itself and once as `import saelib` has it wait (`saelib/run/waiting.py`).

A stage keeps `time alone / time beside`. With T threads and one neighbour on C cores, an even split would leave it
min(1, C / (T + 1)) of that speed, its fair share; the table has what it keeps of the fair share.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.runs import PROJECT, running_neighbour

NEIGHBOURS = {"a loop in Python": "loop", "products on one thread of PyTorch": "products"}  # of BUSY_PROGRAMS
POLICIES = {"PyTorch's own": False, "saelib's": True}
WARM_UP_SECONDS = 3.0  # until a neighbour that imports PyTorch is at work
WANTED = 0.6  # of the fair share


def harvest() -> Callable[[], Any]:
    """Residual streams of all layers for 4,096 tokens."""
    from saelib import load_language_model

    model, rows = load_language_model("embedded", "cpu"), _rows(32)
    return lambda: model.residual_streams(rows, range(model.n_layers))


def evaluation() -> Callable[[], Any]:
    """The scores of four SAEs of 1,024 features on 2,048 tokens."""
    import torch

    from saelib import evaluate, load_language_model
    from saelib.sae.autoencoder import random_sae

    model = load_language_model("embedded", "cpu")
    seeds = [torch.Generator().manual_seed(seed) for seed in range(4)]
    candidates = [(random_sae(model.d_model, 8 * model.d_model, seed), layer) for layer, seed in enumerate(seeds)]
    rows = _rows(16).numpy().astype("int32")
    return lambda: evaluate(candidates, model, rows, batch_rows=8)


def asking() -> Callable[[], Any]:
    """One task of H-Test: 100 items with 50 shots."""
    from saelib import load_language_model
    from saelib.htest.asking.prompts import choose_shots, render
    from saelib.htest.asking.replies import Condition
    from saelib.htest.engines.local import LocalEngine
    from saelib.htest.items.generators import fresh_items
    from saelib.htest.items.item import select

    items = fresh_items(seed=0, test=100)
    asked = select(items, "uppercase", "test")
    prompts = render(asked, choose_shots(select(items, "uppercase", "dev"), 50), "completion")
    engine = LocalEngine(load_language_model("embedded", "cpu"))
    return lambda: engine(asked, prompts, Condition(model="embedded", form="completion", k=50, max_tokens=0))


def fine_tuning() -> Callable[[], Any]:
    """Gradients of eight batches of 32 items in the bare form."""
    from saelib import load_language_model
    from saelib.htest.ablations.letter_training import add_gradients, encode
    from saelib.htest.items.generators import fresh_items

    model = load_language_model("embedded", "cpu")
    examples = encode([item for item in fresh_items(seed=0, test=64) if item.split == "test"][:256], model)
    twin = model.hugging_face

    def steps() -> None:
        twin.zero_grad()
        for start in range(0, len(examples), 32):
            add_gradients(twin, examples[start : start + 32])

    return steps


STAGES: dict[str, Callable[[], Callable[[], Any]]] = {
    "harvest": harvest,
    "evaluation": evaluation,
    "H-Test, asking": asking,
    "H-Test, fine-tuning": fine_tuning,
}


def _rows(rows: int) -> Any:
    import torch

    return torch.randint(0, 4096, (rows, 128), generator=torch.Generator().manual_seed(0))


def median_seconds(work: Callable[[], Any], repeats: int) -> float:
    """Of `repeats` calls, after one that is not counted."""
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def measure(stage: str, repeats: int) -> dict[str, Any]:
    """Seconds of a stage alone and beside each neighbour, in this process."""
    work = STAGES[stage]()
    import torch

    found: dict[str, Any] = {"threads": torch.get_num_threads(), "alone": median_seconds(work, repeats)}
    for name, program in NEIGHBOURS.items():
        with running_neighbour(program):
            time.sleep(WARM_UP_SECONDS)
            found[name] = median_seconds(work, repeats)
    found["alone"] = min(found["alone"], median_seconds(work, repeats))
    return found


def measure_apart(stage: str, repeats: int, is_passive: bool) -> dict[str, Any]:
    """The same in a process of its own: how threads wait is read once, when PyTorch is imported."""
    first = "import saelib" if is_passive else "import torch"  # before saelib, so PyTorch waits as it does by itself
    code = (
        f"{first}; import json; from benchmarks.busy import measure; print(json.dumps(measure({stage!r}, {repeats})))"
    )
    environment = {
        name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    }
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, env=environment | {"SAELIB_BATCH": "1"}, text=True,
                          stdout=subprocess.PIPE, check=True)  # fmt: skip
    return dict(json.loads(done.stdout.splitlines()[-1]))


def kept_of_fair_share(found: dict[str, Any], name: str, cores: int) -> float:
    """What a stage keeps beside a neighbour, of what an even split would leave it."""
    fair = min(1.0, cores / (found["threads"] + 1))
    return float(found["alone"] / found[name] / fair)


def markdown(results: dict[tuple[str, str], dict[str, Any]], cores: int, machine: str) -> str:
    """The report."""
    lines = [
        "| stage | waiting | threads | alone, ms | " + " | ".join(f"beside {name}" for name in NEIGHBOURS) + " |",
        "|---|---|--:|--:|" + "--:|" * len(NEIGHBOURS),
    ]
    for (stage, policy), found in results.items():
        beside = [f"{found[name] * 1000:.0f} ms, {kept_of_fair_share(found, name, cores):.2f}" for name in NEIGHBOURS]
        lines.append(
            f"| {stage} | {policy} | {found['threads']} | {found['alone'] * 1000:.0f} | {' | '.join(beside)} |"
        )
    table = "\n".join(lines)
    return (
        "# Beside a busy program\n\n"
        "`python -m benchmarks.busy`. A small fixed piece of each stage, alone and beside a program that keeps one "
        "core busy: median time, and what the stage keeps of its fair share (1: all that an even split of the cores "
        f"leaves it; {WANTED} is wanted). How to read it stands in `benchmarks/busy.py`.\n\n"
        f"{table}\n\nMachine: {machine}.\n"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    from benchmarks.machine import machine

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7, help="calls of each piece; the median counts")
    parser.add_argument("--stages", nargs="+", choices=list(STAGES), default=list(STAGES))
    parser.add_argument("--results", type=Path, default=PROJECT / "results", help="folder of the report")
    options = parser.parse_args(arguments)
    results = {
        (stage, policy): measure_apart(stage, options.repeats, is_passive)
        for stage in options.stages
        for policy, is_passive in POLICIES.items()
    }
    report = markdown(results, os.cpu_count() or 1, machine())
    (options.results / "benchmark_busy.md").write_text(report, encoding="utf-8")
    print(report)


if __name__ == "__main__":
    main()
