"""SAE folders and scores agree with sae-lens 6, in both directions."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import load_file

from saelib import evaluate_phase, open_experiment, train_phase
from saelib.language.loading import load_language_model
from saelib.sae.evaluation import evaluate
from saelib.sae.folder import load_sae
from saelib.sae.scores import Scores
from tests.peers.conftest import LAYER


class Answers(NamedTuple):
    """What sae-lens made of the exchange folder."""

    tensors: dict[str, torch.Tensor]
    report: dict[str, Any]
    vectors: torch.Tensor
    folder: Path


@pytest.fixture(scope="module")
def answers(exchange: Path, run_peer: Callable[..., None]) -> Answers:
    """One visit to the peers' environment for all tests of this file."""
    run_peer("tests.peers.sae_lens_side", exchange, HF_HUB_CACHE=str(exchange / "hub"))
    report = json.loads((exchange / "theirs.json").read_text(encoding="utf-8"))
    vectors = load_file(exchange / "vectors.safetensors")["vectors"]
    return Answers(load_file(exchange / "theirs.safetensors"), report, vectors, exchange)


@pytest.fixture(scope="module")
def our_scores(exchange: Path) -> Scores:
    """The kit's evaluation of the same SAE on the same rows."""
    model = load_language_model(str(exchange / "model"), device="cpu")
    rows = load_file(exchange / "rows.safetensors")["rows"].numpy()
    return evaluate([(load_sae(exchange / "ours"), LAYER)], model, rows, batch_rows=5)[0]


def test_sae_lens_computes_our_sae(answers: Answers) -> None:
    sae = load_sae(answers.folder / "ours")
    assert answers.report["class"] == "StandardSAE"
    with torch.no_grad():
        torch.testing.assert_close(answers.tensors["features"], sae.encode(answers.vectors), atol=1e-5, rtol=0)
        torch.testing.assert_close(answers.tensors["reconstruction"], sae(answers.vectors), atol=1e-5, rtol=0)


def test_sae_lens_reads_what_was_pushed_as_the_page_says(answers: Answers) -> None:
    assert torch.equal(answers.tensors["pushed"], answers.tensors["reconstruction"])


def test_sae_lens_keeps_our_metadata(answers: Answers) -> None:
    metadata = answers.report["metadata"]
    assert metadata["hook_name"] == f"blocks.{LAYER}.hook_resid_post"
    assert metadata["model_name"] == "random"
    assert metadata["prepend_bos"] is False


@pytest.mark.parametrize("name", ["plain", "subtracting", "version 3", "version 2", "authors"])
def test_we_compute_their_sae(answers: Answers, name: str) -> None:
    sae = load_sae(answers.folder / "theirs" / name)
    with torch.no_grad():
        torch.testing.assert_close(sae(answers.vectors), answers.tensors[name], atol=1e-5, rtol=0)
    assert sae.lineage["sae_layer"] == LAYER


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("topk", "architecture 'topk'"),
        ("gated", "architecture 'gated'"),
        ("transcoder", "architecture 'transcoder'"),
        ("jumprelu", r"thresholds up to 0\.5"),
        ("batchtopk", r"thresholds up to 0\.25"),  # sae-lens saves it as a jumprelu
        ("layer_norm", "normalize_activations is 'layer_norm'"),
    ],
)
def test_their_other_saes_are_refused_by_name(answers: Answers, name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_sae(answers.folder / "refused" / name)


def test_l1_of_their_sae_counts_the_norms_of_its_decoder_rows(answers: Answers) -> None:
    """The rows of a fresh SAE of sae-lens have norm 0.1: the features alone are ten times too much."""
    sae = load_sae(answers.folder / "theirs" / "plain")
    with torch.no_grad():
        features = sae.encode(answers.vectors)
        by_hand = (features * sae.W_dec.norm(dim=1)).sum(1)
        torch.testing.assert_close(sae.l1(features), by_hand)
        assert not torch.allclose(features.sum(1), by_hand, rtol=0.1)


def test_a_transfer_starts_from_their_sae(
    answers: Answers, random_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One call, two layers away, from an SAE whose decoder rows have no unit norm and whose `b_dec` is subtracted."""
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path / "runs"))
    text = tmp_path / "prose.txt"
    text.write_text("\n\n".join(f"Paragraph {number} tells of {number * 7} small things." for number in range(3000)))
    experiment = open_experiment(
        preset="smoke", run="theirs", language_model=str(random_model_folder), corpus=str(text), expansion_factor=4,
        source=str(answers.folder / "theirs" / "subtracting"), layers=[0, 2], starts=["copy", "affine"],
    )  # fmt: skip
    log = train_phase(experiment, "transfer")
    assert set(log["arm"]) == {"forward", "forward_affine", "backward", "backward_affine"}
    start = experiment.sae("forward", 2, tokens=0)
    with torch.no_grad():
        torch.testing.assert_close(start(answers.vectors), answers.tensors["subtracting"], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(start.W_dec.norm(dim=1), torch.ones(128))
    table = evaluate_phase(experiment, "transfer")
    ends = table.groupby(["arm", "tokens"])["loss"].mean().unstack("tokens")
    assert (ends[4096] < ends[0]).all()
    assert set(table["source_layer"].dropna()) == {LAYER}


def test_ce_loss_score_agrees(answers: Answers, our_scores: Scores) -> None:
    theirs = answers.report["scores"]
    # The score is a ratio of differences: it says something only if ablation hurts and the SAE does not.
    assert theirs["ce_loss_with_ablation"] - theirs["ce_loss_without_sae"] > 0.3
    assert 0.5 < theirs["ce_loss_score"] < 0.999
    assert our_scores.ce_score == pytest.approx(theirs["ce_loss_score"], abs=1e-3)
    assert our_scores.ce_clean == pytest.approx(theirs["ce_loss_without_sae"], abs=1e-4)
    assert our_scores.ce_spliced == pytest.approx(theirs["ce_loss_with_sae"], abs=1e-4)
    assert our_scores.ce_zero == pytest.approx(theirs["ce_loss_with_ablation"], abs=1e-4)


def test_reconstruction_metrics_agree(answers: Answers, our_scores: Scores) -> None:
    theirs = answers.report["scores"]
    assert our_scores.l0 == pytest.approx(theirs["l0"], rel=1e-4)
    assert our_scores.l1 == pytest.approx(theirs["l1"], rel=1e-4)
    assert our_scores.mse == pytest.approx(theirs["mse"], rel=1e-4)
    assert our_scores.explained_variance == pytest.approx(theirs["explained_variance"], abs=1e-4)
