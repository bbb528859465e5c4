"""The maps by which transfers start: fitted before they train, on tokens that their training reads anyway.

In: an experiment and the plans of a phase. Out: `maps/<start>-L<source>-L<target>-data<seed>/`, one map for each start,
pair of layers and order of the data, and `maps.parquet`: how well they fit, and what they cost. A map that is there is
not fitted again.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import pandas as pd
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from saelib.language.precision import matrix_products
from saelib.results.provenance import provenance, write_table
from saelib.run.lock import writing
from saelib.run.progress import progress
from saelib.run.reading import read_table
from saelib.run.threads import one_thread_each
from saelib.sae.activations import default_rows_per_pass
from saelib.sae.mapping import fit_map
from saelib.sae.saved_maps import has_map, load_map, map_folder, save_map
from saelib.sae.training.plan import SaePlan
from saelib.transfer.ledger import language_model_flops_per_token

if TYPE_CHECKING:
    from saelib.transfer.experiment import Experiment

Result = TypeVar("Result")


class NeededMap(NamedTuple):
    """Whose map; sorted by the activations that it is fitted on."""

    data_seed: int
    source_layer: int
    act_layer: int
    start: str

    def folder(self, maps: Path) -> Path:
        """Its place in a folder of maps."""
        return map_folder(maps, self.start, self.source_layer, self.act_layer, self.data_seed)


def _needed(plans: Sequence[SaePlan]) -> list[NeededMap]:
    """Each map once, whatever the number of SAEs that start by it."""
    return sorted({
        NeededMap(plan.data_seed, plan.source_layer, plan.sae_layer, plan.start)
        for plan in plans
        if plan.source_layer is not None and plan.start != "copy"
    })  # fmt: skip


def check_maps(experiment: "Experiment", plans: Sequence[SaePlan]) -> None:
    """See that the maps which plans start by can be fitted, and those to all layers, before anything is written.

    Raises:
        ValueError: `map_tokens` are too few, no whole rows, or more than the text has: a token read twice would stand
            on both sides of the held-out fit. The message names a number that is right.
    """
    if not _needed(plans) and experiment.config.depth_source is None:
        return
    context, width, tokens = experiment.config.context_length, experiment.model.d_model, experiment.config.map_tokens
    fewest, there = -(-width // context), experiment.corpus.train_tokens  # rows, tokens
    most = math.inf if there is None else there // context * experiment.settled.row_tokens // context
    if fewest > most:
        raise ValueError(
            f"corpus {experiment.config.corpus!r} has {there} training tokens, and a map between layers of width "
            f"{width} is fitted on {fewest * context} at least; use a longer text, or starts=['copy']"
        )
    if tokens % context or not fewest <= tokens // context <= most:
        right = int(min(max(fewest, round(tokens / context)), most)) * context
        have = "" if there is None else f", nor on more than the {there} training tokens of the text"
        raise ValueError(
            f"map_tokens={tokens}: a map is fitted on whole rows of {context} tokens, on no fewer tokens than the "
            f"residual stream is wide ({width}){have}; {right} is right"
        )


def fit_maps(experiment: "Experiment", plans: Sequence[SaePlan]) -> pd.DataFrame:
    """Fit the maps that plans start by, as far as they are not there, and write the table of all of them.

    Returns:
        `maps.parquet`, one row for each map: start, source_layer, act_layer, data_seed; tokens, r2, r2_back, ridge and
        ridge_back as in `LayerMap`; flops as `map_flops` counts them; provenance. Empty where no plan has a map.

    Raises:
        ValueError: see `check_maps` and `fit_map`.
        RunInUseError: another process is at work on the run.
    """
    needed, maps = _needed(plans), experiment.folder / "maps"
    check_maps(experiment, plans)
    path = experiment.folder / "maps.parquet"
    missing = [one for one in needed if not has_map(one.folder(maps))]
    if needed and (missing or not path.is_file()):
        if missing:
            experiment.load_inputs()
        with writing(experiment):
            _fit(experiment, missing, maps)
            write_table(map_table(experiment, needed, maps), path)
    return read_table(path, remedy="delete it and run again: it is made from the maps") if needed else pd.DataFrame()


def _fit(experiment: "Experiment", missing: Sequence[NeededMap], maps: Path) -> None:
    """Side by side on a CPU, each on one thread, so that no map depends on the number of cores."""
    with (
        matrix_products("float32", experiment.model.device),  # the process's setting, which each thread must find
        one_thread_each() as pool,
        progress("maps", len(missing), unit="map") as advance,
    ):
        for data_seed, group in groupby(missing, key=lambda one: one.data_seed):
            alike = list(group)
            layers = sorted({layer for one in alike for layer in (one.source_layer, one.act_layer)})
            streams = map_activations(experiment, data_seed, layers, experiment.config.map_tokens, pool)
            for _ in solved(pool, experiment.model.device, partial(_fit_one, streams=streams, maps=maps), alike):
                advance(1)


def solved(
    pool: Executor, device: torch.device, function: Callable[..., Result], *each: Iterable[Any]
) -> Iterator[Result]:
    """What a function that solves equations gives for each of some things: on a CPU side by side, elsewhere in turn.

    PyTorch loads its solvers for CUDA at their first use, and two threads that do so at once fail ("lazy wrapper should
    be called at most once").
    """
    return pool.map(function, *each) if device.type == "cpu" else map(function, *each)


def _fit_one(one: NeededMap, streams: Mapping[int, Float[Tensor, "tokens d_model"]], maps: Path) -> None:
    save_map(one.folder(maps), fit_map(one.start, streams[one.source_layer], streams[one.act_layer]))


def map_activations(
    experiment: "Experiment", data_seed: int, layers: Sequence[int], tokens: int, pool: Executor
) -> dict[int, Float[Tensor, "tokens d_model"]]:
    """By layer, of the first tokens that the SAEs of this order train on; row by row, so that fits hold rows out."""
    parts, read = fit_parts(experiment, data_seed, tokens), partial(read_streams, experiment, layers)
    streams = torch.cat(list(pool.map(read, parts) if is_side_by_side(experiment) else map(read, parts)), dim=1)
    return dict(zip(layers, streams[:, :tokens], strict=True))


def fit_parts(experiment: "Experiment", data_seed: int, tokens: int) -> Sequence[Int64[Tensor, "rows context"]]:
    """The rows with the first tokens that the SAEs of this order train on, as many at a time as suit the device."""
    rows = experiment.training_rows(data_seed).take(0, experiment.settled.rows_of(tokens))
    return torch.from_numpy(rows).long().split(default_rows_per_pass(experiment.model.device, experiment.config))


def read_streams(
    experiment: "Experiment", layers: Sequence[int], rows: Int64[Tensor, "rows context"]
) -> Float[Tensor, "layers tokens d_model"]:
    """Of rows, without the positions that are skipped."""
    config, model = experiment.config, experiment.model
    with matrix_products(config.precision, model.device):
        streams = model.residual_streams(rows.to(model.device), layers)
    return streams[:, :, experiment.settled.skipped :].flatten(1, 2).float()


def is_side_by_side(experiment: "Experiment") -> bool:
    """Whether the language model makes passes on several threads at a time."""
    return experiment.model.thread_safe and experiment.model.device.type == "cpu"


def map_table(experiment: "Experiment", needed: Sequence[NeededMap], maps: Path) -> pd.DataFrame:
    """A row for each map that lies in a folder: `fit_maps` says which columns."""
    rows = []
    for one in needed:
        fitted = load_map(one.folder(maps))
        flops = map_flops(experiment, one.source_layer, one.act_layer, fitted.tokens)
        rows.append(
            {
                "start": one.start,
                "source_layer": one.source_layer,
                "act_layer": one.act_layer,
                "data_seed": one.data_seed,
                **{name: getattr(fitted, name) for name in ("tokens", "r2", "r2_back", "ridge", "ridge_back")},
                "flops": flops,
            }
        )
    return (
        pd.DataFrame(rows)
        .astype({"ridge": float, "ridge_back": float})
        .assign(**provenance(experiment.config, experiment.inputs))
    )


def map_flops(experiment: "Experiment", source_layer: int, act_layer: int, tokens: int) -> int:
    """Of one map fitted alone: the pass up to the deeper layer, and the covariance of both layers' activations.

    The pass is counted though training makes it again. What solving the equations takes does not grow with the tokens
    and is left out.
    """
    model, config, width = experiment.model, experiment.config, 2 * experiment.model.d_model
    blocks = max(source_layer, act_layer) + 1
    passes = language_model_flops_per_token(model.active_block_weights, blocks, model.d_model, config.context_length)
    return experiment.settled.rows_of(tokens) * config.context_length * passes + tokens * 2 * width * width
