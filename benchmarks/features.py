"""`python -m benchmarks.features`: what it takes to read a text for the features of SAEs, and that memory stays flat.

In: nothing. Out: results/benchmark_features.md. Every line is a process of its own, which reads random residual
streams, so that no language model is in the numbers: the best contexts and the statistics of all features of one SAE.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.runs import PROJECT

PAGE = PROJECT / "results" / "benchmark_features.md"
CONTEXT, DENSITY = 128, 0.03  # tokens of a row; share of the tokens at which a feature is active


class Size(NamedTuple):
    """Of an SAE, and of what it reads at 1x."""

    d_model: int
    d_sae: int
    rows: int


SIZES = {"tiny": Size(128, 1024, 64), "smollm2": Size(576, 2304, 64), "pythia-160m": Size(768, 6144, 64)}
TIMES = (1, 8)


class RandomStreams:
    """Stands in for a language model: streams that depend on the tokens alone."""

    def __init__(self, d_model: int) -> None:
        import torch

        self.device = torch.device("cpu")
        self.table = torch.randn(512, d_model, generator=torch.Generator().manual_seed(0))

    def residual_streams(self, tokens: Any, layers: Sequence[int]) -> Any:
        """Each layer's stream is that of the table, rolled along the row, so that neighbours matter."""
        return (self.table[tokens] + self.table[tokens.roll(1, 1)]).unsqueeze(0).expand(len(layers), -1, -1, -1)


def measure(size: Size, times: int) -> dict[str, float]:
    """CPU seconds, and the memory that is held at the same time beyond what was held before, in this process."""
    import numpy as np
    import torch

    from saelib.interpret.features.survey import Width, survey
    from saelib.sae.autoencoder import random_sae

    model: Any = RandomStreams(size.d_model)
    rows = np.random.default_rng(0).integers(0, 512, (times * size.rows, CONTEXT)).astype(np.int32)
    sae = random_sae(size.d_model, size.d_sae, torch.Generator().manual_seed(0)).requires_grad_(False)
    before = model.residual_streams(torch.from_numpy(rows[:8]).long(), [0])[0].flatten(0, 1) @ sae.W_enc
    sae.b_enc.copy_(-before.quantile(1 - DENSITY, dim=0))
    held = _resident_bytes()
    started = time.process_time()
    found = survey(model, [(sae, 0)], rows, Width(10, 12, 4))[0]
    seconds = time.process_time() - started
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": seconds, "megabytes": (most - held) / 1e6, "density": float(found.statistics.density.mean())}


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


def in_a_process(name: str, times: int) -> dict[str, float]:
    """`measure`, where nothing was held before."""
    command = [sys.executable, "-m", "benchmarks.features", "--one", name, str(times)]
    environment = os.environ | {"MALLOC_ARENA_MAX": "1"}  # else the allocator holds a few more for new threads
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def page(lines: Sequence[tuple[str, int, dict[str, float]]]) -> str:
    """The table as Markdown."""
    head = (
        "# Reading a text for the features of one SAE\n\n"
        "`python -m benchmarks.features`. Best ten contexts with 17 tokens each, density, mean, largest activation and "
        "histogram of every feature, on random residual streams; a process for each line. Memory is what the process "
        "holds at most beyond what it held before. CPU seconds are of all threads together.\n\n"
        "| size of | d_model | features | tokens | CPU seconds | memory, MB |\n|---|--:|--:|--:|--:|--:|\n"
    )
    rows = [
        f"| {name} | {SIZES[name].d_model} | {SIZES[name].d_sae:,} | {times * SIZES[name].rows * CONTEXT:,} "
        f"| {found['seconds']:.1f} | {found['megabytes']:.0f} |\n"
        for name, times, found in lines
    ]
    return head + "".join(rows)


def main() -> None:
    """Measure all sizes, print and write the page; or, with `--one`, one of them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=2, metavar=("SIZE", "TIMES"))
    asked = parser.parse_args().one
    if asked:
        print(json.dumps(measure(SIZES[asked[0]], int(asked[1]))))
        return
    text = page([(name, times, in_a_process(name, times)) for name in SIZES for times in TIMES])
    PAGE.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
