"""A map between two layers finds what relates them, and an SAE carried over by it does there what it did at home."""

import re

import pytest
import torch
from torch import Tensor

from saelib.sae.mapping import RIDGES, fit_map, map_sae
from tests.helpers.small_saes import small_sae

TOKENS, WIDTH = 2000, 6
STARTS = ("affine", "procrustes")


def activations(tokens: int = TOKENS, width: int = WIDTH, seed: int = 0) -> Tensor:
    """Correlated, off centre, of unequal variances: no mistake hides behind white noise."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(width, width, generator=generator) + 2 * torch.eye(width)
    return torch.randn(tokens, width, generator=generator) @ mixing + torch.randn(width, generator=generator)


def rotation(width: int = WIDTH, seed: int = 1) -> Tensor:
    return torch.linalg.qr(torch.randn(width, width, generator=torch.Generator().manual_seed(seed)))[0]


def assert_same(sae, other):
    for name, parameter in sae.named_parameters():
        torch.testing.assert_close(other.get_parameter(name), parameter.detach(), rtol=1e-4, atol=1e-4, msg=name)


@pytest.mark.parametrize("start", STARTS)
def test_a_layer_mapped_to_itself_leaves_the_sae_as_it_is(start):
    sae, x = small_sae(), activations()
    identity = fit_map(start, x, x)
    torch.testing.assert_close(identity.matrix, torch.eye(WIDTH), rtol=0, atol=1e-5)
    assert identity.r2 == pytest.approx(1, abs=1e-9) == identity.r2_back
    assert_same(sae, map_sae(sae, identity))


@pytest.mark.parametrize("start", STARTS)
def test_a_rotated_layer_is_found_and_the_sae_turns_with_it(start):
    sae, x, turn = small_sae(), activations(), rotation()
    y = 3 * x @ turn + 5  # a rotation, a scale and a shift: both maps can be exact
    found = fit_map(start, x, y)
    torch.testing.assert_close(found.matrix, 3 * turn, rtol=0, atol=1e-4)
    torch.testing.assert_close(found.back_matrix, turn.T / 3, rtol=0, atol=1e-4)
    mapped = map_sae(sae, found)
    torch.testing.assert_close(mapped(y), 3 * sae(x).detach() @ turn + 5, rtol=1e-3, atol=1e-3)
    assert torch.equal(mapped.encode(y).count_nonzero(0), sae.encode(x).count_nonzero(0))  # feature by feature
    error, before = (mapped(y) - y).square().sum(1).mean(), (sae(x) - x).square().sum(1).mean()
    torch.testing.assert_close(error, 9 * before.detach(), rtol=1e-3, atol=0)  # of vectors that are 3 times as long


def test_decoder_rows_have_unit_norm_and_features_keep_what_they_write():
    sae, x = small_sae(), activations()
    stretch = torch.randn(WIDTH, WIDTH)
    mapped = map_sae(sae, fit_map("affine", x, y := x @ stretch))
    torch.testing.assert_close(mapped.W_dec.norm(dim=1), torch.ones(20))
    written = sae.encode(x).detach().unsqueeze(2) * (sae.W_dec.detach() @ stretch)  # by each feature
    torch.testing.assert_close(mapped.encode(y).unsqueeze(2) * mapped.W_dec, written, rtol=1e-3, atol=1e-3)


def test_an_affine_map_is_recovered_with_the_share_of_the_noise():
    x, noise = torch.randn(40_000, WIDTH, dtype=torch.float64), torch.randn(40_000, 4, dtype=torch.float64)
    matrix = torch.zeros(WIDTH, 4, dtype=torch.float64)
    matrix[[0, 1, 2, 3], [0, 1, 2, 3]] = torch.tensor([3.0, 2.0, 1.0, 1.0], dtype=torch.float64)
    y = x @ matrix - 7 + noise
    found = fit_map("affine", x, y)
    torch.testing.assert_close(found.matrix, matrix.float(), rtol=0, atol=0.03)
    torch.testing.assert_close(found.offset, torch.full((4,), -7.0), rtol=0, atol=0.03)
    # Variance 9 + 4 + 1 + 1 of the signal, 4 of the noise; back: 9/10, 4/5, 1/2, 1/2 of four dimensions, 0 of two.
    assert found.r2 == pytest.approx(15 / 19, abs=0.01)
    assert found.r2_back == pytest.approx((0.9 + 0.8 + 0.5 + 0.5) / 6, abs=0.01)
    assert found.tokens == 40_000


def stacked(x: Tensor, y: Tensor, ridge: float | None) -> Tensor:
    """Independent: the penalty as further rows of the centred data, solved by LAPACK's least squares."""
    assert ridge is not None
    centred, wanted = x - x.mean(0), y - y.mean(0)
    weight = (ridge * centred.square().mean(0).mean() * len(x)) ** 0.5
    rows = torch.cat([centred, weight * torch.eye(x.shape[1])])
    targets = torch.cat([wanted, torch.zeros(x.shape[1], y.shape[1])])
    return torch.linalg.lstsq(rows, targets, driver="gelsd").solution


