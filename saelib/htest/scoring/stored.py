"""`htest.parquet`, scored from all replies of a run at will.

In: a study's stored replies. Out: one row for each set of items, condition, task and reader, with its provenance.
"""

from typing import TYPE_CHECKING

from saelib.htest.stages import stored_replies
from saelib.htest.study import Study
from saelib.run.lock import writing

if TYPE_CHECKING:
    import pandas as pd


def score_study(study: Study) -> "pd.DataFrame":
    """Score every stored reply of a run anew, and write `htest.parquet`, where each row has its provenance.

    Raises:
        ValueError: there are no replies.
    """
    from saelib.htest.scoring.accuracy import accuracies_of
    from saelib.htest.scoring.readings import readings_of
    from saelib.results.provenance import provenance, write_table

    table = accuracies_of(readings_of(stored_replies(study))).assign(**provenance(study.config, study.inputs))
    with writing(study):
        write_table(table, study.folder / "htest.parquet")
    return table
