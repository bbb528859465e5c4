"""From replies to accuracies with their provenance; and `htest.parquet`, scored from all replies of a run at will.

In: replies, those of one question or all that are stored. Out: one row a reply, then one row for each set of items,
condition, task and reader.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from saelib.htest.asking.replies import Reply
from saelib.htest.study import Study, stored_replies

if TYPE_CHECKING:
    import pandas as pd

KEYS = ("version", "model", "form", "k", "shuffle_seed", "temperature", "judge", "task")


def judge(replies: Iterable[Reply]) -> "pd.DataFrame":
    """One row a reply (`scoring.judgements`), with the hash of the items that its condition and task were asked.

    Where an API changed its model under way, `revision` holds all that it named.

    Raises:
        ValueError: there are no replies.
    """
    from saelib.htest.scoring.accuracy import evaluation_hash, judgements

    asked = list(replies)
    judged = judgements(asked)
    for places in judged.groupby(list(KEYS), dropna=False, observed=True).indices.values():
        judged.loc[places, "items_sha256"] = evaluation_hash([asked[place] for place in places])
        judged.loc[places, "revision"] = ", ".join(sorted({asked[place].condition.revision for place in places}))
    return judged


def score(judged: "pd.DataFrame") -> "pd.DataFrame":
    """Accuracies (`scoring.accuracy_table`) of what `judge` gave, by `KEYS`."""
    from saelib.htest.scoring.accuracy import accuracy_table

    table = accuracy_table(judged, by=[*KEYS, "revision", "items_sha256"])
    return table.astype({"shuffle_seed": "Int64"})  # grouping makes objects of it


def score_study(study: Study) -> "pd.DataFrame":
    """Score every stored reply of a run anew, and write `htest.parquet`, where each row has its provenance."""
    from saelib.results.provenance import provenance, write_table

    table = score(judge(stored_replies(study))).assign(**provenance(study.config))
    write_table(table, study.folder / "htest.parquet")
    return table
