"""Keep the default run's small tables and figures in `results/`, where README shows them: `python -m saelib.batch.publish`.

In: the finished folder `runs/tiny`. Out: `results/tiny`: the tables and recorded values that notebooks 04 and 09 fall
back on, the figures, and the tables that README quotes: `savings.md` and those of H-Test in `tables/`.
"""

import shutil
from pathlib import Path

import pandas as pd

from saelib.htest.items.official import VERSION as OFFICIAL
from saelib.htest.study import open_study
from saelib.results.notebook import with_interval
from saelib.results.values import RESULTS, read_results, read_values
from saelib.run.files import replace_folder
from saelib.transfer.convergence import DIRECTIONS, average_curves, savings
from saelib.transfer.experiment import Experiment, open_experiment

HTEST_NOTEBOOKS = ("06_htest_items", "07_htest_accuracy", "08_htest_ablations")
TARGET_NAMES = {"ce_score": "CE-loss score", "loss": "loss (MSE + λ·L1)"}


def publish(experiment: Experiment, folder: Path = RESULTS / "tiny") -> None:
    """Copy what README and the notebooks show from a finished run.

    Raises:
        FileNotFoundError: the run is not finished; the message says how to make it.
    """
    evaluation = read_results(experiment)
    study = open_study(preset=experiment.config.preset)
    htest = [read_values(study, name) for name in HTEST_NOTEBOOKS]  # an error here if one of them has not run
    if not htest[0]["items_sha256"].keys() >= {OFFICIAL}:
        raise FileNotFoundError(f"{study.folder} has no official H-Test items, which README shows; run with a network")

    def fill(temporary: Path) -> None:
        for name in ("evaluation.parquet", "training.parquet", "config.json", "htest.parquet"):
            shutil.copy(experiment.folder / name, temporary / name)
        for name in ("values", "tables"):
            shutil.copytree(experiment.folder / name, temporary / name)
        shutil.copytree(experiment.folder / "figures", temporary / "figures", ignore=shutil.ignore_patterns("*.svg"))
        savings(evaluation).to_csv(temporary / "savings.csv", index=False)
        (temporary / "savings.md").write_text(savings_markdown(evaluation), encoding="utf-8")

    replace_folder(folder, fill)


def savings_markdown(evaluation: pd.DataFrame) -> str:
    """The main result as a Markdown table: one line for each direction."""
    saved = savings(evaluation).set_index(["target", "direction", "arm"])
    curves = average_curves(evaluation, ["ce_score", "l0"]).set_index(["metric", "direction", "arm", "tokens"])
    last = evaluation.groupby("arm")["tokens"].max()
    heads = ["direction", *(f"tokens saved, target: {name}" for name in TARGET_NAMES.values())]
    heads += ["CE-loss score: transfer", "control, equal tokens", "scratch, finished", "L0: transfer", "scratch"]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for way in DIRECTIONS:
        cells = [with_interval(saved.loc[(target, way, way)], 0, percent=True) for target in TARGET_NAMES]
        for arm in (way, "control", "scratch"):
            cells.append(with_interval(curves.loc[("ce_score", way, arm, last[arm])], 4))
        cells += [f"{curves.loc[('l0', way, arm, last[arm]), 'mean']:.0f}" for arm in (way, "scratch")]
        lines.append(f"| {way} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    publish(open_experiment(preset="tiny"))
