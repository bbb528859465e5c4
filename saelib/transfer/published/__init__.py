"""The published numbers of paper 1 (Pythia-160M), in the form of a run's own tables.

In: the CSV files beside this one, whose first line names their source. Out: tables with the columns of
`evaluation.parquet`, so that every function that reads a run reads the paper too, matrices, and what the paper's other
analyses gave: means without intervals, which call arms and layers as a run does.
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
D_SAE = 6144  # features of each SAE
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


def published_mmcs() -> pd.DataFrame:
    """How alike the decoders of a transfer and of the scratch SAE of its layer are, both after 500M tokens.

    Returns:
        arm, tokens, act_layer, mmcs, uncertainty (of reading it off a figure).
    """
    return _read("mmcs.csv")


def published_feature_transfer() -> pd.DataFrame:
    """What features of the same index share in a source and in the transfer from it, means over features.

    Returns:
        arm, tokens, source_layer, act_layer, features, shared_top, shared_bottom and shared_maximal (tokens, of 10),
        share (of all 30).
    """
    table = _read("feature_transfer.csv")
    act_layer = table["source_layer"] - table["arm"].map(DIRECTIONS)
    table.insert(3, "act_layer", act_layer)
    return table.assign(share=table.pop("percent") / 100)


def published_attribution() -> pd.DataFrame:
    """The largest attribution of a feature, mean over fact prompts, at each checkpoint.

    Returns:
        arm, tokens, act_layer, prompts, attribution.
    """
    return _read("attribution.csv")


def published_faithfulness() -> pd.DataFrame:
    """Faithfulness and completeness of circuits of k features at each position, means over layers.

    Returns:
        measure, arm, tokens, task, k, share (of all features), value.
    """
    table = _read("faithfulness.csv")
    table.insert(5, "share", table["k"] / D_SAE)
    return table


def _read(name: str) -> pd.DataFrame:
    text = resources.files(__name__).joinpath(name).read_text(encoding="utf-8")
    return pd.read_csv(io.StringIO(text), comment="#")
