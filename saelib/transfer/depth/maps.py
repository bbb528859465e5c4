"""Affine maps from one layer to all others, from one pass over the text.

In: an experiment whose config names `depth_source`. Out: `depth_maps/affine-L<source>-L<target>-data<seed>/`, and
`depth_maps.parquet`: how well they fit. A fit needs means and covariances only (`sae.mapping.Pairs`), so streams are
read once for all layers, summed up a few rows at a time, and never held: 30 layers of 16,384 tokens take a gigabyte.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from jaxtyping import Float
from torch import Tensor

from saelib.language.precision import matrix_products
from saelib.results.provenance import write_table
from saelib.run.lock import writing
from saelib.run.progress import progress
from saelib.run.reading import read_table
from saelib.run.threads import one_thread_each
from saelib.sae.mapping import Pairs, fit_pairs, fitted_tokens, pairs_of
from saelib.sae.saved_maps import has_map, save_map
from saelib.transfer.depth.plans import source_layer
from saelib.transfer.maps import NeededMap, fit_parts, is_side_by_side, map_table, read_streams, solved

if TYPE_CHECKING:
    from saelib.transfer.experiment import Experiment

START = "affine"
STILL = 1e-20  # variance over squared mean: nothing but rounding
AT_ONCE = 2  # parts of the text whose streams are in memory
Streams = Float[Tensor, "layers tokens d_model"]
Halves = tuple[Pairs, Pairs]  # of the tokens that a map is fitted on, and of those that say how well it fits


def depth_maps_path(run_folder: Path) -> Path:
    """Where a run keeps the table of them; the maps lie in the folder of that name."""
    return run_folder / "depth_maps.parquet"


def fit_depth_maps(experiment: "Experiment") -> pd.DataFrame:
    """Fit the maps from the source's layer to every layer, its own too, as far as they are not there.

    Returns:
        `depth_maps.parquet`, a row for each layer and order of the data, with the columns of `maps.parquet`. To its own
        layer a map is the identity, up to rounding and the smallest ridge.

    Raises:
        ValueError: activations are not finite, or do not vary; names the layer.
        RunInUseError: another process is at work on the run.
    """
    source, folder = source_layer(experiment), experiment.folder / "depth_maps"
    layers, path = range(experiment.model.n_layers), depth_maps_path(experiment.folder)
    needed = [NeededMap(seed, source, layer, START) for seed in experiment.config.data_seeds for layer in layers]
    missing = [one for one in needed if not has_map(one.folder(folder))]
    if missing or not path.is_file():
        with writing(experiment), progress("maps to all layers", len(missing), unit="map") as advance:
            for seed in experiment.config.data_seeds:
                for _ in _fit(experiment, [one for one in missing if one.data_seed == seed], folder):
                    advance(1)
            write_table(map_table(experiment, needed, folder), path)
    return read_table(path, remedy="delete it and run again: it is made from the maps")


def _fit(experiment: "Experiment", needed: Sequence[NeededMap], folder: Path) -> Iterator[object]:
    """Maps on one order of the data; each on one thread, so that none depends on the number of cores."""
    if needed:
        device = experiment.model.device
        with matrix_products("float32", device), one_thread_each() as pool:
            halves = _pairs(experiment, needed, pool)
            fit = partial(_fit_one, model=experiment.model.name, folder=folder)
            yield from solved(pool, device, fit, needed, halves)


def _fit_one(one: NeededMap, halves: Halves, model: str, folder: Path) -> None:
    for pairs in halves:
        _check(pairs, one, model)
    save_map(one.folder(folder), fit_pairs(one.start, *halves))


def _pairs(experiment: "Experiment", needed: Sequence[NeededMap], pool: Executor) -> list[Halves]:
    """Mean and covariance of the source's stream with each target's, on either side of the fit's border."""
    source, first = needed[0].source_layer, fitted_tokens(experiment.config.map_tokens)
    layers = sorted({source, *(one.act_layer for one in needed)})
    sums = [_Sums() for _ in needed]
    for at, streams in _streams(experiment, needed[0].data_seed, layers, pool):

        def add(one: NeededMap, so_far: _Sums, at: int = at, streams: Streams = streams) -> None:
            of_source, of_target = (streams[layers.index(layer)] for layer in (source, one.act_layer))
            so_far.add(of_source, of_target, known=first - at)

        list(pool.map(add, needed, sums))
    return [so_far.halves for so_far in sums]


def _streams(
    experiment: "Experiment", data_seed: int, layers: Sequence[int], pool: Executor
) -> Iterator[tuple[int, Streams]]:
    """The streams of the fit's tokens, a few rows at a time, each with the number of tokens before it."""
    tokens, at = experiment.config.map_tokens, 0
    parts = fit_parts(experiment, data_seed, tokens)
    side_by_side, read = is_side_by_side(experiment), partial(read_streams, experiment, layers)
    for place in range(0, len(parts), AT_ONCE):
        group = parts[place : place + AT_ONCE]
        for streams in pool.map(read, group) if side_by_side else map(read, group):
            yield at, streams[:, : tokens - at]
            at += streams.shape[1]


class _Sums:
    """Pairs of the tokens so far: of those that a map is fitted on, and of those that say how well it fits."""

    def __init__(self) -> None:
        self.known: Pairs | None = None
        self.rest: Pairs | None = None

    @property
    def halves(self) -> tuple[Pairs, Pairs]:
        """Both, which must have tokens."""
        assert self.known is not None and self.rest is not None
        return self.known, self.rest

    def add(self, source: Float[Tensor, "tokens d_model"], target: Float[Tensor, "tokens d_model"], known: int) -> None:
        """Some more tokens, of which so many are fitted on."""
        border = min(max(known, 0), len(source))
        self.known = _joined(self.known, source[:border], target[:border])
        self.rest = _joined(self.rest, source[border:], target[border:])


def _joined(
    sums: Pairs | None, source: Float[Tensor, "tokens d_model"], target: Float[Tensor, "tokens d_model"]
) -> Pairs | None:
    if len(source) == 0:
        return sums
    pairs = pairs_of(source, target)
    return pairs if sums is None else sums.joined(pairs)


def _check(pairs: Pairs, one: NeededMap, model: str) -> None:
    """Refuse streams from which nothing can be fitted; those that are not finite have made the mean so."""
    for layer, mean, spread in zip((one.source_layer, one.act_layer), pairs.means, pairs.spreads, strict=True):
        if not mean.isfinite().all() or not spread.isfinite():
            raise ValueError(f"the residual stream of layer {layer} of {model} is not finite; try precision='float32'")
        if spread <= STILL * mean.square().sum():
            raise ValueError(
                f"the residual stream of layer {layer} of {model} is the same at all tokens of the fit; give more "
                "tokens (map_tokens)"
            )
