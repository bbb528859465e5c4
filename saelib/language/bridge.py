"""A language model in TransformerLens, weights folded and centred, believed only where it gives the model's numbers.

In: a Hugging Face model and what it gives on a few rows. Out: a `TransformerBridge` of a copy of it.
"""

import copy
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Int
from torch import Tensor

from saelib.language.forward_pass import hook_name
from saelib.language.proof import MismatchError, OwnOutputs, check_outputs

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# From the most to the least that TransformerLens changes in the weights. The second is right for attention sinks: they
# take a share of the attention, so its weights do not sum to 1 and a value's bias is no constant.
WAYS: tuple[dict[str, bool], ...] = ({}, {"fold_value_biases": False}, {"no_processing": True})


def proven_bridge(
    name: str, model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", own: OwnOutputs, centred: bool,
    tokens: Int[Tensor, "rows context"],
) -> "TransformerBridge":  # fmt: skip
    """The bridge by the first of `WAYS` that gives what the model gives; its weights are a second copy.

    Args:
        own: what the model gives for `tokens`.
        centred: whether it ignores the mean of a residual vector.

    Raises:
        MismatchError: none does; says what differs.
    """
    problems = []
    for way in WAYS:
        try:
            bridge = folded_bridge(name, model, tokenizer, way)
            check_outputs(outputs_of_bridge(bridge, tokens, len(own.streams)), own, centred)
            return bridge
        except MismatchError as error:
            problems.append(str(error))
        except Exception as error:  # noqa: BLE001 (whatever TransformerLens meets in a family that it knows badly)
            problems.append(f"{type(error).__name__}: {error}")
    found = "; ".join(dict.fromkeys(problems))
    raise MismatchError(f"TransformerLens's bridge of {name} ({type(model).__name__}) is not its model: {found}")


def folded_bridge(
    name: str, model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", way: dict[str, bool]
) -> "TransformerBridge":
    """A copy of the model with options of `enable_compatibility_mode`, not yet compared."""
    from transformer_lens.model_bridge import TransformerBridge

    model, tokenizer = copy.deepcopy(model), copy.deepcopy(tokenizer)  # folding changes weights in place
    model.set_attn_implementation("eager")  # the only one that has attention patterns to hook
    if tokenizer is not None:
        # Without this mark TransformerLens loads the tokenizer a second time, from the hub's main revision.
        tokenizer.init_kwargs["add_bos_token"] = True
        tokenizer.init_kwargs.setdefault("name_or_path", name)  # it asks for that too
    bridge = TransformerBridge.boot_transformers(name, hf_model=model, tokenizer=tokenizer, device=str(model.device))
    bridge.enable_compatibility_mode(disable_warnings=True, **way)
    return bridge


@torch.no_grad()
def outputs_of_bridge(bridge: "TransformerBridge", tokens: Int[Tensor, "rows context"], layers: int) -> OwnOutputs:
    """What the bridge gives, under its own hooks."""
    kept: dict[str, Tensor] = {}

    def keep(value: Tensor, hook: Any) -> None:
        kept[hook.name] = value.clone()

    names = [hook_name(layer) for layer in range(layers)]
    logits = bridge.run_with_hooks(tokens, fwd_hooks=[(name, keep) for name in names], return_type="logits")
    return OwnOutputs(torch.stack(list(kept.values())), logits)
