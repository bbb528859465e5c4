"""SAE folders and scores agree with sae-lens 6, in both directions."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import load_file

from saelib.language.loading import load_language_model
from saelib.sae.evaluation import Scores, evaluate
from saelib.sae.folder import load_sae
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
    run_peer("tests.peers.sae_lens_side", exchange)
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


def test_sae_lens_keeps_our_metadata(answers: Answers) -> None:
    metadata = answers.report["metadata"]
    assert metadata["hook_name"] == f"blocks.{LAYER}.hook_resid_post"
    assert metadata["model_name"] == "random"
    assert metadata["prepend_bos"] is False


@pytest.mark.parametrize("name", ["plain", "subtracting"])
def test_we_compute_their_sae(answers: Answers, name: str) -> None:
    sae = load_sae(answers.folder / "theirs" / name)
    with torch.no_grad():
        torch.testing.assert_close(sae(answers.vectors), answers.tensors[name], atol=1e-5, rtol=0)


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
