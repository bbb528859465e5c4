"""What of a model is trained: all of its weights, or a product of two thin matrices beside each linear map (LoRA).

In: a model and the recipe. Out: the same model, changed in place: while it is trained it has the matrices and nothing
else learns, afterwards their product is part of its weights and no trace of them is left. With W the map, A and B the
matrices of rank r and a the recipe's `lora_alpha`:

    W' x = W x + (a / r) B A x,  B = 0 at first         (Hu et al. 2022, arXiv 2106.09685; by the library peft)
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from saelib.htest.config import FineTuning

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@contextmanager
def what_is_trained(model: "PreTrainedModel", recipe: FineTuning) -> Iterator[None]:
    """Leave to training what the recipe says: of a model of any architecture, every linear map but the head."""
    if recipe.method == "all":
        yield
        return
    import torch
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=recipe.lora_rank, lora_alpha=recipe.lora_alpha, target_modules="all-linear", lora_dropout=0.0)
    with torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []):
        torch.manual_seed(recipe.seed)
        with warnings.catch_warnings():  # that GPT-2 keeps its maps transposed, which peft finds out
            warnings.filterwarnings("ignore", message="fan_in_fan_out is set to")
            adapted = get_peft_model(model, config)
    yield
    adapted.merge_and_unload()
    model.requires_grad_(True)
