"""Which SAEs are compared with which: arms as arrays over the same layers and replicates.

In: an evaluation table. Out: places in it. Whatever compares two arms goes through `matched`: forward lacks the first
layer and backward the last, and a mean over other layers would not compare. A *replicate* is one random start with one
order of the data; all arms and layers have the same ones. Where an SAE has diverged, its layer and replicate counts in
none of the arms that are compared with its own: `alike` sees to that.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int

from saelib.transfer.checks import has_diverged
from saelib.transfer.directions import UNTRAINED, parse_arm, transfer_arms

REPLICATE = ["seed", "data_seed"]


class Curve(NamedTuple):
    """Where in an evaluation table the SAEs of one arm are: each layer, replicate and number of new tokens."""

    arm: str
    layers: tuple[int, ...]
    replicates: tuple[tuple[int, int], ...]
    tokens: Int[np.ndarray, " tokens"]
    places: Int[np.ndarray, "layers replicates tokens"]
    sound: Bool[np.ndarray, "layers replicates"]
    """Which count: those that did not diverge, nor did what they are compared with."""

    @property
    def last(self) -> "Curve":
        """The end of training alone."""
        return self._replace(tokens=self.tokens[-1:], places=self.places[..., -1:])

    def at(self, tokens: Iterable[int]) -> "Curve":
        """Some of its token counts, each of which it must have."""
        chosen = [list(self.tokens).index(count) for count in tokens]
        return self._replace(tokens=self.tokens[chosen], places=self.places[..., chosen])

    def at_layers(self, layers: Sequence[int]) -> "Curve":
        """Some of its layers, each of which it must have."""
        kept = [self.layers.index(layer) for layer in layers]
        return self._replace(layers=tuple(layers), places=self.places[kept], sound=self.sound[kept])


class Matched(NamedTuple):
    """Two arms over the same layers and replicates; `matched` makes it and refuses what does not compare."""

    arm: Curve
    reference: Curve

    @property
    def layers(self) -> tuple[int, ...]:
        """Of both."""
        return self.arm.layers

    @property
    def sound(self) -> Bool[np.ndarray, "layers replicates"]:
        """Which pairs count."""
        return self.arm.sound

    def at_equal_tokens(self) -> "Matched":
        """Both at the token counts that both have; there may be none."""
        common = np.intersect1d(self.arm.tokens, self.reference.tokens)
        return Matched(self.arm.at(common), self.reference.at(common))


def replicates_of(evaluation: pd.DataFrame) -> tuple[tuple[int, int], ...]:
    """The replicates of a table, sorted."""
    pairs = evaluation[REPLICATE].drop_duplicates().sort_values(REPLICATE)
    return tuple((int(seed), int(data_seed)) for seed, data_seed in pairs.itertuples(index=False))


def trained_arms(evaluation: pd.DataFrame) -> list[str]:
    """Scratch, control where there is one, and the arms of transfers; the zero-shot matrix is left out."""
    from_scratch = [arm for arm in ("scratch", "control") if arm in set(evaluation["arm"])]
    return from_scratch + transfer_arms(evaluation)


def compared_arms(evaluation: pd.DataFrame) -> list[str]:
    """The arms of transfers, for who compares them with scratch.

    Raises:
        ValueError: there are none.
    """
    arms = transfer_arms(evaluation)
    if not arms:
        layers = sorted(map(int, set(evaluation["act_layer"])))
        raise ValueError(f"layers={layers}: the run has no transfers to compare; name two layers at least")
    return arms


def curve(evaluation: pd.DataFrame, arm: str) -> Curve:
    """All SAEs of a trained arm.

    Raises:
        ValueError: it has none, or lacks one at some layer, replicate or number of tokens.
    """
    return _curve(evaluation, arm, (evaluation["arm"] == arm).to_numpy())


def matched(evaluation: pd.DataFrame, arm: str, reference: str = "scratch") -> Matched:
    """An arm and what it is compared with, over the layers that both have.

    Args:
        reference: "scratch", "control", another arm of transfers, or "zero_shot": then each SAE's own untrained source.

    Raises:
        ValueError: an SAE is missing, the reference lacks a layer that it should have, or no layer is common.
    """
    whole = curve(evaluation, arm)
    chosen = (evaluation["arm"] == reference).to_numpy()
    if reference == "zero_shot":
        chosen = untrained_sources(evaluation).to_numpy()
        own = evaluation[evaluation["arm"] == arm].drop_duplicates("act_layer").set_index("act_layer")["source_layer"]
        chosen = chosen & (evaluation["source_layer"] == evaluation["act_layer"].map(own)).fillna(False).to_numpy(bool)
    other = _curve(evaluation, reference, chosen)
    if parse_arm(reference) is None and (missing := sorted(set(whole.layers) - set(other.layers))):
        raise ValueError(f"{arm} has layers {missing}, which {reference} lacks: means over other layers do not compare")
    common = [layer for layer in whole.layers if layer in other.layers]
    if not common:
        raise ValueError(f"{arm} (layers {whole.layers}) and {reference} (layers {other.layers}) have none in common")
    return Matched(*alike([whole.at_layers(common), other.at_layers(common)]))


def alike(curves: Sequence[Curve]) -> list[Curve]:
    """Curves that are compared: what counts in none of them counts in no other; each may have layers of its own."""
    lacking = {
        (layer, place) for each in curves for row, layer in enumerate(each.layers)
        for place in np.flatnonzero(~each.sound[row]).tolist()
    }  # fmt: skip

    def kept(layers: Sequence[int], count: int) -> Bool[np.ndarray, "layers replicates"]:
        return np.array([[(layer, place) not in lacking for place in range(count)] for layer in layers])

    return [each._replace(sound=kept(each.layers, len(each.replicates))) for each in curves]


def untrained_sources(evaluation: pd.DataFrame) -> pd.Series:
    """Which rows are of the SAEs that transfers start from, untrained: a source from elsewhere where there is one."""
    kinds = [arm for arm in UNTRAINED if arm in set(evaluation["arm"])]
    return evaluation["arm"].isin(kinds[-1:])


def finished_scratch(evaluation: pd.DataFrame, like: Curve) -> Curve:
    """The scratch SAEs at the end of their training, at the layers of another curve."""
    return curve(evaluation, "scratch").last.at_layers(like.layers)


def equal_token_reference(evaluation: pd.DataFrame) -> str:
    """The arm that trains from the random start on as many tokens as a transfer.

    "control" where there is one; else scratch, each of whose budgets has had its own decay.
    """
    return "control" if "control" in set(evaluation["arm"]) else "scratch"


def _curve(evaluation: pd.DataFrame, arm: str, chosen: np.ndarray) -> Curve:
    """The chosen rows as an array, if they fill one."""
    rows = evaluation.assign(place=np.arange(len(evaluation)))[chosen]
    rows = rows.sort_values(["act_layer", *REPLICATE, "tokens"])
    layers, tokens = (np.unique(rows[name].to_numpy(np.int64)) for name in ("act_layer", "tokens"))
    replicates = replicates_of(evaluation)
    full = pd.MultiIndex.from_product([layers, replicates, tokens])
    have = zip(rows["act_layer"], zip(rows["seed"], rows["data_seed"], strict=True), rows["tokens"], strict=True)
    if rows.empty or list(full) != list(have):
        raise ValueError(
            f"the evaluation's {len(rows)} rows of the arm {arm} are not one for each of {len(layers)} layers, "
            f"{len(replicates)} replicates and {len(tokens)} token counts"
        )
    places = rows["place"].to_numpy().reshape(len(layers), len(replicates), len(tokens))
    sound = ~has_diverged(evaluation)[places].any(axis=-1)
    return Curve(arm, tuple(map(int, layers)), replicates, tokens, places, sound)
