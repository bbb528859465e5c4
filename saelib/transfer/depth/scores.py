"""Score the SAEs of the study, part by part: every SAE once for each layer that it reads.

In: SAEs on disk, maps, lambdas. Out: parts of `depth.parquet` and `depth_rows.parquet`. A mapped SAE is made when it is
scored and not kept: source and map together are what it is, and its hash is made of theirs. Beside the scores stands
each layer's variance, row by row: what is a share of it can then be drawn again with the rows.
"""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int32

from saelib.language.corpus.rows import hash_tokens
from saelib.language.precision import matrix_products
from saelib.results.provenance import provenance
from saelib.run.files import sha256_of_file
from saelib.sae.autoencoder import SparseAutoencoder
from saelib.sae.folder import load_sae, sae_sha256
from saelib.sae.mapping import map_sae
from saelib.sae.saved_maps import TENSORS, load_map, map_folder
from saelib.transfer.checks import DIVERGED, VARIANCE, Results
from saelib.transfer.depth.lambdas import INPUT, ByDepth, numbers_sha256
from saelib.transfer.depth.maps import START
from saelib.transfer.depth.plans import DepthSae
from saelib.transfer.scored import keys_of, score_line
from saelib.transfer.scoring import Reading, row_table

if TYPE_CHECKING:
    from pathlib import Path

    from saelib.sae.evaluation import Scorer
    from saelib.transfer.experiment import Experiment


def held_out_rows(experiment: "Experiment") -> Int32[np.ndarray, "rows context"]:
    """As many of the run's held-out rows as the study takes, spread evenly: they lie in the order of the text."""
    rows = experiment.corpus.held_out
    return rows[np.linspace(0, len(rows) - 1, experiment.config.depth_rows or len(rows)).astype(int)]


def depth_inputs(experiment: "Experiment", numbers: ByDepth) -> dict[str, str]:
    """Content of what the study's scores are made from: the run's inputs, and λ and scale of its own layers."""
    return experiment.inputs | {INPUT: numbers_sha256(numbers)}


def score_part(experiment: "Experiment", asked: Sequence[DepthSae], scorer: "Scorer", numbers: ByDepth) -> Results:
    """Scores of a part, with where they come from.

    Args:
        scorer: on the study's held-out rows.
        numbers: with λ by layer, by which the objective is counted.
    """
    config, held_out = experiment.settled, scorer.held_out
    readings = [reading_of(experiment, one) for one in asked]
    alike = {reading: one for one, reading in zip(asked, readings, strict=True) if reading is not None}
    saes = [(made(experiment, one), one.act_layer) for one in alike.values()]
    found = dict(zip(alike, scorer.scores(saes), strict=True))
    lines = [score_line(reading, numbers.l1_coefficients[one.act_layer], found)
             for one, reading in zip(asked, readings, strict=True)]  # fmt: skip
    table = pd.concat([keys_of(asked), pd.DataFrame(lines)], axis="columns")
    if len(alike) == 0 or None in readings:
        table[DIVERGED] = pd.array([one.diverged_at_step for one in asked], dtype="Int64")
    origin = {
        "eval_sha256": hash_tokens({"held_out": held_out}),
        "eval_tokens": len(held_out) * config.row_tokens,
        "corpus_sha256": experiment.corpus.sha256,
        **provenance(experiment.config, depth_inputs(experiment, numbers)),
    }
    return _with_variance(experiment, Results(table.assign(**origin), row_table(found)))


def _with_variance(experiment: "Experiment", results: Results) -> Results:
    """A column more in both tables: of each layer, of a row and of all."""
    evaluation, rows = results
    assert rows is not None
    variances = row_variances(experiment, sorted({int(layer) for layer in evaluation["act_layer"]}))
    by_row = [variances[layer][row] for layer, row in zip(rows["act_layer"], rows["row"], strict=True)]
    means = [variances[layer].mean() for layer in evaluation["act_layer"]]
    return Results(evaluation.assign(**{VARIANCE: means}), rows.assign(**{VARIANCE: np.array(by_row, "float32")}))


@torch.no_grad()
def row_variances(experiment: "Experiment", layers: Sequence[int]) -> dict[int, Float[np.ndarray, " rows"]]:
    """Of each layer, the mean squared distance of a held-out row's activations from the mean over all rows, float64.

    Positions that are skipped are left out. It is taken from sums, so that streams are held for a batch alone.
    """
    config, model = experiment.settled, experiment.model
    means, squares = [], []
    with matrix_products(config.precision, model.device):
        for tokens in torch.from_numpy(held_out_rows(experiment)).long().split(config.evaluation_batch_rows):
            streams = model.residual_streams(tokens.to(model.device), layers)[:, :, config.skipped :].cpu().double()
            means.append(streams.mean(2))
            squares.append(streams.square().sum(-1).mean(-1))
    of_row, mean = torch.cat(means, dim=1), torch.cat(means, dim=1).mean(1, keepdim=True)
    distances = torch.cat(squares, dim=1) - 2 * (of_row * mean).sum(-1) + mean.square().sum(-1)
    return dict(zip(layers, distances.numpy(), strict=True))


def reading_of(experiment: "Experiment", one: DepthSae) -> Reading | None:
    """What decides its scores; None where it has diverged."""
    if one.diverged_at_step is not None:
        return None
    sha256 = sae_sha256(one.folder)
    if is_mapped(one):
        both = f"{sha256} {sha256_of_file(_map(experiment, one) / TENSORS)}"
        sha256 = hashlib.sha256(both.encode()).hexdigest()
    return Reading(sha256, one.act_layer)


def is_mapped(one: DepthSae) -> bool:
    """Whether it is its folder's SAE, carried over by a map."""
    return one.arm == "affine"


def made(experiment: "Experiment", one: DepthSae) -> SparseAutoencoder:
    """The SAE itself, for reading, on the model's device."""
    device, folders = experiment.model.device, experiment.phase_folders("scratch")
    sae = load_sae(one.folder, device, folders.expected(one.folder))
    if not is_mapped(one):
        return sae
    sae.fold_decoder_norms()
    return map_sae(sae, load_map(_map(experiment, one), device))


def files_of(experiment: "Experiment", one: DepthSae) -> "list[Path]":
    """The folders that `reading_of` reads: the SAE's, and its map's."""
    return [one.folder, *([_map(experiment, one)] if is_mapped(one) else [])]


def _map(experiment: "Experiment", one: DepthSae) -> "Path":
    assert one.source_layer is not None
    return map_folder(experiment.folder / "depth_maps", START, one.source_layer, one.act_layer, one.data_seed)
