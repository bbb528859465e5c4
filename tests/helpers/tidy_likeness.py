"""Tables of likeness and feature transfer of runs that never ran."""

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from saelib.transfer.directions import parse_arm

ARMS = ("forward", "backward")
MEASURES = {"mmcs": 0.8, "one_to_one": 0.7, "distinct": 0.6}
BY_INDEX = {"by_index": 0.75, "kept": 0.5, "moved": 0.3, "reborn": 0.2, "own_is_nearest": 0.9, "null_other": 0.3}


def _who(name: str, layer: int, seed: int) -> dict[str, object]:
    arm = parse_arm(name)
    if arm is None:
        return {
            "arm": name,
            "direction": None,
            "start": "random",
            "act_layer": layer,
            "source_layer": None,
            "seed": seed,
        }
    return {"arm": name, "direction": arm.direction, "start": arm.start, "act_layer": layer,
            "source_layer": layer + arm.offset, "seed": seed}  # fmt: skip


def likeness_table(arms: Sequence[str] = ARMS, layers: Sequence[int] = (1, 2, 3), replicates: int = 3) -> pd.DataFrame:
    """Larger in deeper layers and for later replicates; distances of layers too."""
    lines = []
    for layer, seed, features in itertools.product(layers, range(replicates), ("all", "alive")):
        for arm, reference in itertools.product(arms, ("scratch_equal", "scratch_end", "scratch_other")):
            for tokens in (0, 2000) if reference == "scratch_end" else (2000,):
                lines += [_who(arm, layer, seed) | {"tokens": tokens, "reference": reference, "features": features,
                                                    "measure": name, "value": mean - 0.05 * layer + 0.01 * seed}
                          for name, mean in MEASURES.items()]  # fmt: skip
        for arm, reference in itertools.product(arms, ("source", "start")):
            lines += [_who(arm, layer, seed) | {"tokens": 2000, "reference": reference, "features": features,
                                                "measure": name, "value": mean}
                      for name, mean in BY_INDEX.items()]  # fmt: skip
        for arm, reference in (("scratch", "scratch_other"), ("random", "scratch_end")):
            lines += [_who(arm, layer, seed) | {"tokens": 2000, "reference": reference, "features": features,
                                                "measure": name, "value": mean / 2}
                      for name, mean in MEASURES.items()]  # fmt: skip
    everywhere = range(min(layers) - 1, max(layers) + 2)
    lines += [{"arm": "layers", "act_layer": one, "source_layer": other, "reference": "layers", "features": "all",
               "measure": "angular_distance", "value": 0.1 * abs(one - other) + 0.01 * max(one, other)}
              for one, other in itertools.permutations(everywhere, 2)]  # fmt: skip
    whole = dict.fromkeys(("act_layer", "source_layer", "seed", "tokens"), "Int64")
    return pd.DataFrame(lines).assign(n=20).astype(whole)


def transfer_table(
    layers: int = 2, features: int = 6, arms: Sequence[str] = ARMS, replicates: int = 1, seed: int = 0
) -> pd.DataFrame:
    """The same index shares most, another feature least."""
    random, most = (
        np.random.default_rng(seed),
        {"same_index": 9, "best_match": 10, "other_feature": 2, "scratch_match": 6},
    )
    lines = [
        _who(arm, layer, replicate)
        | {"comparison": name, "feature": 7 * place, "other": 3, "cosine": 0.5, "out_of": 30,
           **{count: int(random.integers(top // 2, top + 1))
              for count in ("shared_top", "shared_bottom", "shared_maximal", "shared_counted")}}
        for arm in arms for layer in range(1, layers + 1) for replicate in range(replicates)
        for name, top in most.items() for place in range(features)
    ]  # fmt: skip
    return pd.DataFrame(lines).astype({"act_layer": int, "source_layer": int})