def test_ridge_is_what_least_squares_on_stacked_rows_gives():
    x, y = activations(400).double(), torch.randn(400, 4, dtype=torch.float64) * torch.tensor([1.0, 2, 3, 4])
    y[:, 0] += x[:, 0]
    found = fit_map("affine", x, y)
    assert found.ridge != found.ridge_back
    torch.testing.assert_close(found.matrix, stacked(x, y, found.ridge).float(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.back_matrix, stacked(y, x, found.ridge_back).float(), rtol=1e-4, atol=1e-5)


def test_r2_is_that_of_predictions_on_the_last_quarter():
    x = activations(400).double()
    y = x @ rotation().double() + torch.randn(400, WIDTH, dtype=torch.float64)
    y[300:] += 1.5  # what the fit cannot know counts as error
    found = fit_map("affine", x, y)
    matrix = stacked(x[:300], y[:300], found.ridge)
    error = y[300:] - y[:300].mean(0) - (x[300:] - x[:300].mean(0)) @ matrix
    expected = 1 - error.square().sum() / (y[300:] - y[300:].mean(0)).square().sum()
    assert found.r2 == pytest.approx(float(expected), abs=1e-9)


def test_procrustes_is_scipys():
    from scipy.linalg import orthogonal_procrustes

    x, y = activations(), activations(seed=7) + activations() @ rotation()
    centred, wanted = x - x.mean(0), y - y.mean(0)
    turn, singular_values = orthogonal_procrustes(centred.numpy(), wanted.numpy())
    expected = torch.from_numpy(turn) * float(singular_values / centred.square().sum())
    torch.testing.assert_close(fit_map("procrustes", x, y).matrix, expected, rtol=0, atol=1e-4)


def test_the_penalty_is_strong_where_tokens_are_few():
    x = torch.randn(50_000, 32)
    y = 0.5 * x + torch.randn(50_000, 32)
    few, many = (fit_map("affine", x[:count], y[:count]) for count in (64, 50_000))
    assert few.ridge is not None and many.ridge is not None
    assert few.ridge >= 0.1
    assert many.ridge <= 0.01
    assert few.r2 < many.r2


@pytest.mark.parametrize("start", STARTS)
def test_shuffled_tokens_have_nothing_to_map(start):
    x = activations()
    unrelated = fit_map(start, x, (x @ rotation())[torch.randperm(TOKENS)])
    assert abs(unrelated.r2) < 0.03
    assert fit_map(start, x, x @ rotation()).r2 > 0.99  # the same rows in order


@pytest.mark.parametrize("start", STARTS)
def test_directions_without_variance_do_no_harm(start):
    """Centred residual streams sum to 0; a dimension may be constant, or be there twice."""
    sae, x = small_sae(), activations()
    x = x - x.mean(1, keepdim=True)
    x[:, 1], x[:, 2] = 4.0, x[:, 3]
    found = fit_map(start, x, x)
    assert found.r2 == pytest.approx(1, abs=1e-6)
    mapped = map_sae(sae, found)
    torch.testing.assert_close(mapped.encode(x).sign(), sae.encode(x).detach().sign())
    variation, expected = mapped(x), sae(x).detach() @ found.matrix + found.offset
    torch.testing.assert_close(variation, expected, rtol=1e-3, atol=1e-3)
    assert mapped.W_enc.abs().max() < 100


def test_a_row_that_is_zero_stays_so():
    sae, x = small_sae(), activations()
    with torch.no_grad():
        sae.W_dec[3] = 0
    mapped = map_sae(sae, fit_map("affine", x, x @ rotation()))
    assert not mapped.W_dec[3].any()
    torch.testing.assert_close(mapped.encode(x @ rotation())[:, 3], sae.encode(x)[:, 3].detach(), rtol=1e-3, atol=1e-3)
    assert all(parameter.isfinite().all() for parameter in mapped.parameters())


def test_the_mapped_sae_is_for_reading_and_keeps_its_lineage():
    sae, x = small_sae(), activations()
    sae.lineage = {"arm": "scratch", "sae_layer": 3}
    before = {name: parameter.detach().clone() for name, parameter in sae.named_parameters()}
    mapped = map_sae(sae, fit_map("affine", x, x @ rotation()))
    assert mapped.lineage == sae.lineage
    assert mapped.lineage is not sae.lineage
    assert {parameter.dtype for parameter in mapped.parameters()} == {torch.float32}
    assert not any(parameter.requires_grad for parameter in mapped.parameters())
    assert all(torch.equal(before[name], parameter) for name, parameter in sae.named_parameters())


def test_layers_of_unequal_width_have_an_affine_map():
    x = activations()
    mapped = map_sae(small_sae(), fit_map("affine", x, x @ torch.randn(WIDTH, 9)))
    assert (mapped.d_model, mapped.d_sae) == (9, 20)


def broken(x: Tensor) -> Tensor:
    x = x.clone()
    x[[3, 4], 0] = torch.tensor([torch.nan, torch.inf])
    return x


@pytest.mark.parametrize(
    ("start", "source", "target", "message"),
    [
        ("copy", torch.randn(50, 6), torch.randn(50, 6), "start='copy': there is a map to fit for 'affine' and"),
        ("affine", torch.randn(5, 6), torch.randn(5, 6), "5 tokens for a width of 6: fit the map on more tokens"),
        ("affine", torch.randn(50, 6), torch.randn(49, 6), "shapes [50, 6] and [49, 6]: give [tokens, d_model]"),
        ("procrustes", torch.randn(50, 6), torch.randn(50, 7), "a rotation keeps the width; take start='affine'"),
        ("affine", broken(torch.randn(50, 6)), torch.randn(50, 6), "source's activations are not finite at 2 tokens"),
        ("affine", torch.randn(50, 6), torch.ones(50, 6), "target's activations are the same at all tokens of the fit"),
        ("affine", torch.cat([torch.ones(38, 6), torch.randn(12, 6)]), torch.randn(50, 6), "same at all tokens of the"),
        (
            "procrustes",
            torch.randn(50, 6),
            torch.cat([torch.randn(38, 6), torch.ones(12, 6)]),
            "target's activations are the same at all held-out tokens of the fit",
        ),
    ],
)
def test_what_cannot_be_mapped_is_refused(start, source, target, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        fit_map(start, source, target)


def test_a_map_of_another_width_is_refused():
    x = activations(width=7)
    with pytest.raises(ValueError, match="the map is from width 7, the SAE's d_model is 6"):
        map_sae(small_sae(), fit_map("affine", x, x))


def test_the_grid_of_penalties_reaches_from_none_to_a_constant():
    assert RIDGES[0] == pytest.approx(1e-8)
    assert RIDGES[-1] == pytest.approx(1e3)
