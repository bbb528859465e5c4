"""What is scored once and copied, what is scored again, and what is refused."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from saelib.language.loading import load_language_model
from saelib.language.model import LanguageModel
from saelib.run.files import write_json
from saelib.run.reading import read_json
from saelib.sae.evaluation import Scorer, evaluate
from saelib.sae.folder import CONFIG, load_sae, sae_sha256, save_sae
from saelib.sae.scores import ROW_METRICS, RowScores, Scores
from saelib.transfer.experiment import Experiment
from saelib.transfer.parts import EvaluationParts
from saelib.transfer.scoring import Reading, row_table, score_once, scored_before
from saelib.transfer.stages import evaluate_phase, evaluate_zero_shot
from tests.helpers.small_saes import small_sae

ROWS = np.random.default_rng(0).integers(1, 320, (3, 24), dtype=np.int32)


@pytest.fixture(scope="module")
def model(random_model_folder: Path) -> LanguageModel:
    return load_language_model(str(random_model_folder), "cpu")


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many SAEs each call of a scorer was given."""
    sizes: list[int] = []
    scores_of = Scorer.scores

    def counted(scorer, saes):
        sizes.append(len(saes))
        return scores_of(scorer, saes)

    monkeypatch.setattr(Scorer, "scores", counted)
    return sizes


def saved(folder: Path, model: LanguageModel, seed: int = 0, hook: str = "blocks.0.hook_resid_post") -> Path:
    torch.manual_seed(seed)  # of the biases
    save_sae(small_sae(model.d_model, 64, seed), folder, {"hook_name": hook}, {"arm": folder.name})
    return folder


def asked(*pairs: tuple[Path, int]) -> list[tuple[Path, Reading]]:
    return [(folder, Reading(sae_sha256(folder), layer)) for folder, layer in pairs]


def test_an_sae_is_known_by_what_it_computes(tmp_path: Path, model: LanguageModel) -> None:
    first, copy = (
        saved(tmp_path / "scratch", model),
        saved(tmp_path / "control", model, hook="blocks.1.hook_resid_post"),
    )
    assert sae_sha256(first) == sae_sha256(copy)
    assert sae_sha256(saved(tmp_path / "other", model, seed=1)) != sae_sha256(first)
    changed = load_sae(first)
    with torch.no_grad():
        changed.b_dec[0] = torch.nextafter(changed.b_dec[0], torch.tensor(9.0))
    save_sae(changed, tmp_path / "changed")
    assert sae_sha256(tmp_path / "changed") != sae_sha256(first)
    write_json(copy / CONFIG, read_json(copy / CONFIG) | {"apply_b_dec_to_input": True})
    assert sae_sha256(copy) != sae_sha256(first)


def test_the_same_weights_at_the_same_layer_are_scored_once(
    tmp_path: Path, model: LanguageModel, scored: list[int]
) -> None:
    first, copy, other = (saved(tmp_path / name, model, seed) for name, seed in (("a", 0), ("b", 0), ("c", 1)))
    wanted = asked((first, 1), (other, 1), (copy, 1), (copy, 2))
    found = score_once(wanted, Scorer(model, ROWS, 2), {})
    assert scored == [3]
    assert found == evaluate([(load_sae(folder), reading.act_layer) for folder, reading in wanted], model, ROWS, 2)
    assert found[0] == found[2] != found[3]


def test_what_was_scored_before_is_copied_and_one_of_it_scored_again(
    tmp_path: Path, model: LanguageModel, scored: list[int]
) -> None:
    wanted = asked(*((saved(tmp_path / str(seed), model, seed), 1) for seed in range(4)))
    before = score_once(wanted[:3], Scorer(model, ROWS, 2), {})
    known = {reading: score for (_, reading), score in zip(wanted, before, strict=False)}
    assert score_once(wanted, Scorer(model, ROWS, 2), known)[:3] == before
    assert score_once(wanted[:3], Scorer(model, ROWS, 2), known) == before
    assert scored == [3, 2, 1]


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Scores) if field.name != "rows"])
def test_scores_that_do_not_repeat_are_refused(tmp_path: Path, model: LanguageModel, name: str) -> None:
    wanted = asked((saved(tmp_path / "sae", model), 1))
    (before,) = score_once(wanted, Scorer(model, ROWS, 2), {})
    off = dataclasses.replace(before, **{name: getattr(before, name) + 1e-3 * (1 + abs(getattr(before, name)))})
    with pytest.raises(ValueError, match=rf"sae has {name} .* delete the run's evaluation/ folder"):
        score_once(wanted, Scorer(model, ROWS, 2), {wanted[0][1]: off})


def made_up(first: float = 0.0) -> Scores:
    """Every number another one; rows that float32 holds exactly."""
    rows = [np.array([first + number, first + number + 0.5]) for number in range(len(ROW_METRICS))]
    names = [field.name for field in dataclasses.fields(Scores) if field.name != "rows"]
    return Scores(rows=RowScores(*rows), **{name: first + number for number, name in enumerate(names)})


def test_only_scores_of_the_same_origin_are_taken_over(tmp_path: Path) -> None:
    score, parts = made_up(), EvaluationParts(tmp_path)
    same = {"eval_sha256": "e", "eval_tokens": 72, "commit": "c"}
    row = {"arm": "scratch", "config_sha256": "x", "sae_sha256": "s", "act_layer": 2, **same}
    parts.scores.write("part", pd.DataFrame([row | score.metrics()]))
    parts.scores.write("without_hash", pd.DataFrame([row]).drop(columns="sae_sha256"))
    diverged = {**row, **dict.fromkeys(score.metrics(), math.nan), "sae_sha256": None, "diverged_at_step": 3}
    parts.scores.write("diverged", pd.DataFrame([diverged]))
    assert scored_before(parts, same) == {}, "the rows are not known"
    for part in ("part", "without_hash", "diverged"):
        parts.rows.write(part, row_table({Reading("s", 2): score}))
    assert scored_before(parts, same) == {Reading("s", 2): score}
    for name, value in {"eval_sha256": "f", "eval_tokens": 71, "commit": "d"}.items():
        assert scored_before(parts, same | {name: value}) == {}


def test_the_table_of_rows_has_a_line_for_each_reading_and_row() -> None:
    table = row_table({Reading("s", 2): made_up(), Reading("t", 0): made_up(10.0)})
    assert table.columns.tolist() == ["sae_sha256", "act_layer", "row", *ROW_METRICS]
    assert table[["sae_sha256", "act_layer", "row"]].to_numpy().tolist() == [
        ["s", 2, 0], ["s", 2, 1], ["t", 0, 0], ["t", 0, 1],
    ]  # fmt: skip
    assert table["ce_clean"].tolist() == [0, 0.5, 10, 10.5]
    assert table["ce_spliced"].tolist() == [1, 1.5, 11, 11.5]
    assert set(table[list(ROW_METRICS)].dtypes) == {np.dtype("float32")}


def test_a_run_scores_starts_once(run: Experiment, scored: list[int]) -> None:
    """Copies start where zero-shot readings of the neighbours stand."""
    tables = [run.folder / f"{name}.parquet" for name in ("evaluation", "evaluation_rows")]
    whole = [path.read_bytes() for path in tables]
    for part in ("transfer-000000000000", "zero_shot"):
        (run.folder / "evaluation" / f"{part}.parquet").unlink()
    evaluate_phase(run, "transfer")
    evaluate_zero_shot(run)
    # 8 copies and 8 mapped starts; then the 4 readings of no neighbour and one of 8 copies for a check
    assert scored == [16, 5]
    assert [path.read_bytes() for path in tables] == whole
