"""Models side by side: each cell is that of plain loops or of the tables beside it, from whatever results are kept."""

import re
import shutil
from collections import defaultdict
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd
import pytest

from saelib.batch.models import (
    htest_lines,
    kept_column,
    kept_presets,
    published_column,
    transfer_models,
    write_models,
)
from saelib.htest.items.official import OFFICIAL_SET
from saelib.htest.scoring.main_table import HEADINGS, main_lines, main_table
from saelib.run.reading import DamagedFileError
from saelib.run.stored import RESULTS
from saelib.transfer.published import published_evaluation
from saelib.transfer.reference import plain_savings, plain_scores_by_sae
from saelib.transfer.tables import Results
from tests.helpers.kept import keep, keep_scores
from tests.helpers.made_runs import made_results
from tests.helpers.pages import tables
from tests.helpers.plain_savings import plain_changes

TARGETS = {"held-out objective": "loss", "CE-loss score at no more L0": "joint", "CE-loss score alone": "ce_score"}
WORDS = {"forward": "forward copy", "forward_affine": "forward affine map", "backward": "backward copy",
         "backward_affine": "backward affine map"}  # fmt: skip
BUDGETS = (0, 8, 12, 16, 24)


@pytest.fixture(scope="module")
def made() -> dict[str, Results]:
    """Results of two presets: the larger model has three layers and maps, the smaller one two layers and copies."""
    large = made_results(layers=3, replicates=2, budgets=BUDGETS, rows=4, seed=1)
    assert large.rows is not None
    large.rows["act_layer"] += 11
    large.evaluation[["act_layer", "sae_layer", "source_layer"]] += 11
    return {"large": large, "small": made_results(["forward", "backward"], 2, 1, BUDGETS, rows=4)}


