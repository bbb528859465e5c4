"""Several runs of each competitor as tables: medians, ranges, and how much faster the first one is.

In: `Run`s. Out: Markdown. A range goes from the lowest to the highest run.
"""

import statistics
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from benchmarks.competitors import KIT, NEIGHBOURS, Competitor
from benchmarks.machine import DISTURBED, REST
from benchmarks.runs import Run

MARK = "\\*"  # beside a row that was disturbed


class Spread(NamedTuple):
    """The middle of several numbers, and their range."""

    median: float
    low: float
    high: float

    def text(self, digits: int = 1) -> str:
        """Median, and the range where there is one."""
        median, low, high = (f"{value:,.{digits}f}" for value in self)
        return median if low == high else f"{median} ({low} to {high})"


def spread(values: Iterable[float]) -> Spread:
    """Of a few numbers."""
    found = list(values)
    return Spread(statistics.median(found), min(found), max(found))


def measured(runs: Sequence[Run], name: str) -> Spread:
    """One number of several runs."""
    return spread(run.result[name] for run in runs)


def ratio(ours: Sequence[Run], theirs: Sequence[Run]) -> Spread:
    """How many times faster ours is: of the medians, with the range over the rounds.

    Raises:
        ValueError: the two have not run in the same rounds.
    """
    rate = "sae_tokens_per_second"
    if [run.round for run in ours] != [run.round for run in theirs]:
        raise ValueError(f"{ours[0].competitor.title} and {theirs[0].competitor.title} ran in different rounds")
    by_round = [our.result[rate] / their.result[rate] for our, their in zip(ours, theirs, strict=True)]
    return Spread(measured(ours, rate).median / measured(theirs, rate).median, min(by_round), max(by_round))


def by_competitor(runs: Iterable[Run], group: Iterable[Competitor]) -> dict[Competitor, list[Run]]:
    """The runs of those of a group that ran, in the group's order."""
    members = list(group)
    found: dict[Competitor, list[Run]] = {competitor: [] for competitor in members}
    for run in runs:
        if run.competitor in found:
            found[run.competitor].append(run)
    return {competitor: some for competitor, some in found.items() if some}


def comparison(runs: dict[Competitor, list[Run]]) -> str:
    """Markdown: speed of each, how much faster the first one is, and what their SAEs are like at the end."""
    first = next(iter(runs.values()))
    lines = [
        "| trainer | SAE-tokens | seconds | CPU seconds | SAE-tokens/s | this kit is faster by | L0 at the end "
        "| explained variance | peak memory, MB |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for competitor, some in runs.items():
        faster = "" if some is first else f"{ratio(first, some).text(1)} times"
        mark = f" {MARK}" if disturbed(some) else ""
        lines.append(
            f"| {competitor.title}{mark} | {some[0].result['sae_tokens']:,} | {measured(some, 'seconds').text()} "
            f"| {measured(some, 'cpu_seconds').text()} | {measured(some, 'sae_tokens_per_second').median:,.0f} "
            f"| {faster} | {measured(some, 'l0').median:.0f} | {measured(some, 'explained_variance').median:.3f} "
            f"| {measured(some, 'peak_memory_mb').median:,.0f} |"
        )
    return "\n".join(lines)


def disturbed(runs: Iterable[Run]) -> bool:
    """Whether other programs used more than `DISTURBED` cores during any of the runs."""
    return any((run.other_cores or 0.0) > DISTURBED for run in runs)


def load_text(before: Sequence[float | None], runs: Iterable[Run], load_average: float) -> str:
    """What else ran on the machine: a sentence for the caption."""
    during = [run.other_cores for run in runs if run.competitor.neighbour is None]
    waited, meanwhile = ([used for used in some if used is not None] for some in (before, during))
    if len(waited) < len(before) or len(meanwhile) < len(during):
        return f"Load average at the start: {load_average:.2f}; this system does not say what else ran."
    text = (
        f"Other programs used at most {max(waited, default=0):.2f} cores before a round and at most "
        f"{max(meanwhile, default=0):.2f} during a run; the load average was {load_average:.2f} at the start."
    )
    if max(waited, default=0.0) > REST or max(meanwhile, default=0.0) > DISTURBED:
        text += f" **The machine was not at rest**: rows with {MARK} ran beside other programs. Measure again."
    return text


def neighbours(runs: Sequence[Run]) -> str | None:
    """Markdown: the kit beside a busy program; None where it was not measured.

    The fair share is that of a scheduler that gives each running thread the same time: a program that keeps c cores
    busy when it is alone has c / (c + 1) of them beside one other thread.
    """
    found = by_competitor(runs, (KIT, *NEIGHBOURS))
    if KIT not in found or len(found) == 1:
        return None
    alone = measured(found[KIT], "sae_tokens_per_second").median
    lines = [
        "| beside | seconds | SAE-tokens/s | share of the speed alone | fair share | kept of the fair share |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for competitor, some in found.items():
        title, fair = ("nothing", 1.0) if competitor is KIT else (competitor.title, fair_share(found[KIT]))
        share = measured(some, "sae_tokens_per_second").median / alone
        lines.append(
            f"| {title} | {measured(some, 'seconds').text()} | {share * alone:,.0f} | {share:.2f} | {fair:.2f} "
            f"| {share / fair:.2f} |"
        )
    return "\n".join(lines)


def fair_share(alone: Sequence[Run]) -> float:
    """What a program gets of its cores beside one busy thread, by what it used alone."""
    cores = max(1, round(measured(alone, "cpu_seconds").median / measured(alone, "seconds").median))
    return cores / (cores + 1)
