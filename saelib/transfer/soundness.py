"""Whether SAEs are worth reading: what a wrong lambda, or a broken model, makes of them, in sentences.

In: an evaluation table, and the number of features. Out: warnings: one that names every SAE that diverged, and one for
each kind of fault of the others, two at most, each with where it is, the worst value and what to set. None for a sound
run.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pandas as pd

from saelib.sae.training.divergence import STEP
from saelib.transfer.convergence import final_rows
from saelib.transfer.wording import arm_label

FEWEST_ACTIVE = 1.0  # features for each token
MOST_ACTIVE = 0.5  # share of the features
MOST_DEAD = 2 / 3
MOST_SENTENCES = 2
MOST_NAMED = 4  # places in a sentence
REMEDY = 'Set `l1_unit="norm"` with `l1_coefficient=1.0`, or `target_l0=50`, and another `run`.'


class _Fault(NamedTuple):
    metric: str
    is_wrong: Callable[[pd.Series], pd.Series]
    is_worst: str  # "idxmin" or "idxmax"
    words: str
    remedy: str


def concerns(evaluation: pd.DataFrame, d_sae: int | None) -> list[str]:
    """Sentences, in Markdown, about finished SAEs that were trained and cannot be what was wanted.

    Args:
        evaluation: rows of `evaluation.parquet`, or of a part of it.
        d_sae: features of each SAE; None where this is not known, so that none has too many active ones.
    """
    last = final_rows(evaluation)
    trained = last[last["tokens"] > 0]
    is_stopped = trained[STEP].notna() if STEP in trained else pd.Series(False, trained.index)
    finished, stopped = trained[~is_stopped], trained[is_stopped]
    sentences = [_sentence(finished, fault, wrong) for fault, wrong in _found(finished, d_sae)][:MOST_SENTENCES]
    return ([_of_diverged(stopped, len(trained))] if len(stopped) else []) + sentences


def _of_diverged(stopped: pd.DataFrame, trained: int) -> str:
    """Each by its name and step; a transfer whose source is among them was not trained at all."""
    scratch = stopped[stopped["arm"] == "scratch"]
    sources = set(zip(scratch["sae_layer"], scratch["seed"], strict=True))
    names = []
    for sae in stopped.to_dict("records"):
        why = ", as its source diverged" if (sae["source_layer"], sae["seed"]) in sources else ""
        names.append(f"{arm_label(sae['arm'])} at layer {sae['act_layer']}, seed {sae['seed']} (step {sae[STEP]}{why})")
    return (
        f"**Training diverged:** {len(stopped)} of {trained} SAEs were stopped where loss or gradient was not finite, "
        f"and have no scores from there on: {'; '.join(names)}. Lower the learning rate, in another `run`."
    )


def _faults(d_sae: int | None) -> list[_Fault]:
    """The gravest first."""
    most, features = (math.inf, "") if d_sae is None else (MOST_ACTIVE * d_sae, f"{d_sae:,} ")
    return [
        _Fault("l0", lambda l0: ~(l0 >= FEWEST_ACTIVE), "idxmin", "**Next to nothing is active:** L0",
               f"The penalty is too large for these residual streams. {REMEDY}"),
        _Fault("l0", lambda l0: l0 > most, "idxmax", f"**More than half of {features}features are active:** L0",
               f"The penalty is too small for these residual streams. {REMEDY}"),
        _Fault("ce_score", lambda score: ~((score >= 0) & (score <= 1)), "idxmin", "**CE-loss score outside 0 to 1:**",
               f"Such an SAE has not learned its layer. {REMEDY} Where the first positions have huge norms "
               '(10_language_model), set `sink_token="auto"` too.'),
        _Fault("dead_latents", lambda share: share > MOST_DEAD, "idxmax",
               "**Most features never fire on the held-out rows:** a share of",
               f"Lower `l1_coefficient` or `expansion_factor`, or train on more tokens. {REMEDY}"),
    ]  # fmt: skip


def _found(finished: pd.DataFrame, d_sae: int | None) -> Iterator[tuple[_Fault, pd.DataFrame]]:
    for fault in _faults(d_sae):
        wrong = finished[fault.is_wrong(finished[fault.metric])]
        if len(wrong):
            yield fault, wrong


def _sentence(finished: pd.DataFrame, fault: _Fault, wrong: pd.DataFrame) -> str:
    values = wrong[fault.metric]
    worst = wrong.loc[getattr(values, fault.is_worst)() if values.notna().any() else wrong.index[0]]
    where = wrong[["arm", "act_layer"]].drop_duplicates()
    names = [f"{arm_label(arm)} at layer {layer}" for arm, layer in where.head(MOST_NAMED).itertuples(index=False)]
    more = f" and {len(where) - MOST_NAMED} more" if len(where) > MOST_NAMED else ""
    return (
        f"{fault.words} {worst[fault.metric]:.3g} in {arm_label(worst['arm'])} at layer {worst['act_layer']}; "
        f"{len(wrong)} of {len(finished)} finished SAEs ({', '.join(names)}{more}). {fault.remedy}"
    )
