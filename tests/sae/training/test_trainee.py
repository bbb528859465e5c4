"""One step is plain Adam on the class docstring's loss, and its state comes back to the bit."""

import torch

from saelib.sae.autoencoder import random_sae
from saelib.sae.training.plan import SaePlan
from saelib.sae.training.trainee import METRICS, Trainee
from tests.helpers.small_world import toy_config

PLAN = SaePlan("scratch", 0, 0, 1e-2)


def new_trainee(seed: int = 0) -> Trainee:
    return Trainee(PLAN, random_sae(8, 32, torch.Generator().manual_seed(seed)), toy_config())


def test_one_step_equals_plain_autograd_adam() -> None:
    trainee = new_trainee()
    plain = random_sae(8, 32, torch.Generator().manual_seed(0))
    adam = torch.optim.Adam(plain.parameters(), lr=1e-2, betas=(0.0, 0.999), foreach=False)
    for _ in range(5):
        x = torch.randn(64, 8)
        trainee.step(x, 0.1, 1.0, 1.0)
        features = torch.relu(x @ plain.W_enc + plain.b_enc)
        error = (features @ plain.W_dec + plain.b_dec - x).pow(2).sum(-1).mean()
        adam.zero_grad()
        (error + 0.1 * (features * plain.W_dec.norm(dim=1)).sum(-1).mean()).backward()
        torch.nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
        adam.step()
        plain.normalize_decoder()
    for name, parameter in trainee.sae.named_parameters():
        torch.testing.assert_close(parameter, plain.get_parameter(name), rtol=1e-4, atol=1e-5)


def test_a_step_says_what_it_measured() -> None:
    measured = new_trainee().step(torch.randn(64, 8), 0.1, 1.0, 1e-3)
    loss, mse, l1, l0, norm = measured.tolist()
    assert METRICS == ("loss", "mse", "l1", "l0")
    assert abs(loss - (mse + 0.1 * l1)) < 1e-5
    assert 0 < l0 < 32
    assert norm > 1e-3  # before clipping


def test_a_restored_trainee_goes_on_to_the_bit() -> None:
    batches = [torch.randn(64, 8) for _ in range(4)]
    whole, first = new_trainee(), new_trainee()
    for x in batches:
        whole.step(x, 0.1, 0.5, 1.0)
    for x in batches[:2]:
        first.step(x, 0.1, 0.5, 1.0)
    second = new_trainee(seed=1)
    second.restore({name: value.detach().clone() for name, value in first.state().items()})
    for x in batches[2:]:
        second.step(x, 0.1, 0.5, 1.0)
    assert second.state().keys() == whole.state().keys()
    for name, value in whole.state().items():
        assert torch.equal(value, second.state()[name]), name
