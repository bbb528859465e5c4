"""The SAE's arithmetic, its gradients, and its folder."""

import json

import pytest
import torch
from torch import nn

from saelib.sae import autoencoder as sae_module
from saelib.sae.autoencoder import SparseAutoencoder, random_sae
from saelib.sae.folder import load_sae, save_sae


def small_sae(d_model: int = 6, d_sae: int = 20, seed: int = 0) -> SparseAutoencoder:
    sae = random_sae(d_model, d_sae, torch.Generator().manual_seed(seed))
    with torch.no_grad():
        sae.b_enc.normal_(0, 0.1)
        sae.b_dec.normal_(0, 0.1)
    return sae


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


def test_folder_keeps_every_bit(tmp_path):
    sae = small_sae()
    save_sae(sae, tmp_path / "a", metadata={"hook_name": "blocks.3.hook_resid_post"}, lineage={"tokens": 5})
    again = load_sae(tmp_path / "a")
    for name, parameter in sae.named_parameters():
        assert torch.equal(parameter, again.get_parameter(name))
    config = json.loads((tmp_path / "a" / "cfg.json").read_text())
    assert config["metadata"]["hook_name"] == "blocks.3.hook_resid_post"
    assert json.loads((tmp_path / "a" / "lineage.json").read_text()) == {"tokens": 5}


def edit_config(folder, **changes):
    config = json.loads((folder / "cfg.json").read_text()) | changes
    (folder / "cfg.json").write_text(json.dumps({key: value for key, value in config.items() if value != "absent"}))


@pytest.mark.parametrize("setting", [True, "absent"])
def test_a_subtracted_decoder_bias_is_folded_away(tmp_path, setting):
    sae, x = small_sae(), torch.randn(10, 6)
    expected = sae.decode(sae.encode(x - sae.b_dec))
    save_sae(sae, tmp_path / "a")
    edit_config(tmp_path / "a", apply_b_dec_to_input=setting)  # absent means true in SAELens
    torch.testing.assert_close(load_sae(tmp_path / "a")(x), expected)


def add_threshold(folder, threshold):
    from safetensors.torch import load_file, save_file

    save_file(
        load_file(folder / "sae_weights.safetensors") | {"threshold": threshold}, folder / "sae_weights.safetensors"
    )
    edit_config(folder, architecture="jumprelu")


def test_the_authors_jumprelu_without_thresholds_is_a_relu(tmp_path):
    sae, x = small_sae(), torch.randn(10, 6)
    save_sae(sae, tmp_path / "a")
    add_threshold(tmp_path / "a", torch.zeros(20))
    torch.testing.assert_close(load_sae(tmp_path / "a")(x), sae(x))


def test_what_would_be_computed_differently_is_refused(tmp_path):
    save_sae(small_sae(), tmp_path / "a")
    add_threshold(tmp_path / "a", torch.ones(20))
    with pytest.raises(ValueError, match="jumprelu"):
        load_sae(tmp_path / "a")
    save_sae(small_sae(), tmp_path / "b")
    edit_config(tmp_path / "b", normalize_activations="layer_norm")
    with pytest.raises(ValueError, match="layer_norm"):
        load_sae(tmp_path / "b")
    edit_config(tmp_path / "b", normalize_activations="none", d_sae=21)
    with pytest.raises(ValueError, match=r"do not fit cfg\.json"):
        load_sae(tmp_path / "b")
    with pytest.raises(FileNotFoundError, match=r"cfg\.json is missing"):
        load_sae(tmp_path / "nowhere")