@pytest.fixture(scope="module")
def kept(made: dict[str, Results], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Their folders, and what else lies in results; only for reading."""
    results = tmp_path_factory.mktemp("results")
    keep(results / "large", made["large"], "smollm2", 134_515_008, knowledge=1.0)
    keep(results / "small", made["small"], "embedded", 2_238_464)
    (results / "choice_of_lambda.csv").write_text("a\n1\n")
    (results / "half").mkdir()
    return results


@pytest.fixture
def results(kept: Path, tmp_path: Path) -> Path:
    """A copy to be changed."""
    return Path(shutil.copytree(kept, tmp_path / "results"))


@pytest.fixture(scope="module")
def shown(kept: Path) -> pd.DataFrame:
    columns = [*map(kept_column, kept_presets(kept)), published_column()]
    return transfer_models(columns, resamples=30).set_index("")


def test_the_models_stand_side_by_side_the_largest_first_and_the_papers_last(shown: pd.DataFrame) -> None:
    assert list(shown) == ["preset large", "preset small", "published"]
    assert shown.loc["model"].tolist() == [
        "SmolLM2-135M-Instruct (HuggingFaceTB), 4-bit weights (Q4_1), instruction-tuned",
        "embedded, small, ships with the kit", "pythia-160m-deduped",
    ]  # fmt: skip
    assert shown.loc["parameters"].tolist() == ["135 million", "2.24 million", "162 million"]
    assert shown.loc["text"].tolist() == ["docstrings", "docstrings", "The Pile"]
    assert shown.loc["layers with an SAE, from 0"].tolist() == ["11 to 13", "0, 1", "0 to 11"]
    assert shown.loc["replicates"].tolist() == ["2", "1", "1"]
    assert shown.loc["SAEs from scratch, and transfers"].tolist() == ["6, 16", "2, 2", "12, 22"]
    assert shown.loc["tokens of each"].tolist() == ["24, 24", "24, 24", "1 billion, 500 million"]


def percent(share: float) -> str:
    return f"{round(round(share, 9), 2) + 0.0:.0%}"


@pytest.mark.parametrize(("preset", "arms"), [("large", [*WORDS]), ("small", ["forward", "backward"])])
def test_savings_and_changes_are_those_of_plain_loops(
    made: dict[str, Results], shown: pd.DataFrame, preset: str, arms: list[str]
) -> None:
    column, run = shown[f"preset {preset}"], made[preset]
    assert run.rows is not None
    saved, changes = plain_savings(run.evaluation, run.rows), plain_changes(run.evaluation, run.rows)
    for arm in arms:
        for name, target in TARGETS.items():
            lines = saved[arm, target]
            arrived = sum(is_level for _, is_level, _ in lines)
            bound = "at most " if arrived < len(lines) / 2 else ""
            cell = column[f"saved until level, {name}: {WORDS[arm]}"]
            assert cell.startswith(bound + percent(fmean(saving for saving, *_ in lines)))
            assert cell.endswith(f"; {arrived} of {len(lines)}")
        cell = column[f"CE-loss score at the end minus scratch: {WORDS[arm]}"]
        assert cell.startswith(f"{round(changes[arm, 'ce_score'], 4) + 0.0:+.4f} (")
    absent = set(WORDS) - set(arms)
    assert all(column[f"saved until level, held-out objective: {WORDS[arm]}"] == "-" for arm in absent)


def test_starts_and_ends_are_those_of_plain_loops(made: dict[str, Results], shown: pd.DataFrame) -> None:
    run, column = made["large"], shown["preset large"]
    assert run.rows is not None
    means: defaultdict[tuple[str, int], defaultdict[int, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for (arm, layer, *_, tokens), score in plain_scores_by_sae(run.evaluation, run.rows).items():
        means[arm, tokens][layer].append(score)
    for arm in WORDS:
        layers = (11, 12) if arm.startswith("backward") else (12, 13)
        start, end, scratch = ({metric: fmean(score[metric] for layer in layers for score in means[who][layer])
                                for metric in ("ce_score", "l0")}
                               for who in ((arm, 0), (arm, 24), ("scratch", 24)))  # fmt: skip
        untrained = column[f"CE-loss score and L0 untrained: {WORDS[arm]}"]
        assert untrained.startswith(f"{start['ce_score']:.3f} (") and untrained.endswith(f"), {start['l0']:.0f}")
        assert column[f"L0 at the end against scratch: {WORDS[arm]}"] == f"{end['l0']:.0f} against {scratch['l0']:.0f}"


def test_the_papers_column_says_what_its_scores_say_and_no_more(shown: pd.DataFrame) -> None:
    column, evaluation = shown["published"], published_evaluation()
    assert column["saved until level, held-out objective: forward copy"] == "-"  # no L1 was published
    assert column["saved until level, CE-loss score alone: forward affine map"] == "-"  # nor maps
    for arm, offset in {"forward": -1, "backward": 1}.items():
        layers = [layer for layer in range(12) if 0 <= layer + offset < 12]
        ends = {who: evaluation[(evaluation["arm"] == who) & evaluation["act_layer"].isin(layers)] for who in
                (arm, "scratch")}  # fmt: skip
        last = {who: rows[rows["tokens"] == rows["tokens"].max()].set_index("act_layer") for who, rows in ends.items()}
        start = ends[arm][ends[arm]["tokens"] == 0]
        change = (last[arm]["ce_score"] - last["scratch"]["ce_score"]).mean()
        assert column[f"CE-loss score at the end minus scratch: {arm} copy"] == f"{change:+.4f}"
        untrained = f"{start['ce_score'].mean():.3f}, {start['l0'].mean():.0f}"
        assert column[f"CE-loss score and L0 untrained: {arm} copy"] == untrained
    # One of eleven gets level with no more L0: the paper's own figure of a layer, and so a bound.
    assert column["saved until level, CE-loss score at no more L0: forward copy"] == "at most 54%; 1 of 11"
    assert column["saved until level, CE-loss score alone: backward copy"] == "67%; 7 of 11"


def test_every_model_is_asked_on_released_and_on_fresh_items(results: Path) -> None:
    keep_scores(results / "small", ["smollm2", "embedded"])  # a preset that asks another one's model too
    table = main_table(htest_lines(results))
    assert table.iloc[:, 0].tolist() == [
        f"{who}, 50 shots, {items} items"
        for who in ("smollm2 (4-bit weights (Q4_1), instruction-tuned)", "embedded")
        for items in ("released", "fresh")
    ]
    scores = pd.read_parquet(results / "large" / "htest.parquet")
    rows = scores[(scores["model"] == "smollm2") & (scores["k"] == 50) & scores["shuffle_seed"].isna()]
    for place, item_set in enumerate((OFFICIAL_SET, "fresh-2")):
        of_set = rows[(rows["item_set"] == item_set) & (rows["reader"] == "likelier")]
        assert table[HEADINGS["accuracy"]][place].startswith(f"{of_set['accuracy'].mean():.2f} (")
        assert table[HEADINGS["auroc"]][place].startswith(f"{of_set['auroc'].mean():.2f} (")


def test_the_line_on_the_main_items_is_the_one_that_the_notebook_recorded(results: Path) -> None:
    values = keep_scores(results / "small", ["embedded"], knowledge=0.2)
    (line,) = [line for line in values["main"] if line["model"] == "embedded"]
    scores = pd.read_parquet(results / "small" / "htest.parquet")
    asked = scores[(scores["model"] == "embedded") & (scores["k"] == 50) & scores["shuffle_seed"].isna()]
    (again,) = main_lines(asked[asked["item_set"] == OFFICIAL_SET])
    assert again["accuracy"] == line["accuracy"]
    row = main_table(htest_lines(results)).iloc[-2]
    assert row[HEADINGS["accuracy"]] == "{mean:.2f} ({low:.2f} to {high:.2f})".format(**line["accuracy"])


def test_both_tables_are_written_and_one_preset_is_enough(results: Path) -> None:
    path = write_models(results, resamples=30)
    assert path == results / "models.md"
    of_transfer, of_htest = tables(path.read_text(encoding="utf-8"))
    assert "preset large" in of_transfer and "embedded, 50 shots, fresh items" in of_htest
    (results / "large" / "config.json").unlink()
    of_transfer, of_htest = tables(write_models(results, resamples=30).read_text(encoding="utf-8"))
    assert "large" not in of_transfer and "smollm2" not in of_htest


def test_the_short_tables_are_rows_and_columns_of_the_whole_ones(results: Path) -> None:
    whole = [_cells(table) for table in tables(write_models(results, resamples=30).read_text(encoding="utf-8"))]
    short = [_cells(table) for table in tables((results / "models_short.md").read_text(encoding="utf-8"))]
    assert [row for row in whole[0] if row in short[0]] == short[0]
    told = {row[0].rsplit(": ", 1)[0] for row in short[0]}
    assert {"model", "saved until level, held-out objective", "saved until level, CE-loss score at no more L0"} <= told
    assert "saved until level, CE-loss score alone" not in told
    assert [row[:4] for row in whole[1]] == short[1]


def _cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in row.split("|")[1:-1]] for row in table.splitlines() if "---" not in row]


def test_a_damaged_file_is_named_with_the_remedy(results: Path) -> None:
    (results / "small" / "htest.parquet").write_bytes(b"PAR1")
    with pytest.raises(DamagedFileError, match=r"small/htest\.parquet .*git restore results"):
        write_models(results, resamples=30)
    assert not (results / "models.md").exists()


@pytest.mark.skipif(not (RESULTS / "models.md").is_file(), reason="results/models.md was not made yet")
def test_the_table_that_is_kept_is_of_all_results_that_are_kept() -> None:
    of_transfer, of_htest = tables((RESULTS / "models.md").read_text(encoding="utf-8"))
    heading, *rows = ([cell.strip() for cell in row.split("|")] for row in of_transfer.splitlines())
    assert heading[2:-2] == [f"preset {preset}" for preset in (folder.name for folder in kept_presets())]
    for folder in kept_presets():
        column = [row[heading.index(f"preset {folder.name}")] for row in rows]
        for line in pd.read_csv(folder / "savings.csv").query("distance == 1").to_dict("records"):
            saved = f"{percent(line['mean'])} ({percent(line['low'])} to {percent(line['high'])})"
            assert any(f"{saved}; {line['arrived']} of {line['saes']}" in cell for cell in column)
        assert _lines((folder / "htest.md").read_text(encoding="utf-8")) & _lines(of_htest), "no line is in both"


def _lines(page: str) -> set[tuple[str, ...]]:
    """Who answers, and the four numbers that every table has; how many items is told where lines differ."""
    rows = ([cell.strip() for cell in row.split("|")[1:6]] for row in tables(page)[0].splitlines()[2:])
    return {(re.sub(r", [\d,]+ items$", "", who), *numbers) for who, *numbers in rows}
