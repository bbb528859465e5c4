"""The page of `make bench-gpu`: speeds, their share of the card's products, hours of the paper's runs.

In: `Rates`, one for each precision, and the sizes. Out: results/benchmark_gpu.md as text; nothing is measured here.
"""

from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.workload import Workload
from saelib.language.precision import Precision

PROJECTS = ((12, 1e9), (22, 0.5e9))  # SAEs and tokens of each: the paper's two phases, without our control


class Rates(NamedTuple):
    """Tokens of text in a second, each seen by all SAEs, and the card's rate at one precision."""

    precision: Precision
    harvest: float
    step: float
    both: float
    products: float
    """FLOPs in a second, of one large product."""
    peak_memory: int
    """Bytes; 0 where the device does not tell."""
    sae_lens: float | None
    """SAE-tokens in a second; None where it was not run."""


def flops(work: Workload, saes: int) -> tuple[float, float]:
    """FLOPs of a token: in the products of all layers but the head, and in the five products of each SAE's step."""
    layer = 4 * work.d_model**2 + 8 * work.d_model**2
    attention = work.context * work.d_model  # half of a row is before a token; scores and weighted values
    return 2.0 * work.layers * (layer + attention), 10.0 * work.d_model * work.d_sae * saes


def hours(rates: Rates, work: Workload, saes: int, tokens: float) -> float:
    """Of so many SAEs on so many tokens: the measured time of a token, with the step's share grown by arithmetic."""
    further = (saes - work.layers) / (work.layers * rates.step)
    return tokens * (1 / rates.both + further) / 3600


def markdown(measured: Sequence[Rates], work: Workload, device: str) -> str:
    """The report."""
    projected = " | ".join(f"hours for {saes} SAEs x {tokens / 1e9:g}B" for saes, tokens in PROJECTS)
    lines = [
        "# Speed on one GPU",
        f"\n`make bench-gpu` on {device}. GPT-NeoX of random weights ({work.layers} layers, d_model {work.d_model}, "
        f"vocabulary {work.vocabulary:,}), random rows of {work.context:,} tokens, one SAE of {work.d_sae:,} features "
        f"for each layer, {work.batch_tokens:,} tokens in a step; weights and Adam in float32. Tokens/s are those of "
        "warm chunks and count the text: every SAE sees each token. The share is of the rate of one large product at "
        "the same precision. Hours are of training alone, without evaluation; the measured speed is for "
        f"{work.layers} SAEs, further ones are added by their steps. sae-lens: its whole run, after a short one to "
        "warm up.\n",
        "| products | harvest, tokens/s | steps, tokens/s | both, tokens/s | SAE-tokens/s | share of products | "
        f"{projected} | peak memory, GB | sae-lens, SAE-tokens/s | faster by |",
        "|---|" + "--:|" * (8 + len(PROJECTS)),
    ]
    return "\n".join([*lines, *(row(rates, work) for rates in measured)]) + "\n"


def row(rates: Rates, work: Workload) -> str:
    """One precision's line of the table."""
    share, sae_tokens = rates.both * sum(flops(work, work.layers)) / rates.products, rates.both * work.layers
    cells = [rates.precision, *(f"{rate:,.0f}" for rate in (rates.harvest, rates.step, rates.both, sae_tokens))]
    cells += [f"{share:.0%} of {rates.products / 1e12:,.1f} TFLOP/s"]
    cells += [f"{hours(rates, work, saes, tokens):,.2f}" for saes, tokens in PROJECTS]
    cells += [f"{rates.peak_memory / 1e9:.1f}" if rates.peak_memory else "not told"]
    cells += ["not run", ""] if rates.sae_lens is None else [
        f"{rates.sae_lens:,.0f}", f"{sae_tokens / rates.sae_lens:.1f} times"
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"
