"""How the kit's time and memory grow with the work: tokens, number of SAEs, d_sae.

In: a small workload. Out: one run at each size, and the exponent of a power law through them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from math import log

import numpy as np

from benchmarks.competitors import KIT
from benchmarks.runs import Run
from benchmarks.workload import Workload

FACTORS = (1, 2, 4, 8)
GROWN = {"tokens": "tokens", "seeds": "SAEs", "d_sae": "d_sae"}  # by their names in Workload
SHOWN = {"seconds": ("seconds", 1), "peak_memory_mb": ("peak memory, MB", 0), "l0": ("L0 at the end", 0)}

Growth = Mapping[str, Mapping[int, Run]]  # by what grows, by its factor


def sizes(base: Workload, factors: Iterable[int]) -> dict[str, dict[int, Workload]]:
    """The workload of every point; where the factor is 1 it is the same for all."""
    return {
        name: {factor: replace(base, **{name: getattr(base, name) * factor}) for factor in factors} for name in GROWN
    }


def measure(base: Workload, factors: Sequence[int], run_one: Callable[[Workload], Run]) -> Growth:
    """One run for each different workload."""
    wanted = sizes(base, factors)
    different = dict.fromkeys(work for points in wanted.values() for work in points.values())
    runs = {work: run_one(work) for work in different}
    return {name: {factor: runs[work] for factor, work in points.items()} for name, points in wanted.items()}


def exponent(factors: Iterable[float], values: Iterable[float]) -> float:
    """The slope of log(value) over log(factor): 1 where twice the work takes twice as much."""
    slope, _ = np.polyfit([log(factor) for factor in factors], [log(value) for value in values], 1)
    return round(float(slope), 2) + 0.0  # no "-0.00"


def table(growth: Growth) -> str:
    """Markdown: a row for each thing that grows and each number that was measured."""
    factors = list(next(iter(growth.values())))
    lines = [
        f"| what grows | measured | {' | '.join(f'{factor} times' for factor in factors)} | exponent |",
        f"|---|---|{'--:|' * (len(factors) + 1)}",
    ]
    for name, points in growth.items():
        for measured, (title, digits) in SHOWN.items():
            values = [run.result[measured] for run in points.values()]
            shown = " | ".join(f"{value:,.{digits}f}" for value in values)
            fitted = f"{exponent(points, values):.2f}" if len(factors) > 1 and measured != "l0" else ""
            lines.append(f"| {GROWN[name]} | {title} | {shown} | {fitted} |")
    return "\n".join(lines)


def describe(base: Workload) -> str:
    """What was measured, in words."""
    saes = base.layers * base.seeds
    return (
        f"{KIT.title[0].upper()}{KIT.title[1:]} alone, one run at each size, from {base.tokens:,} tokens, {saes} SAEs "
        f"and d_sae {base.d_sae:,}; the exponent is the slope of a line through the logarithms. More SAEs share one "
        "pass of the language model; more tokens end at a lower L0; peak memory includes imports, the language model "
        "and a warm-up."
    )
