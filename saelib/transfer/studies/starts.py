"""What a mapped start is worth: `python -m saelib.transfer.studies.starts`, a quarter of an hour on two cores.

In: the `tiny` preset. Out: three tables. One run trains copies, affine maps and rotations of sources one, two and three
layers away: `results/starts.csv` has what each saves, `results/starts_leads.csv` how much more than a copy.
`results/map_tokens.csv` scores maps that were fitted on few and on many tokens, before any training, SAE by SAE.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import pandas as pd
from jaxtyping import Float
from torch import Tensor

from saelib.run.threads import one_thread_each
from saelib.sae.autoencoder import SparseAutoencoder
from saelib.sae.mapping import fit_map, map_sae
from saelib.sae.starts import STARTS
from saelib.sae.training.plan import SaePlan
from saelib.transfer.config import ExperimentConfig
from saelib.transfer.directions import Arm, parse_arm
from saelib.transfer.experiment import Experiment, open_experiment
from saelib.transfer.maps import map_activations, solved
from saelib.transfer.savings import leads_over_copies, savings
from saelib.transfer.scored import scorer_of
from saelib.transfer.studies.shared import keep, read_kept, train_and_score

SAVINGS, LEADS, MAP_TOKENS = "starts.csv", "starts_leads.csv", "map_tokens.csv"
BUDGETS = (0, *(16_384 * 2**power for power in range(6)))  # half of those of `tiny`, for time
SIZES = (4096, 16_384, 65_536, 262_144)
"""Tokens from which maps are fitted."""
METRICS = ("loss", "ce_score", "l0", "dead_latents")
Fit = tuple[SaePlan, int | None]
"""A transfer, and the tokens of its map; None for a copy."""


def open_starts() -> Experiment:
    """`tiny` with every start, three distances, three replicates and fewer budgets."""
    phase = {"checkpoints": BUDGETS}
    return open_experiment(
        preset="tiny", run="starts", sae_seeds=3, starts=STARTS, distances=(1, 2, 3), scratch=phase, transfer=phase
    )


def sweep_map_tokens(experiment: Experiment, sizes: Sequence[int]) -> pd.DataFrame:
    """Scores at 0 new tokens of transfers between neighbours, by the number of tokens that their map was fitted on.

    Args:
        experiment: whose scratch SAEs are trained.
        sizes: numbers of tokens, the largest last.

    Returns:
        direction, start, source_layer, act_layer, seed, data_seed, map_tokens (0 for a copy), r2, r2_back, ridge,
        ridge_back, the metrics of `Scores`, and loss.
    """
    neighbours = [plan for plan in experiment.plans("transfer") if _arm(plan).distance == 1]
    parts = [
        _sweep_replicate(experiment, [plan for plan in neighbours if plan.seed == seed], sizes)
        for seed in experiment.config.seeds
    ]
    return pd.concat(parts, ignore_index=True)


def _sweep_replicate(experiment: Experiment, plans: Sequence[SaePlan], sizes: Sequence[int]) -> pd.DataFrame:
    asked: list[Fit] = [(plan, size) for plan in plans for size in ([None] if plan.start == "copy" else sizes)]
    sources = {layer: experiment.sae("scratch", layer, plans[0].seed) for layer in experiment.layers}
    with one_thread_each() as pool:
        streams = map_activations(experiment, plans[0].data_seed, experiment.layers, sizes[-1], pool)
        started = list(solved(pool, experiment.model.device, partial(_start, sources=sources, streams=streams), asked))
    candidates = [(sae, plan.sae_layer) for (plan, _), (sae, _) in zip(asked, started, strict=True)]
    scores = scorer_of(experiment, experiment.corpus.held_out).scores(candidates)
    return pd.DataFrame(
        {
            "direction": _arm(plan).direction,
            "start": plan.start,
            "source_layer": plan.source_layer,
            "act_layer": plan.sae_layer,
            "seed": plan.seed,
            "data_seed": plan.data_seed,
            "map_tokens": size or 0,
            **fit,
            **score.metrics(),
            "loss": score.mse + experiment.l1_coefficients[plan.sae_layer] * score.l1,
        }
        for (plan, size), (_, fit), score in zip(asked, started, scores, strict=True)
    )


def _start(
    asked: Fit, sources: Mapping[int, SparseAutoencoder], streams: Mapping[int, Float[Tensor, "tokens d_model"]]
) -> tuple[SparseAutoencoder, dict[str, float | None]]:
    """The SAE at token 0, and how well its map fits."""
    plan, size = asked
    assert plan.source_layer is not None
    source, names = sources[plan.source_layer], ("r2", "r2_back", "ridge", "ridge_back")
    if size is None:
        return source, dict.fromkeys(names)
    fitted = fit_map(plan.start, streams[plan.source_layer][:size], streams[plan.sae_layer][:size])
    return map_sae(source, fitted), {name: getattr(fitted, name) for name in names}


def _arm(plan: SaePlan) -> Arm:
    arm = parse_arm(plan.arm)
    assert arm is not None  # a transfer's
    return arm


def stored_savings(config: ExperimentConfig | None = None) -> pd.DataFrame:
    """What `savings` says of the run, with `shared.ORIGIN`; empty as `shared.read_kept`."""
    return read_kept(SAVINGS, config)


def stored_leads(config: ExperimentConfig | None = None) -> pd.DataFrame:
    """What `leads_over_copies` says of it, alike."""
    return read_kept(LEADS, config)


def stored_map_tokens(config: ExperimentConfig | None = None) -> pd.DataFrame:
    """What `sweep_map_tokens` says of it, alike."""
    return read_kept(MAP_TOKENS, config)


def main() -> None:
    """Train, score and sweep (what is finished is read back), and write the tables."""
    experiment = open_starts()
    results = train_and_score(experiment)
    keep(SAVINGS, savings(results), experiment)
    keep(LEADS, leads_over_copies(results), experiment)
    keep(MAP_TOKENS, sweep_map_tokens(experiment, SIZES), experiment)
    print(stored_savings().to_string(index=False))
    by = ["direction", "start", "map_tokens"]
    print(stored_map_tokens().groupby(by)[["r2", "r2_back", "ridge", *METRICS]].mean().to_string())


if __name__ == "__main__":
    main()
