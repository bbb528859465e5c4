"""The notebook of features on a small run: everything is said and recorded; of stored results what they have."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from saelib.interpret.features.of_text import features_in
from saelib.interpret.features.profiles import make_profiles
from saelib.interpret.interpretation import Interpretation
from saelib.interpret.likeness.streams import alive_features
from saelib.results.values import record_values
from saelib.run.lock import writing
from saelib.sae.autoencoder import SparseAutoencoder
from saelib.transfer import stages
from tests.helpers.dead_features import mark_dead
from tests.helpers.notebook_cells import run_cells, sentences
from tests.helpers.small_interpretations import D_SAE, small_parameters
from tests.interpret.conftest import CopyInterpretation

NAME = "20_features"


@pytest.fixture
def evaluated(copy_interpretation: CopyInterpretation) -> tuple[Interpretation, dict[str, Any]]:
    """A run that is trained and scored, and the parameters that open it."""
    interpretation = copy_interpretation()
    config = interpretation.experiment.config
    for phase in ("scratch", "transfer"):
        stages.evaluate_phase(interpretation.experiment, phase)
    stages.evaluate_zero_shot(interpretation.experiment)
    return interpretation, small_parameters(Path(config.corpus), Path(config.language_model)) | {"run": config.run}


def stored(interpretation: Interpretation, results: Path) -> None:
    """Keep of a run what the repository would keep: its small tables and its values."""
    record_values(interpretation.experiment, "12_layer_transfer", {})
    with writing(interpretation):
        kept = results / interpretation.config.preset
        shutil.copytree(interpretation.folder / "values", kept / "values")
        for path in (*interpretation.folder.glob("*.parquet"), interpretation.folder / "config.json"):
            shutil.copy(path, kept)
        (kept / "interpret").mkdir()
        for path in (
            *interpretation.interpret_folder.glob("*.parquet"),
            interpretation.interpret_folder / "config.json",
        ):
            shutil.copy(path, kept / "interpret")


def test_it_runs_says_and_records_and_stored_results_say_the_same(
    evaluated: tuple[Interpretation, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interpretation, parameters = evaluated
    said = sentences(run_cells(NAME, parameters, monkeypatch))
    assert sum("✓" in text for text in said) >= 6
    assert any("(../interpret/dashboard.html#feature-" in text for text in said)
    assert (interpretation.interpret_folder / "dashboard.html").is_file()
    recorded = json.loads((interpretation.folder / "values" / f"{NAME}.json").read_text(encoding="utf-8"))["values"]
    arms = {"forward", "forward_affine", "backward", "backward_affine"}
    for name in ("mmcs", "feature_transfer", "moved"):
        assert {line["arm"] for line in recorded[name]} == arms
        assert all({"mean", "low", "high"} <= set(line) for line in recorded[name])
    assert {"null", "best_match"} <= set(recorded["feature_transfer"][0])
    assert {line["arm"] for line in recorded["mmcs_published"]} == {"forward", "backward"}

    monkeypatch.setattr("saelib.run.stored.RESULTS", tmp_path / "results")
    stored(interpretation, tmp_path / "results")
    again = sentences(run_cells(NAME, parameters | {"stored": True}, monkeypatch))
    assert any("The repository keeps no features one by one" in text for text in again)
    numbers = [text for text in said if text.startswith("Seen, forward")]
    assert numbers
    assert [text for text in again if text.startswith("Seen, forward")] == numbers
    assert not (tmp_path / "results" / "smoke" / "interpret" / "dashboard.html").exists()


def test_a_transfer_without_a_living_feature_says_so(
    evaluated: tuple[Interpretation, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, parameters = evaluated

    def alive(sae: SparseAutoencoder, stream: torch.Tensor) -> torch.Tensor:
        found = alive_features(sae, stream)
        return torch.zeros_like(found) if sae.lineage["arm"] == "forward" else found

    monkeypatch.setattr("saelib.interpret.likeness.study.alive_features", alive)
    said = sentences(run_cells(NAME, parameters, monkeypatch))
    assert "Seen, forward: copy: no living feature, and so none that could have moved." in said
    assert any(text.startswith("Seen, backward: copy, against the source: ") for text in said)


def test_sources_without_a_living_feature_have_no_cards_and_no_scores(
    evaluated: tuple[Interpretation, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    interpretation, parameters = evaluated
    make_profiles(interpretation)
    for lineage in interpretation.lineages():
        mark_dead(interpretation, lineage.source, range(D_SAE))
    said = sentences(run_cells(NAME, parameters, monkeypatch))
    assert any(text.startswith("Feature by feature: none, for every transfer") for text in said)
    assert "No feature of its source fires on the text, so there are no cards." in said
    assert sum("✓" in text for text in said) >= 2


def test_where_every_transfer_diverged_it_says_so_and_goes_on(
    evaluated: tuple[Interpretation, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, parameters = evaluated
    monkeypatch.setattr(Interpretation, "has_diverged", lambda _, subject: subject.arm != "scratch")
    said = sentences(run_cells(NAME, parameters, monkeypatch))
    assert any(text.startswith("Every transfer that was to be looked at diverged: there is none") for text in said)


def test_a_replicate_that_diverged_is_not_read(
    evaluated: tuple[Interpretation, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, parameters = evaluated
    plain = Interpretation.has_diverged
    monkeypatch.setattr(Interpretation, "has_diverged", lambda self, one: one.seed == 0 or plain(self, one))
    monkeypatch.setattr("saelib.interpret.features.of_text.features_in", read_of_seed_1(features_in))
    said = sentences(run_cells(NAME, parameters, monkeypatch))
    assert any("1 replicate)" in text for text in said)


def read_of_seed_1(plain: Any) -> Any:
    def reading(text: str, sae: SparseAutoencoder, *others: Any) -> Any:
        assert sae.lineage["seed"] == 1
        return plain(text, sae, *others)

    return reading
