"""The SAE's arithmetic and its gradients."""

import pytest
import torch
from torch import nn

from saelib.sae import autoencoder as sae_module
from saelib.sae.autoencoder import SparseAutoencoder, random_sae
from tests.helpers.small_saes import scaled, small_sae


def autograd_loss(sae: SparseAutoencoder, x: torch.Tensor, l1_coefficient: float) -> torch.Tensor:
    """The class docstring's equation, written with other operations than the library's."""
    features = torch.relu(torch.einsum("nd,ds->ns", x, sae.W_enc) + sae.b_enc)
    reconstruction = torch.einsum("ns,sd->nd", features, sae.W_dec) + sae.b_dec
    squared_error = ((reconstruction - x) ** 2).sum(1)
    penalty = (features * sae.W_dec.norm(dim=1)).sum(1)
    return (squared_error + l1_coefficient * penalty).mean()


def gradients(sae: SparseAutoencoder) -> dict[str, torch.Tensor]:
    return {name: parameter.grad.clone() for name, parameter in sae.named_parameters() if parameter.grad is not None}


def test_forward_by_hand():
    sae = SparseAutoencoder(2, 3)
    with torch.no_grad():
        sae.W_enc.copy_(torch.tensor([[1.0, 0.0, -1.0], [0.0, 1.0, 0.0]]))
        sae.W_dec.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]))
        sae.b_enc.copy_(torch.tensor([0.0, -1.0, 0.0]))
        sae.b_dec.copy_(torch.tensor([0.5, 0.0]))
    x = torch.tensor([[2.0, 3.0], [-4.0, 0.5]])
    assert sae.encode(x).tolist() == [[2.0, 2.0, 0.0], [0.0, 0.0, 4.0]]
    assert sae(x).tolist() == [[2.5, 2.0], [-3.5, 0.0]]
    losses = sae.accumulate_gradients(x, 0.1)
    assert losses.mse.item() == pytest.approx(((0.5**2 + 1) + (0.5**2 + 0.5**2)) / 2)
    assert losses.l1.item() == pytest.approx((4 + 4) / 2)
    assert losses.l0.item() == pytest.approx((2 + 1) / 2)
    assert losses.loss(0.1).item() == pytest.approx(losses.mse.item() + 0.1 * losses.l1.item())


@pytest.mark.parametrize("tile", [4, 7, 1024])
def test_closed_form_gradients_equal_autograd(monkeypatch, tile):
    monkeypatch.setattr(sae_module, "CPU_TILE", tile)
    sae, x = small_sae().double(), torch.randn(32, 6, dtype=torch.float64)
    sae.normalize_decoder()  # the closed form counts on unit norm, to double precision here
    losses = sae.accumulate_gradients(x, 0.3)
    ours = gradients(sae)
    sae.zero_grad()
    loss = autograd_loss(sae, x, 0.3)
    loss.backward()
    assert losses.loss(0.3).item() == pytest.approx(loss.item(), rel=1e-12)
    for name, parameter in sae.named_parameters():
        torch.testing.assert_close(ours[name], parameter.grad, rtol=1e-10, atol=1e-12)


def test_gradients_accumulate():
    sae, x = small_sae().double(), torch.randn(8, 6, dtype=torch.float64)
    sae.accumulate_gradients(x, 0.3)
    once = gradients(sae)["W_enc"]
    sae.accumulate_gradients(x, 0.3)
    torch.testing.assert_close(sae.W_enc.grad, 2 * once)


def test_random_start_follows_the_paper():
    sae = random_sae(64, 512, torch.Generator().manual_seed(1))
    assert not sae.b_enc.any() and not sae.b_dec.any()
    torch.testing.assert_close(sae.W_dec.norm(dim=1), torch.ones(512))
    bound = (6 / 512) ** 0.5  # Kaiming-uniform of a [d_model, d_sae] matrix has fan_in d_sae
    assert 0.95 * bound < sae.W_enc.abs().max().item() <= bound
    similarity = nn.functional.cosine_similarity(sae.W_enc.T, sae.W_dec).abs().mean()
    assert similarity < 0.2, "encoder and decoder are drawn independently"


def test_random_start_depends_on_the_generator_alone():
    first, second = small_sae(seed=3), small_sae(seed=3)
    assert torch.equal(first.W_enc, second.W_enc)
    assert not torch.equal(first.W_enc, small_sae(seed=4).W_enc)


def test_normalising_the_decoder_leaves_directions():
    sae = small_sae()
    before = nn.functional.normalize(sae.W_dec.detach() * 3, dim=1)
    with torch.no_grad():
        sae.W_dec.mul_(3)
    sae.normalize_decoder()
    torch.testing.assert_close(sae.W_dec.detach(), before)


def test_l1_is_the_same_however_a_feature_s_factors_are_shared_out():
    sae, x = small_sae(), torch.randn(9, 6)
    other = scaled(sae, torch.logspace(-3, 3, 20))
    with torch.no_grad():
        torch.testing.assert_close(other(x), sae(x), atol=1e-5, rtol=1e-5)
        expected = sae.encode(x).sum(1)  # its rows have unit norm
        torch.testing.assert_close(sae.l1(sae.encode(x)), expected, rtol=0, atol=0)
        torch.testing.assert_close(other.l1(other.encode(x)), expected)
    assert other.encode(x).sum() > 2 * expected.sum()


def test_l1_by_hand():
    sae = SparseAutoencoder(2, 3)
    with torch.no_grad():
        sae.W_dec.copy_(torch.tensor([[3.0, 4.0], [0.0, 0.0], [0.0, 0.5]]))
    assert sae.l1(torch.tensor([[1.0, 7.0, 2.0], [0.0, 1.0, 0.0]])).tolist() == [6.0, 0.0]


def test_folding_norms_leaves_the_function_and_its_l1():
    other, x = scaled(small_sae(), torch.logspace(-3, 3, 20)), torch.randn(9, 6)
    with torch.no_grad():
        other.W_dec[4] = 0
        before, l1 = other(x), other.l1(other.encode(x))
        other.fold_decoder_norms()
        torch.testing.assert_close(other.W_dec.norm(dim=1), torch.ones(20).index_fill(0, torch.tensor(4), 0.0))
        torch.testing.assert_close(other(x), before, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(other.l1(other.encode(x)), l1)
        torch.testing.assert_close(other.encode(x).sum(1), l1)  # what training counts


def test_folding_leaves_unit_rows_as_they_are():
    sae = small_sae()
    before = [parameter.clone() for parameter in sae.parameters()]
    sae.fold_decoder_norms()
    assert all(map(torch.equal, sae.parameters(), before))


def test_an_sae_says_its_sizes_and_where_it_comes_from():
    sae = small_sae()
    assert repr(sae) == "SparseAutoencoder(d_model=6, d_sae=20, architecture=standard)"
    sae.lineage = {"arm": "forward", "source_layer": 0, "sae_layer": 1, "seed": 0, "tokens": 4096, "learning_rate": 0.1}
    assert repr(sae) == (
        "SparseAutoencoder(d_model=6, d_sae=20, architecture=standard, arm=forward, source_layer=0, sae_layer=1, "
        "seed=0, tokens=4096)"
    )


def test_lineages_are_not_shared():
    first, second = small_sae(), small_sae()
    first.lineage["arm"] = "scratch"
    assert second.lineage == {}
