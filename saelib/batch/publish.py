"""Keep the default run's small tables and figures in `results/`, where README shows them.

    python -m saelib.batch.publish

In: the finished folder `runs/tiny`. Out: `results/tiny`: the tables and recorded values that notebooks show with
`stored=True`, the figures, and the tables that README quotes, `transfer.md`, `htest.md` and `experiments.md`.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from saelib.batch.durations import DURATIONS
from saelib.batch.experiments import experiments_markdown
from saelib.batch.first_page import htest_table, transfer_table
from saelib.batch.notebooks import NOTEBOOKS
from saelib.htest.items.official import OFFICIAL_SET
from saelib.htest.scoring.stored import read_scores
from saelib.htest.study import open_study
from saelib.results.tables import as_markdown
from saelib.results.values import read_values
from saelib.run.config import Run
from saelib.run.files import replace_folder
from saelib.run.stored import RESULTS
from saelib.transfer.experiment import Experiment, open_experiment
from saelib.transfer.savings import savings
from saelib.transfer.tables import join_tables, read_results

KEPT = ("evaluation.parquet", "evaluation_rows.parquet", "training.parquet", "maps.parquet", "config.json",
        "htest.parquet")  # fmt: skip


def publish(experiment: Experiment, folder: Path = RESULTS / "tiny") -> None:
    """Copy what README and the notebooks show from a finished run.

    Raises:
        FileNotFoundError: the run is not finished; the message says how to make it.
    """
    results = read_results(experiment)
    _refuse_absent(experiment, ["config.json"])  # which whoever writes would make anew
    join_tables(experiment)
    study = open_study(preset=experiment.config.preset)
    read_scores(study)  # makes them anew where they are absent or old
    _refuse_absent(experiment, KEPT)
    runs: dict[str, Run] = {"transfer": experiment, "htest": study}
    found = {notebook.name: read_values(runs[notebook.configs[0]], notebook.name) for notebook in NOTEBOOKS}
    if OFFICIAL_SET not in found["30_htest_items"]["items_sha256"]:
        raise FileNotFoundError(f"{study.folder} has no official H-Test items, which README shows; run with a network")
    first_page = {
        "transfer.md": transfer_table(results),
        "htest.md": htest_table(found["31_htest_accuracy"], found["34_htest_fine_tuning"]["tuned"]),
    }

    def fill(temporary: Path) -> None:
        for name in KEPT:
            shutil.copy(experiment.folder / name, temporary / name)
        if (experiment.folder / DURATIONS).is_file():  # of a batch run, so that the next one can say what it will take
            (temporary / DURATIONS).parent.mkdir()
            shutil.copy(experiment.folder / DURATIONS, temporary / DURATIONS)
        for name in ("values", "tables"):
            shutil.copytree(experiment.folder / name, temporary / name)
        shutil.copytree(experiment.folder / "figures", temporary / "figures", ignore=shutil.ignore_patterns("*.svg"))
        savings(results).to_csv(temporary / "savings.csv", index=False)
        for name, table in first_page.items():
            (temporary / name).write_text(as_markdown(table), encoding="utf-8")
        (temporary / "experiments.md").write_text(experiments_markdown(found), encoding="utf-8")

    replace_folder(folder, fill)


def _refuse_absent(experiment: Experiment, names: Sequence[str]) -> None:
    if absent := [name for name in names if not (experiment.folder / name).is_file()]:
        raise FileNotFoundError(f"{experiment.folder} has no {', '.join(absent)}; make it with `make reproduce`")


if __name__ == "__main__":
    publish(open_experiment(preset="tiny"))
