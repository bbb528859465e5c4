"""Tables of texts, and their files."""

from pathlib import Path

import pandas as pd
import pytest

from saelib.htest.scoring.accuracy import accuracy_table, judgements
from saelib.htest.scoring.tables import MEAN, as_latex, as_markdown, wide_table, write_tables
from saelib.htest.tasks import LETTER_GEOMETRY, TASKS
from tests.helpers.answers import noisy_replies, replies_of


def results() -> pd.DataFrame:
    """Three models, the last one asked two tasks only; tasks come in another order than the paper's."""
    backwards = [LETTER_GEOMETRY, *reversed(TASKS)]
    replies = replies_of(lambda item: item.label, 200, backwards, model="control:oracle")
    replies += replies_of(lambda _: "A", 200, list(TASKS), model="control:constant_a")
    replies += replies_of(lambda _: "B", 200, ["rhyme", "uppercase"], model="some|model")
    return accuracy_table(judgements(replies), ["model", "task"])


def test_tasks_stand_in_the_papers_order_with_their_mean_beneath() -> None:
    wide = wide_table(results(), reader="strict")
    assert wide["task"].tolist() == [*TASKS, LETTER_GEOMETRY, MEAN]
    assert list(wide.columns) == ["task", "control:oracle", "control:constant_a", "some|model"]
    cells = wide.set_index("task")
    assert cells.loc["rhyme"].tolist() == ["1.00 (0.98 to 1.00)", "0.50 (0.43 to 0.57)", "0.50 (0.43 to 0.57)"]
    assert cells.loc["palindrome", "some|model"] == cells.loc[LETTER_GEOMETRY, "some|model"] == "-"
    assert cells.loc[MEAN].tolist() == ["1.00 (0.99 to 1.00)", "0.50 (0.48 to 0.52)", "-"]


def test_any_two_columns_and_any_value() -> None:
    replies = [reply for k in (4, 50) for reply in noisy_replies(1.0, -1.0, tasks=["rhyme", "uppercase"], k=k)]
    table = accuracy_table(judgements(replies), ["k", "task"])
    ranked = wide_table(table, columns="k", value="auroc", reader="likelier", digits=1)
    assert list(ranked.columns) == ["task", "4", "50"] and len(ranked) == 3
    assert ranked.iloc[:, 1].str.fullmatch(r"[01]\.\d \([01]\.\d to [01]\.\d\)").all()
    shares = wide_table(table, rows="k", columns="task", value="share_none", reader="strict")
    assert shares.to_dict("records") == [{"k": k, "uppercase": "0.00", "rhyme": "0.00"} for k in (4, 50)]
    assert wide_table(table, columns="k", value="items", reader="strict").iloc[0].tolist() == ["uppercase", "60", "60"]


def test_what_does_not_fit_into_cells_is_refused() -> None:
    table = results()
    with pytest.raises(ValueError, match="several rows for one task and model.*paper, strict"):
        wide_table(table)
    with pytest.raises(ValueError, match="no rows.*paper, strict"):
        wide_table(table, reader="likelier")
    with pytest.raises(ValueError, match="column 'shots' is unknown"):
        wide_table(table, columns="shots", reader="strict")


def test_markdown_holds_every_cell() -> None:
    wide = wide_table(results(), reader="strict")
    lines = as_markdown(wide.rename(columns={"some|model": "third"})).strip().split("\n")
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert found[0] == ["task", "control:oracle", "control:constant_a", "third"]
    assert found[2:] == wide.to_numpy().tolist()
    assert r"a\|b" in as_markdown(pd.DataFrame({"x": ["a|b"]}))


def test_latex_holds_every_cell_between_booktabs_rules() -> None:
    text = as_latex(wide_table(results(), reader="strict"))
    assert r"\begin{tabular}{lccc}" in text
    assert all(rule in text for rule in (r"\toprule", r"\midrule", r"\bottomrule"))
    assert r"start\_vowel & 1.00 (0.98 to 1.00) & 0.50 (0.43 to 0.57) & - \\" in text
    assert r"control:constant\_a" in text


def test_the_files_hold_the_table(tmp_path: Path) -> None:
    wide = wide_table(results(), reader="strict")
    markdown, latex, csv = write_tables(tmp_path / "tables", "main", wide)
    assert [path.name for path in (markdown, latex, csv)] == ["main.md", "main.tex", "main.csv"]
    assert markdown.read_text(encoding="utf-8") == as_markdown(wide)
    assert latex.read_text(encoding="utf-8") == as_latex(wide)
    pd.testing.assert_frame_equal(pd.read_csv(csv), wide, check_dtype=False)
    assert sorted(path.name for path in (tmp_path / "tables").iterdir()) == ["main.csv", "main.md", "main.tex"]
