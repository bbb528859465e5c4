"""A bare training loop in plain PyTorch, as a yardstick: autograd and Adam on given vectors, no language model.

What a straightforward dense implementation could reach if activations cost nothing.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.outcome import Trained, outcome, residual_streams
from benchmarks.workload import Timing, Workload, report, stopwatch

if TYPE_CHECKING:
    from torch import Tensor, nn


def one_pass(work: Workload, folder: Path) -> Timing:
    """ReLU + L1 SAEs, one layer after the other in every step, on the held-out vectors again and again."""
    import torch

    torch.manual_seed(work.seed)
    saes = [new_sae(work) for _ in work.layer_indices]
    optimizers = [torch.optim.Adam(sae.parameters(), work.learning_rate, (0.0, 0.999)) for sae in saes]
    streams = residual_streams(folder, centred=True).to(work.device)
    with stopwatch(work.device) as spent:
        for _ in range(work.tokens // work.batch_tokens):
            batch = streams[:, torch.randint(streams.shape[1], (work.batch_tokens,))]
            for x, sae, optimizer in zip(batch, saes, optimizers, strict=True):
                loss(x, sae, work.l1_coefficient).backward()
                optimizer.step()
                optimizer.zero_grad()
    found = outcome([trained(sae, layer) for layer, sae in enumerate(saes)], folder, True, work.device)
    return Timing(spent, work.layers * work.tokens, found, "autograd, torch.optim.Adam, given vectors", ())


def new_sae(work: Workload) -> "nn.ParameterList":
    """Encoder, its bias, decoder, its bias."""
    import torch
    from torch import nn

    w_dec = nn.functional.normalize(torch.randn(work.d_sae, work.d_model, device=work.device))
    zeros = (torch.zeros(size, device=work.device) for size in (work.d_sae, work.d_model))
    return nn.ParameterList([w_dec.T.clone(), next(zeros), w_dec, next(zeros)])


def loss(x: "Tensor", sae: "nn.ParameterList", l1_coefficient: float) -> "Tensor":
    """Squared error and L1 penalty, a feature weighted by the norm of its decoder row."""
    import torch

    w_enc, b_enc, w_dec, b_dec = sae
    features = torch.relu(x @ w_enc + b_enc)
    error = features @ w_dec + b_dec - x
    return error.square().sum(1).mean() + l1_coefficient * (features.mean(0) @ w_dec.norm(dim=1))


def trained(sae: "nn.ParameterList", layer: int) -> Trained:
    """An SAE as the comparison reads it."""
    import torch

    w_enc, b_enc, w_dec, b_dec = sae

    def read(vectors: "Tensor") -> "tuple[Tensor, Tensor]":
        features = torch.relu(vectors @ w_enc + b_enc)
        return features, features @ w_dec + b_dec

    return Trained(layer, read)


if __name__ == "__main__":
    report({"one_pass": one_pass})
