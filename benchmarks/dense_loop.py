"""A bare training loop in plain PyTorch, as a yardstick: autograd and Adam on given vectors, no language model.

What a straightforward implementation could reach if activations cost nothing.
"""

from pathlib import Path

from benchmarks.workload import Timing, Workload, report, stopwatch


def one_pass(work: Workload, folder: Path) -> Timing:
    """ReLU + L1 SAEs, one layer after the other in every step, on random vectors."""
    import torch
    from torch import nn

    torch.manual_seed(work.seed)
    saes = [
        nn.ParameterList(
            nn.Parameter(0.1 * torch.randn(shape, device=work.device))
            for shape in ((work.d_model, work.d_sae), (work.d_sae,), (work.d_sae, work.d_model), (work.d_model,))
        )
        for _ in work.layer_indices
    ]
    optimizers = [torch.optim.Adam(sae.parameters(), 1e-3, (0.0, 0.999)) for sae in saes]
    batch = torch.randn(work.batch_tokens, work.d_model, device=work.device)
    with stopwatch(work.device) as elapsed:
        for _ in range(work.tokens // work.batch_tokens):
            for (w_enc, b_enc, w_dec, b_dec), optimizer in zip(saes, optimizers, strict=True):
                features = torch.relu(batch @ w_enc + b_enc)
                error = features @ w_dec + b_dec - batch
                (error.square().sum(1).mean() + features.sum(1).mean()).backward()
                optimizer.step()
                optimizer.zero_grad()
    return Timing(elapsed[0], work.layers * work.tokens, "autograd, torch.optim.Adam, random vectors", ())


if __name__ == "__main__":
    report({"one_pass": one_pass})
