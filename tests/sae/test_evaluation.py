"""Metrics against oracles, naive loops and hand-worked cases."""

import numpy as np
import pytest
import torch
from torch import nn

from saelib.language.loading import load_language_model
from saelib.language.model import LanguageModel
from saelib.sae.autoencoder import SparseAutoencoder, random_sae
from saelib.sae.evaluation import activation_moments, evaluate

LAYERS = [0, 1, 2]


@pytest.fixture(scope="module")
def model(random_model_folder) -> LanguageModel:
    return load_language_model(str(random_model_folder), device="cpu")


@pytest.fixture(scope="module")
def held_out(model) -> np.ndarray:
    return np.random.default_rng(0).integers(0, model.vocabulary, (6, 24)).astype(np.int32)


def identity_sae(d_model: int) -> SparseAutoencoder:
    """x = relu(x) - relu(-x): reconstructs everything, with 2 d_model features."""
    sae = SparseAutoencoder(d_model, 2 * d_model)
    with torch.no_grad():
        sae.W_enc.copy_(torch.cat([torch.eye(d_model), -torch.eye(d_model)], dim=1))
        sae.W_dec.copy_(sae.W_enc.T)
    return sae


def constant_sae(vector: torch.Tensor) -> SparseAutoencoder:
    """Always answers `vector`; no feature ever fires."""
    sae = SparseAutoencoder(len(vector), 4)
    with torch.no_grad():
        sae.b_dec.copy_(vector)
    return sae


def test_identity_scores_one(model, held_out):
    scores = evaluate([(identity_sae(model.d_model), layer) for layer in LAYERS], model, held_out, 4)
    for score in scores:
        assert score.ce_score == pytest.approx(1, abs=1e-4)
        assert score.ce_spliced == pytest.approx(score.ce_clean, abs=1e-5)
        assert score.kl == pytest.approx(0, abs=1e-6)
        assert score.mse == pytest.approx(0, abs=1e-8)
        assert score.explained_variance == pytest.approx(1)
        assert score.l0 == pytest.approx(model.d_model)


def test_zero_scores_zero(model, held_out):
    (score,) = evaluate([(constant_sae(torch.zeros(model.d_model)), 1)], model, held_out, 4)
    assert score.ce_score == pytest.approx(0, abs=1e-6)
    assert score.ce_spliced == pytest.approx(score.ce_zero, abs=1e-6)
    assert (score.l0, score.l1, score.dead_latents) == (0, 0, 1)


def test_predicting_the_mean_explains_nothing(model, held_out):
    means, variances = activation_moments(model, held_out, LAYERS, 4)
    (score,) = evaluate([(constant_sae(means[2]), 2)], model, held_out, 4)
    assert score.explained_variance == pytest.approx(0, abs=1e-5)
    assert score.mse == pytest.approx(variances[2], rel=1e-5)
    assert score.ce_spliced == pytest.approx(score.ce_mean, abs=1e-6)


def test_moments_equal_a_naive_computation(model, held_out):
    means, variances = activation_moments(model, held_out, [0, 2], 1)
    stream = model.residual_streams(torch.from_numpy(held_out).long(), [2])[0].flatten(0, 1).double()
    torch.testing.assert_close(means[2].double(), stream.mean(0), atol=1e-6, rtol=1e-5)
    assert variances[2] == pytest.approx(stream.var(0, unbiased=False).sum().item(), rel=1e-6)


def test_no_result_depends_on_the_batch_size_or_on_company(model, held_out):
    saes = [(random_sae(model.d_model, 64, torch.Generator().manual_seed(layer)), layer) for layer in LAYERS]
    together = evaluate(saes, model, held_out, 6)
    for batch_rows in (1, 4):
        for one, other in zip(together, evaluate(saes, model, held_out, batch_rows), strict=True):
            assert vars(one) == pytest.approx(vars(other), rel=1e-5, abs=1e-6)
    (alone,) = evaluate(saes[1:2], model, held_out, 6)
    assert vars(alone) == pytest.approx(vars(together[1]), rel=1e-6, abs=1e-7)


def test_spliced_loss_equals_hooks_on_the_bridge(model, held_out):
    """Independent: TransformerLens runs the whole model from the tokens, with a hook that reconstructs."""
    sae = random_sae(model.d_model, 64, torch.Generator().manual_seed(5))
    tokens = torch.from_numpy(held_out).long()
    (score,) = evaluate([(sae, 1)], model, held_out, 4)
    with torch.no_grad():
        clean = model.bridge(tokens, return_type="logits")
        hooks = [("blocks.1.hook_resid_post", lambda stream, hook: sae(stream))]
        spliced = model.bridge.run_with_hooks(tokens, fwd_hooks=hooks, return_type="logits")
    clean, spliced, targets = clean[:, :-1].flatten(0, 1), spliced[:, :-1].flatten(0, 1), tokens[:, 1:].flatten()
    assert score.ce_clean == pytest.approx(nn.functional.cross_entropy(clean, targets).item(), abs=1e-5)
    assert score.ce_spliced == pytest.approx(nn.functional.cross_entropy(spliced, targets).item(), abs=1e-5)
    divergence = nn.functional.kl_div(spliced.log_softmax(-1), clean.softmax(-1), reduction="batchmean")
    assert score.kl == pytest.approx(divergence.item(), abs=1e-5)


def test_sparsity_metrics_equal_a_naive_count(model, held_out):
    sae = random_sae(model.d_model, 64, torch.Generator().manual_seed(5))
    with torch.no_grad():
        sae.b_enc[:10] = -1e3
    (score,) = evaluate([(sae, 0)], model, held_out, 4)
    with torch.no_grad():
        features = sae.encode(model.residual_streams(torch.from_numpy(held_out).long(), [0])[0]).flatten(0, 1)
    assert score.l0 == pytest.approx(sum((token > 0).sum().item() for token in features) / len(features))
    assert score.l1 == pytest.approx(features.sum().item() / len(features), rel=1e-5)
    assert score.dead_latents == pytest.approx(1 - (features > 0).any(0).float().mean().item())
    assert score.dead_latents >= 10 / 64


def test_clean_loss_is_one_number(model, held_out):
    saes = [(random_sae(model.d_model, 64, torch.Generator().manual_seed(layer)), layer) for layer in LAYERS]
    first, second = evaluate(saes, model, held_out, 4), evaluate(saes, model, held_out, 4)
    assert len({score.ce_clean for score in [*first, *second]}) == 1
