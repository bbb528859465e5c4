"""The notebooks of the kit, in the order of the report: the one list that the batch run, publishing and tests read.

In: nothing. Out: `NOTEBOOKS`. Names are numbered by decades, one family for each room; prose says the name.
"""

from dataclasses import dataclass
from pathlib import Path

from saelib.run.files import PROJECT

ALL_CORES = 1_000  # cut to what there is, so that no two notebooks which compute share the cores
FOLDER = PROJECT / "notebooks"


@dataclass(frozen=True)
class Notebook:
    """A notebook, and what a batch run has to know of it."""

    name: str
    shows: str
    """What it shows, in a phrase: the report has it above the notebook's figures."""
    sources: tuple[str, ...] = ()
    """Notebooks whose results it reads."""
    threads: int = 1
    configs: tuple[str, ...] = ("transfer",)
    """Whose fields its parameters are: "transfer" (paper 1), "interpret" (what SAEs of it carry), "htest" (paper 2), or
    several; the first is that of the run which its values are recorded with."""
    computes: bool = True
    """Whether it trains or asks; the others can be run from the stored results alone."""

    @property
    def path(self) -> Path:
        """The stored notebook."""
        return FOLDER / f"{self.name}.ipynb"


HTEST = ("htest",)
INTERPRET = ("interpret", "transfer")
NOTEBOOKS = (
    Notebook(
        "10_language_model",
        "the model and its text: loss by position, predictions, residual norms, angular distances between layers",
        threads=ALL_CORES,
        computes=False,
    ),
    Notebook(
        "11_scratch_saes",
        "an SAE for every layer from random weights; how λ and the learning rate were chosen",
        threads=ALL_CORES,
    ),
    Notebook(
        "12_layer_transfer",
        "all forward and backward transfers; the zero-shot matrix",
        ("11_scratch_saes",),
        threads=ALL_CORES,
    ),
    Notebook(
        "13_convergence",
        "the main figures of paper 1: curves, layers, tokens to target, equal-token gains, compute",
        ("10_language_model", "12_layer_transfer"),
        computes=False,
    ),
    Notebook(
        "14_better_start",
        "starts that are carried over by a linear map: fits, savings, farther sources, and two schedules",
        ("13_convergence",),
        computes=False,
    ),
    Notebook(
        "15_map_distance",
        "one trained layer carried to every other one by a linear map: scores against distance, and what it costs",
        ("12_layer_transfer",),
        threads=ALL_CORES,
    ),
    Notebook(
        "20_features",
        "what a transfer carries, feature by feature: contexts, likeness to source and scratch, a page to look into",
        ("12_layer_transfer",),
        threads=ALL_CORES,
        configs=INTERPRET,
    ),
    Notebook(
        "21_circuits",
        "whether features of a transfer serve as well: attribution over checkpoints, faithfulness of circuits",
        ("12_layer_transfer",),
        threads=ALL_CORES,
        configs=INTERPRET,
    ),
    Notebook(
        "30_htest_items",
        "examples of each task, the audit of the released labels by independent rules, shortcuts",
        configs=HTEST,
        computes=False,
    ),
    Notebook(
        "31_htest_accuracy",
        "the main table of paper 2: models beside controls, shots, parsers, released against fresh items",
        ("30_htest_items",),
        threads=ALL_CORES,
        configs=HTEST,
    ),
    Notebook(
        "32_htest_shots_and_size",
        "the number of shots and their order; a small model against a larger one",
        ("31_htest_accuracy",),
        threads=ALL_CORES,
        configs=HTEST,
    ),
    Notebook(
        "33_htest_chain_of_thought",
        "answers after thinking out loud, read by a judge",
        ("31_htest_accuracy",),
        threads=ALL_CORES,
        configs=HTEST,
    ),
    Notebook(
        "34_htest_fine_tuning",
        "one model for each task, tuned on fresh items: what it learns, and what carries over to other words",
        ("31_htest_accuracy",),
        threads=ALL_CORES,
        configs=HTEST,
    ),
    Notebook(
        "35_htest_letter_geometry",
        "ninety questions about the shapes of letters, and the shortcut in them",
        ("31_htest_accuracy",),
        threads=ALL_CORES,
        configs=HTEST,
    ),
    Notebook(
        "90_report",
        "both papers beside this run: what agrees, what does not, what a small model cannot say",
        (
            "10_language_model",
            "14_better_start",
            "15_map_distance",
            "20_features",
            "21_circuits",
            "32_htest_shots_and_size",
            "33_htest_chain_of_thought",
            "34_htest_fine_tuning",
            "35_htest_letter_geometry",
        ),
        configs=("transfer", "interpret", "htest"),
        computes=False,
    ),
)
REPORT = NOTEBOOKS[-1]
