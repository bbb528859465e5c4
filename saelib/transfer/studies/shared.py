"""What studies share: a run trained and scored, and a small table kept in `results/`.

In: an experiment; a table of it. Out: its results; a CSV file whose every row has its origin, and the table again.
"""

import pandas as pd

from saelib.results.provenance import provenance
from saelib.run.files import write_atomically
from saelib.run.identity import INPUTS
from saelib.run.reading import read_csv
from saelib.run.stored import REMEDY, RESULTS
from saelib.transfer.config import ExperimentConfig
from saelib.transfer.experiment import PHASES, Experiment
from saelib.transfer.presets import PRESETS
from saelib.transfer.stages import evaluate_phase, evaluate_zero_shot, train_phase
from saelib.transfer.tables import Results, read_results

ORIGIN = ("config_sha256", INPUTS, "commit")
DIGITS = "%.6g"  # more than any of the numbers is worth


def train_and_score(experiment: Experiment) -> Results:
    """All stages of a run; what is finished is read back."""
    for phase in PHASES:
        train_phase(experiment, phase)
        evaluate_phase(experiment, phase)
    evaluate_zero_shot(experiment)
    return read_results(experiment)


def keep(name: str, table: pd.DataFrame, experiment: Experiment) -> None:
    """Write `results/<name>`, atomically, with `ORIGIN` as further columns."""
    origin = provenance(experiment.config, experiment.inputs)
    kept = table.assign(**{column: origin[column] for column in ORIGIN})
    write_atomically(RESULTS / name, lambda path: kept.to_csv(path, index=False, float_format=DIGITS))


def read_kept(name: str, config: ExperimentConfig | None = None) -> pd.DataFrame:
    """What was kept under a name; empty where nothing was, or where it is of another model or text than a run's.

    Args:
        config: of the run that it shall stand beside; None of any.

    Raises:
        DamagedFileError: the file holds no table.
    """
    path = RESULTS / name
    return read_csv(path, REMEDY) if path.is_file() and tells_of(config) else pd.DataFrame()


def tells_of(config: ExperimentConfig | None) -> bool:
    """Whether the studies, which are of the preset `tiny`, are of a run's model and text; of no run's they are."""
    studied = PRESETS["tiny"]
    return config is None or (config.language_model, config.corpus) == (studied.language_model, studied.corpus)
