"""In what precision matrix products are computed: float32, TF32, or bfloat16 summed in float32.

In: one recorded field of a config (`TrainingConfig.precision`). Out: a stretch of code whose products follow it.
Weights, losses, sums and Adam's moments are float32 in all three.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

Precision = Literal["float32", "tf32", "bfloat16"]


@contextmanager
def matrix_products(precision: Precision, device: "torch.device") -> Iterator[None]:
    """Have the language model's and an SAE's products follow `precision` until the block ends, also by an error.

    "tf32" lets a CUDA device round the factors of a float32 product to 10 bits, and is float32 elsewhere. "bfloat16" is
    PyTorch's autocast, on the CPU too: products give bfloat16, the residual stream that they are added to stays
    float32. Autocast holds for the calling thread, the setting for TF32 for the whole process.
    """
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == "tf32" and device.type == "cuda" else "highest")
    try:
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def factor_type(precision: Precision) -> "torch.dtype":
    """What the factors of an SAE step's products are rounded to before they are multiplied and summed in float32.

    A step asks for it because autocast would round the products too, and leaves products in place alone.
    """
    import torch

    return torch.bfloat16 if precision == "bfloat16" else torch.float32
