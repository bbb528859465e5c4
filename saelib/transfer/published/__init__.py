"""The published numbers of paper 1 (Pythia-160M), in the form of a run's own tables.

In: the CSV files beside this one, whose first line names their source. Out: tables with the columns of
`evaluation.parquet`, so that every function that reads a run reads the paper too, and matrices.
"""

import io
from importlib import resources

import numpy as np
import pandas as pd
from jaxtyping import Float

from saelib.transfer.checks import Results
from saelib.transfer.directions import DIRECTIONS

MODEL = "pythia-160m-deduped"
METRICS = ("ce_score", "mse", "l0", "explained_variance")
SOURCE_TOKENS = 1_000_000_000  # that each no-transfer SAE was trained on
SEED = 42  # the paper's only one
KEYS = ("arm", "direction", "start", "source_layer", "sae_layer", "act_layer", "seed", "data_seed", "tokens",
        "source_tokens")  # fmt: skip


def published_results() -> Results:
    """The published scores as a run's results: one replicate, means over rows only, hence without intervals."""
    return Results(published_evaluation(), None)


def published_evaluation() -> pd.DataFrame:
    """Every published score as a row of an evaluation table: trained SAEs at their checkpoints, and zero shot.

    The untrained neighbour is the start of a transfer: its scores stand at 0 new tokens too, as in a run of ours.
    """
    trained = _read("reconstruction.csv")
    trained["source_layer"] = (trained["act_layer"] + trained["arm"].map(DIRECTIONS)).astype("Int64")
    trained["sae_layer"] = trained["act_layer"]
    crossed = _read("cross_layer.csv").assign(arm="zero_shot", tokens=0)
    crossed["source_layer"] = crossed["sae_layer"]
    starts = [
        crossed[crossed["source_layer"] - crossed["act_layer"] == offset].assign(
            arm=arm, sae_layer=crossed["act_layer"]
        )
        for arm, offset in DIRECTIONS.items()
    ]
    table = pd.concat([trained, crossed, *starts], ignore_index=True)
    moved = table["source_layer"].notna()
    table = table.assign(
        direction=table["arm"].where(table["arm"].isin([*DIRECTIONS])),
        start=np.where(moved, "copy", "random"),
        source_tokens=np.where(moved, SOURCE_TOKENS, 0),
        seed=SEED,
        data_seed=SEED,
    )
    return table[[*KEYS, *METRICS]].astype(dict.fromkeys(("source_layer", "sae_layer", "act_layer"), "Int64"))


def published_angular_distance() -> Float[np.ndarray, "12 12"]:
    """Mean angular distance of all pairs of layers, read off the paper's heat map (2 decimals)."""
    upper = _read("angular_distance.csv").set_index("layer").fillna(0.0).to_numpy(float)
    return upper + upper.T


def _read(name: str) -> pd.DataFrame:
    text = resources.files(__name__).joinpath(name).read_text(encoding="utf-8")
    return pd.read_csv(io.StringIO(text), comment="#")
