"""Models side by side, from the results that the repository keeps: one table for each paper.

    python -m saelib.batch.models

In: the folders `results/<preset>/` that `publish` made, as many as there are, and the published numbers of paper 1.
Out: `results/models.md`; `results/models_short.md`, the rows and columns of it that README shows; and beside them
`results/experiments.md`. (The second paper's numbers by task are not public.)
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from saelib.batch.experiments import linked
from saelib.batch.experiments_kept import experiments_of
from saelib.batch.model_rows import CHANGE, L0, SAVED, asked, measured
from saelib.htest.scoring.main_table import HEADINGS, LINE_KEYS, PAPER, Line, main_table
from saelib.language.origin import model_origin
from saelib.language.reference import gpt_neox_parameters
from saelib.results.bootstrap import RESAMPLES
from saelib.results.tables import as_markdown
from saelib.results.text import thousands
from saelib.run.files import write_atomically
from saelib.run.reading import read_json, read_json_object, read_table
from saelib.run.stored import REMEDY, RESULTS
from saelib.transfer.checks import Results
from saelib.transfer.convergence import final_rows
from saelib.transfer.curves import replicates_of
from saelib.transfer.directions import transfer_arms
from saelib.transfer.published import MODEL, published_results
from saelib.transfer.targets import TARGET_NAMES
from saelib.transfer.wording import arm_label

PLACE, SHORT, EXPERIMENTS = "models.md", "models_short.md", "experiments.md"
PYTHIA = (50_304, 12, 768)  # vocabulary with padding, layers, d_model of Pythia-160M (Biderman et al. 2023)

FIRST_FACTS = ("model", "parameters", "layers with an SAE, from 0", "replicates", "tokens of each")
FIRST_QUANTITIES = (*(SAVED.format(TARGET_NAMES[target]) for target in ("loss", "joint")), CHANGE, L0)
"""What training makes small, and the score at equal sparsity; and what the end of training has of both."""
FIRST_HEADINGS = tuple(HEADINGS[value] for value in ("accuracy", "share_a", "auroc"))


class Column(NamedTuple):
    """A model, and what was measured on it."""

    heading: str
    model: str
    parameters: int
    text: str
    results: Results


def kept_presets(results: Path = RESULTS) -> list[Path]:
    """Folders of the presets whose results are kept, the largest model first.

    Raises:
        DamagedFileError: a file is not what was written.
    """
    folders = sorted(path.parent for path in results.glob("*/config.json"))
    return sorted(folders, key=lambda folder: -_parameters(folder))


def _parameters(folder: Path) -> int:
    path = folder / "values" / "10_language_model.json"
    return read_json(path, lambda found: int(found["values"]["parameters"]), REMEDY)


def kept_column(folder: Path) -> Column:
    """The column of a preset, from the folder of its results.

    Raises:
        DamagedFileError: a file is not what was written.
    """
    config = read_json_object(folder / "config.json", REMEDY)
    tables = (read_table(folder / f"{name}.parquet", remedy=REMEDY) for name in ("evaluation", "evaluation_rows"))
    origin = model_origin(config["language_model"])
    model = ", ".join(filter(None, (origin.title, origin.note)))
    return Column(f"preset {folder.name}", model, _parameters(folder), config["corpus"], Results(*tables))


def published_column() -> Column:
    """The paper's own model with its published scores: one replicate, hence no intervals."""
    return Column("published", MODEL, gpt_neox_parameters(*PYTHIA), "The Pile", published_results())


def transfer_models(columns: Sequence[Column], *, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Paper 1: a row for each quantity and arm of transfers between neighbours, a column for each model.

    Args:
        resamples: of the bootstrap.
    """
    cells = [measured(column.results, resamples=resamples) for column in columns]
    keys = list(dict.fromkeys(key for of_model in cells for key in of_model))
    quantities = list(dict.fromkeys(quantity for quantity, _ in keys))
    arms = transfer_arms(pd.DataFrame({"arm": [arm for _, arm in keys]}))
    keys.sort(key=lambda key: (quantities.index(key[0]), arms.index(key[1])))
    shown = {
        column.heading: {
            **dict(_facts(column)),
            **{f"{quantity}: {_words(arm)}": of_model.get((quantity, arm), "-") for quantity, arm in keys},
        }
        for column, of_model in zip(columns, cells, strict=True)
    }
    return pd.DataFrame(shown).rename_axis("").reset_index()


def _facts(column: Column) -> Iterator[tuple[str, str]]:
    evaluation = column.results.evaluation
    finished = final_rows(evaluation)
    scratch = finished[finished["arm"] == "scratch"]
    transfers = finished[finished["arm"].isin(transfer_arms(finished))]
    layers = sorted(map(int, scratch["act_layer"].unique()))
    yield "model", column.model
    yield "parameters", thousands(column.parameters)
    yield "text", column.text
    yield "layers with an SAE, from 0", _stretch(layers)
    yield "replicates", str(len(replicates_of(evaluation)))
    yield "SAEs from scratch, and transfers", f"{len(scratch)}, {len(transfers)}"
    yield "tokens of each", ", ".join(thousands(group["tokens"].max()) for group in (scratch, transfers))


def _stretch(layers: Sequence[int]) -> str:
    """Layers in words: "11 to 14", or each by its number where they do not follow each other."""
    if list(layers) == list(range(layers[0], layers[-1] + 1)) and len(layers) > 2:
        return f"{layers[0]} to {layers[-1]}"
    return ", ".join(map(str, layers))


def _words(arm: str) -> str:
    """An arm after a colon: "forward copy"."""
    return arm_label(arm).replace(":", "")


def short_transfer_models(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `transfer_models` that a first page needs."""
    quantities = table[""].str.rsplit(": ", n=1).str[0]
    return table[table[""].isin(FIRST_FACTS) | quantities.isin(FIRST_QUANTITIES)]


def htest_lines(results: Path = RESULTS) -> list[Line]:
    """Paper 2: a line for each model, way of asking and set of items; who stands in several presets stands once.

    Raises:
        DamagedFileError: a file is not what was written.
    """
    lines: dict[str, Line] = {}
    for line in (line for folder in kept_presets(results) for line in asked(folder)):
        lines.setdefault(repr([line[name] for name in (*LINE_KEYS, "readers")]), line)
    return [*lines.values()]


def short_htest_models(lines: Sequence[Line]) -> pd.DataFrame:
    """The main table of paper 2, as the released parser reads the replies."""
    table = main_table([line for line in lines if PAPER in line["readers"]])
    return table[[table.columns[0], *FIRST_HEADINGS]]


def write_models(results: Path = RESULTS, *, resamples: int = RESAMPLES) -> Path:
    """Make `models.md` of all that is kept, and beside it `models_short.md` and `experiments.md`.

    Raises:
        DamagedFileError: a file is not what was written.
    """
    presets = kept_presets(results)
    columns = [*map(kept_column, presets), published_column()]
    of_transfer, lines = transfer_models(columns, resamples=resamples), htest_lines(results)
    short = [short_transfer_models(of_transfer), short_htest_models(lines)]
    _write("\n".join(map(as_markdown, [of_transfer, main_table(lines)])), results / PLACE)
    _write("\n".join(map(as_markdown, short)), results / SHORT)
    _write(linked(experiments_of(presets)), results / EXPERIMENTS)
    return results / PLACE


def _write(text: str, path: Path) -> None:
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


if __name__ == "__main__":
    print(write_models())
