"""The plain scores and the counted FLOPs by which notebooks check the fast ones."""

from pathlib import Path

import numpy as np
import pytest
import torch

from saelib.language.loading import load_language_model
from saelib.language.model import LanguageModel
from saelib.sae.autoencoder import random_sae
from saelib.sae.evaluation import evaluate
from saelib.sae.reference import counted_sae_flops, plain_rows, plain_scores
from tests.helpers.families import small_family
from tests.helpers.small_models import small_tokenizer
from tests.helpers.small_saes import scaled

ROWS = np.random.default_rng(0).integers(1, 320, (3, 24), dtype=np.int32)


@pytest.fixture(scope="module")
def model(random_model_folder: Path) -> LanguageModel:
    return load_language_model(str(random_model_folder), "cpu")


def test_plain_scores_are_the_evaluations(model: LanguageModel) -> None:
    sae = random_sae(model.d_model, 64, torch.Generator().manual_seed(0))
    fast, plain = evaluate([(sae, 1)], model, ROWS, batch_rows=2)[0], plain_scores(model, sae, 1, ROWS)
    for name, value in plain._asdict().items():
        assert getattr(fast, name) == pytest.approx(value, rel=1e-3), name


@pytest.mark.parametrize("family", ["openai-gpt", "phimoe"])
def test_plain_scores_of_a_model_without_a_bridge_are_the_evaluations(family: str) -> None:
    model = LanguageModel(f"./{family}", "", small_family(family), small_tokenizer())
    sae = random_sae(model.d_model, 64, torch.Generator().manual_seed(0))
    fast, plain = (
        evaluate([(sae, 1)], model, ROWS, batch_rows=2, skip_first=1)[0],
        plain_scores(model, sae, 1, ROWS, skip_first=1),
    )
    for name, value in plain._asdict().items():
        # Without training, the mean activation costs next to nothing: a share of it is hundreds, with few digits.
        assert getattr(fast, name) == pytest.approx(value, rel=0.02 if name == "ce_score_mean" else 1e-3), name


def test_every_plain_row_is_the_evaluations(model: LanguageModel) -> None:
    sae = random_sae(model.d_model, 64, torch.Generator().manual_seed(0))
    fast, plain = evaluate([(sae, 1)], model, ROWS, batch_rows=2)[0].rows, plain_rows(model, sae, 1, ROWS)
    for name in plain[0]._fields:
        assert getattr(fast, name) == pytest.approx([getattr(row, name) for row in plain], rel=1e-5), name


def test_plain_l1_counts_the_norms_of_decoder_rows(model: LanguageModel) -> None:
    sae = scaled(random_sae(model.d_model, 64, torch.Generator().manual_seed(0)), torch.logspace(-1, 1, 64))
    fast, plain = evaluate([(sae, 1)], model, ROWS, batch_rows=2)[0].rows, plain_rows(model, sae, 1, ROWS)
    assert fast.l1 == pytest.approx([row.l1 for row in plain], rel=1e-5)


def test_the_counted_flops_of_an_sae_are_its_five_products() -> None:
    assert counted_sae_flops(16, 64) == 5 * 2 * 16 * 64
    assert counted_sae_flops(8, 32, tokens=3) == 5 * 2 * 8 * 32


def test_positions_that_are_skipped_count_nowhere_and_keep_their_residuals(random_model_folder):
    model = load_language_model(str(random_model_folder), device="cpu")
    sae = random_sae(model.d_model, 64, torch.Generator().manual_seed(0))
    for skipped in (1, 3):
        fast = evaluate([(sae, 1)], model, ROWS, batch_rows=2, skip_first=skipped)[0]
        plain = plain_rows(model, sae, 1, ROWS, skipped)
        for name in plain[0]._fields:
            expected = [getattr(row, name) for row in plain]
            assert getattr(fast.rows, name).tolist() == pytest.approx(expected, rel=2e-4), name
    with pytest.raises(ValueError, match="leaves no prediction"):
        evaluate([(sae, 1)], model, ROWS, batch_rows=2, skip_first=ROWS.shape[1] - 1)
