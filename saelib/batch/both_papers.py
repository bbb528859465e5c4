"""A run of both papers, opened as one: for the report.

In: a notebook's parameters. Out: the run's experiment (layer transfer) and its study (H-Test).
"""

from dataclasses import fields
from typing import Any

from saelib.htest.config import HTestConfig
from saelib.htest.study import Study, open_study
from saelib.transfer.config import ExperimentConfig
from saelib.transfer.experiment import Experiment, open_experiment


def open_both(**parameters: Any) -> tuple[Experiment, Study]:
    """Open both halves of a run; each gets the parameters that it knows.

    Raises:
        ValueError: neither half knows a parameter, or a value contradicts another.
        TypeError: a value of the wrong type.
        FileExistsError: the folder holds a run with another config.
    """
    transfer, htest = ({field.name for field in fields(config)} for config in (ExperimentConfig, HTestConfig))
    if unknown := parameters.keys() - transfer - htest:
        known = ", ".join(sorted(transfer | htest))
        raise ValueError(f"parameters {', '.join(sorted(unknown))} are unknown; the known ones are {known}")
    mine = {name: value for name, value in parameters.items() if name in transfer}
    theirs = {name: value for name, value in parameters.items() if name in htest}
    return open_experiment(**mine), open_study(**theirs)
