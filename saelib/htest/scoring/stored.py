"""`htest.parquet`: the accuracies of all replies of a run, and a function of them alone.

In: a study's stored replies. Out: one row for each set of items, condition, task and reader, with its provenance. The
file names the replies that it was made of, and is made again whenever these are others: no kill between two files
leaves one that is taken for whole.
"""

import hashlib
import json
from contextlib import suppress
from typing import TYPE_CHECKING

from saelib.htest.stages import replies_files, stored_replies
from saelib.htest.study import Study
from saelib.run.files import sha256_of_file
from saelib.run.lock import writing
from saelib.run.reading import DamagedFileError, read_table

if TYPE_CHECKING:
    import pandas as pd

NAME = "htest.parquet"


def score_study(study: Study) -> "pd.DataFrame":
    """Score every stored reply of a run anew, and write `htest.parquet`, where each row has its provenance.

    Raises:
        DamagedFileError: a file of replies is damaged.
        ValueError: there are no replies, or some belong into another file.
    """
    from saelib.htest.scoring.accuracy import accuracies_of
    from saelib.htest.scoring.readings import readings_of
    from saelib.results.parted import write_made_of
    from saelib.results.provenance import provenance

    content = _content(study)
    table = accuracies_of(readings_of(stored_replies(study))).assign(**provenance(study.config, study.inputs))
    with writing(study):
        write_made_of(table, study.folder / NAME, content)
    return table


def read_scores(study: Study) -> "pd.DataFrame":
    """`htest.parquet` of a run, made again where it is not that of the run's replies.

    Raises:
        DamagedFileError, ValueError: as `score_study`.
    """
    from saelib.results.parted import made_of

    path = study.folder / NAME
    with suppress(DamagedFileError):
        if made_of(path) == _content(study):
            return read_table(path)
    return score_study(study)


def _content(study: Study) -> str:
    """SHA-256 of what the table is made of: the config, and all files of replies by their names and bytes."""
    folder = study.replies_folder
    sums = {path.relative_to(folder).as_posix(): sha256_of_file(path) for path in replies_files(study)}
    return hashlib.sha256(json.dumps([study.config.sha256(), sums], sort_keys=True).encode()).hexdigest()
