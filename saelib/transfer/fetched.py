"""The SAEs that the paper's authors have released, at the places of a run, in place of training.

In: an experiment with `saes="published"`. Out: the SAEs of a phase, each with a lineage that says where it was fetched
from, and a log of the same form as training leaves: as the authors' own was not released, it is what the SAEs lose on
the first training rows. At token 0, which was not released either, a transfer is its source, as the paper copies it,
and scratch a random start of this library.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from saelib.language.precision import matrix_products
from saelib.run.identity import INPUTS
from saelib.run.progress import progress
from saelib.sae.autoencoder import SparseAutoencoder
from saelib.sae.folder import CONFIG, load_sae, save_sae
from saelib.sae.releases.load import RELEASED, load_published
from saelib.sae.sae_lens import KEPT
from saelib.sae.training.keeping import KEYS
from saelib.sae.training.plan import PhaseFolders, SaePlan, start_sae
from saelib.transfer.finished import check_own
from saelib.transfer.source import short_name

if TYPE_CHECKING:
    from saelib.language.model import LanguageModel
    from saelib.transfer.experiment import Experiment

START = "a random start of this library: the authors released none"  # in the lineage of scratch at token 0


def fetch_phase(experiment: "Experiment", name: str) -> list[dict[str, Any]]:
    """Put the released SAEs of a phase where training would keep them; what is there is not fetched again.

    Returns:
        The rows of `sae.training.train.train`, their values measured on the first training rows.

    Raises:
        FileNotFoundError: one is not in the hub's cache and cannot be fetched.
        ValueError: one is not of the run's model, or of another size, or would be computed differently here.
        DamagedFileError: one that is there is not what was fetched.
    """
    folders, plans = experiment.phase_folders(name), experiment.plans(name)
    wanted = [(plan, tokens) for plan in plans for tokens in experiment.phase(name).checkpoints]
    with progress(f"{name}, fetched", len(wanted), unit="SAE") as advance:
        for plan, tokens in wanted:
            folder = folders.sae(plan.arm, plan.sae_layer, plan.seed, tokens)
            if (folder / CONFIG).is_file():
                check_own(folder, name, folders, experiment.inputs)
            else:
                _fetch(experiment, plan, tokens, folders)
            advance(1)
    return _measured(experiment, [(plan, tokens) for plan, tokens in wanted if tokens], folders)


def _fetch(experiment: "Experiment", plan: SaePlan, tokens: int, folders: PhaseFolders) -> None:
    """Write one SAE's folder. Decoder rows get unit norm, as training leaves them; no reconstruction changes."""
    sae = _released(experiment, plan, tokens) if tokens else _start(experiment, plan, folders)
    sae.fold_decoder_norms()
    own = plan.described() | {"l1_coefficient": plan.penalty(experiment.settled), "tokens": tokens}
    lineage = own | {RELEASED: sae.lineage[RELEASED], INPUTS: experiment.inputs}
    lineage["config_sha256"] = folders.config_sha256
    metadata = {key: sae.lineage[key] for key in KEPT if key in sae.lineage}
    hook = {"hook_name": f"blocks.{plan.sae_layer}.hook_resid_post"}
    save_sae(sae, folders.sae(plan.arm, plan.sae_layer, plan.seed, tokens), metadata | hook, lineage)


def _released(experiment: "Experiment", plan: SaePlan, tokens: int) -> SparseAutoencoder:
    model = experiment.model
    sae = load_published(plan.arm, plan.sae_layer, tokens, experiment.release, model.device)
    _check_fits(sae, model, experiment.d_sae, f"released SAE {plan.arm} L{plan.sae_layer} of {tokens} tokens")
    return sae


def _start(experiment: "Experiment", plan: SaePlan, folders: PhaseFolders) -> SparseAutoencoder:
    """At token 0: what the lineage says of its source, or that it is ours."""
    sae = start_sae(plan, experiment.model, experiment.settled, folders).requires_grad_(False)
    if plan.source_arm is None:
        sae.lineage = {RELEASED: START, "model_name": experiment.config.language_model}
    return sae


def _check_fits(sae: SparseAutoencoder, model: "LanguageModel", d_sae: int, who: str) -> None:
    """Refuse an SAE of another model or size.

    Raises:
        ValueError: names both.
    """
    trained_on = str(sae.lineage.get("model_name", model.name))
    if short_name(trained_on) != short_name(model.name):
        raise ValueError(f"{who} was trained on {trained_on}, and the run's language_model is {model.name}")
    if sae.d_model != model.d_model or sae.d_sae != d_sae:
        raise ValueError(
            f"{who} has d_in {sae.d_model} and d_sae {sae.d_sae}; the run's model and expansion_factor want "
            f"{model.d_model} and {d_sae}"
        )


def _measured(
    experiment: "Experiment", wanted: Iterable[tuple[SaePlan, int]], folders: PhaseFolders
) -> list[dict[str, Any]]:
    """The rows of a log: loss, squared error, L1 and L0 of each SAE on the first training rows."""
    config, rows = experiment.settled, []
    streams = _first_streams(experiment)
    with matrix_products(config.precision, experiment.model.device):
        for plan, tokens in wanted:
            folder = folders.sae(plan.arm, plan.sae_layer, plan.seed, tokens)
            penalty, key = plan.penalty(config), {name: getattr(plan, name) for name in KEYS}
            key |= {"act_layer": plan.sae_layer, "tokens": tokens, "l1_coefficient": penalty}
            means = _losses(folder, streams[plan.sae_layer], penalty)
            rows += [key | {"metric": metric, "value": value} for metric, value in means.items()]
    return rows


def _first_streams(experiment: "Experiment") -> Mapping[int, Float[Tensor, "tokens d_model"]]:
    """Residual streams of the first training rows by layer: as many rows as the evaluation reads at once."""
    config = experiment.settled
    rows = experiment.training_rows(config.data_seeds[0]).take(0, config.evaluation_batch_rows)
    tokens = torch.from_numpy(rows).long().to(experiment.model.device)
    streams = experiment.model.residual_streams(tokens, experiment.layers)[:, :, config.skipped :]
    return dict(zip(experiment.layers, streams.flatten(1, 2), strict=True))


@torch.no_grad()
def _losses(folder: Path, x: Float[Tensor, "tokens d_model"], penalty: float) -> dict[str, float]:
    """Means over tokens of an SAE, by the names of a training log."""
    sae = load_sae(folder, x.device)
    features = sae.encode(x)
    mse = (sae.decode(features) - x).square().sum(-1).mean().item()
    l1, l0 = sae.l1(features).mean().item(), (features > 0).sum(-1).float().mean().item()
    return {"loss": mse + penalty * l1, "mse": mse, "l1": l1, "l0": l0}
