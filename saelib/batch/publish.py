"""Keep a preset's small tables and figures in `results/`, where README shows them.

    PRESET=tiny python -m saelib.batch.publish

In: the finished folder of a run of the preset as it is (settings PRESET and RUN in the environment, as for
`make reproduce`). Out: `results/<preset>`: the tables and recorded values that notebooks show with `stored=True`, the
figures that its executed notebooks show, and what is to be quoted, `transfer.md`, `htest.md` and `htest_finding.md`;
and beside it `models.md`, `models_short.md` and `experiments.md`, all presets that are kept side by side. Of what was
looked at in the SAEs the small tables are kept, and none with a row for each feature of an SAE.
"""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from saelib.batch.durations import DURATIONS
from saelib.batch.first_page import htest_finding, htest_table, transfer_table
from saelib.batch.models import write_models
from saelib.batch.notebooks import NOTEBOOKS
from saelib.batch.page.cells import named_figures, read_notebook
from saelib.batch.settings import settings_from
from saelib.htest.items.official import OFFICIAL_SET
from saelib.htest.scoring.stored import read_scores
from saelib.htest.study import open_study
from saelib.interpret.interpretation import PLACE, Interpretation, open_interpretation
from saelib.language.origin import notes_on
from saelib.results.tables import as_markdown
from saelib.results.values import read_values
from saelib.run.command import make_command
from saelib.run.config import Run
from saelib.run.files import replace_folder
from saelib.run.stored import RESULTS
from saelib.transfer.experiment import Experiment, open_experiment
from saelib.transfer.savings import savings
from saelib.transfer.tables import join_tables, read_results

NEEDED = ("config.json", "evaluation.parquet", "evaluation_rows.parquet", "training.parquet", "maps.parquet",
          "htest.parquet")  # fmt: skip
KEPT = ("*.json", "*.parquet")
"""At the top of a run's folder: those, and the tables and choices that only some presets have; in `interpret/` too."""
LARGE = ("features", "contexts")
"""Tables of `interpret/` with a row for each feature, which are not kept."""


def publish(preset: str, run: str | None = None, results: Path = RESULTS) -> Path:
    """Copy what README and the notebooks show from a finished run; returns the folder.

    Args:
        run: of the preset, without any override; None takes the one that is called like it.
        results: where presets are kept.

    Raises:
        FileNotFoundError: the run is not finished; the message says how to make it.
        FileExistsError: the run has another config than the preset.
    """
    experiment, study = open_experiment(preset=preset, run=run), open_study(preset=preset, run=run)
    interpretation = open_interpretation(preset=preset, run=run)
    measured = read_results(experiment)
    _refuse_absent(experiment, ["config.json"])  # which whoever writes would make anew
    join_tables(experiment)
    read_scores(study)  # makes them anew where they are absent or old
    _refuse_absent(experiment, NEEDED)
    join_small_tables(interpretation)
    runs: dict[str, Run] = {"transfer": experiment, "interpret": interpretation, "htest": study}
    found = {notebook.name: read_values(runs[notebook.configs[0]], notebook.name) for notebook in NOTEBOOKS}
    if OFFICIAL_SET not in found["30_htest_items"]["items_sha256"]:
        raise FileNotFoundError(f"{study.folder} has no official H-Test items, which README shows; run with a network")
    first_page = {
        "transfer.md": as_markdown(transfer_table(measured, notes_on([experiment.config.language_model]))),
        "htest.md": as_markdown(htest_table(found["31_htest_accuracy"], found["34_htest_fine_tuning"]["tuned"])),
        "htest_finding.md": htest_finding(found["31_htest_accuracy"]),
    }

    figures = shown_figures(experiment.folder)

    def fill(temporary: Path) -> None:
        _copy(experiment.folder, temporary, figures)
        savings(measured).to_csv(temporary / "savings.csv", index=False)
        for name, text in first_page.items():
            if text:
                (temporary / name).write_text(text, encoding="utf-8")

    replace_folder(results / preset, fill)
    write_models(results)
    return results / preset


def _copy(run: Path, place: Path, figures: Sequence[str]) -> None:
    """Tables, values and figures of a run, and how long it took, so that the next one can say what it will take."""
    for path in (path for folder in (".", PLACE) for pattern in KEPT for path in sorted((run / folder).glob(pattern))):
        if path.parent == run or path.stem not in LARGE:
            kept = place / path.relative_to(run)
            kept.parent.mkdir(exist_ok=True)
            shutil.copy(path, kept)
    if (run / DURATIONS).is_file():  # of a batch run
        (place / DURATIONS).parent.mkdir()
        shutil.copy(run / DURATIONS, place / DURATIONS)
    for name in ("values", "tables"):
        shutil.copytree(run / name, place / name)
    (place / "figures").mkdir()
    for name in figures:
        shutil.copy(run / "figures" / f"{name}.png", place / "figures" / f"{name}.png")


def shown_figures(run: Path) -> list[str]:
    """Names of the figures that a run's executed notebooks show: one that an earlier notebook left is none of these.

    Raises:
        FileNotFoundError: no notebook of the list was executed in the run's folder.
    """
    paths = [run / "notebooks" / f"{notebook.name}.ipynb" for notebook in NOTEBOOKS]
    executed = [read_notebook(path) for path in paths if path.is_file()]
    if not executed:
        raise FileNotFoundError(f"{run / 'notebooks'} has no executed notebook, which say what its figures are")
    return sorted({name for notebook in executed for name in named_figures(notebook, run / "figures")})


def join_small_tables(interpretation: Interpretation) -> None:
    """Make the tables of `interpret/` of their parts, where a killed run left them old."""
    for folder in sorted(path for path in interpretation.interpret_folder.glob("*/") if path.name not in LARGE):
        table = interpretation.table(folder.name)
        if (parts := table.parts) and not table.is_joined(parts):
            table.join(parts, table.together())


def _refuse_absent(experiment: Experiment, names: Sequence[str]) -> None:
    if absent := [name for name in names if not (experiment.folder / name).is_file()]:
        command = make_command(experiment.config.preset, experiment.config.run, None)
        raise FileNotFoundError(f"{experiment.folder} has no {', '.join(absent)}; make it with `{command}`")


def main() -> None:
    """Publish the run that the environment names."""
    try:
        settings = settings_from(os.environ)
        print(publish(settings.preset, settings.run))
    except (ValueError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
