"""What the `cfg.json` of an SAE means, whichever version of SAELens wrote it, 2 to 6, or this library.

In: the file's value. Out: a `Description`: architecture, sizes, whether `b_dec` is subtracted from the input, and whose
residual stream it reads. A key that its version did not write yet means what SAELens takes it for
(`handle_config_defaulting`); whatever would be computed differently here is refused by name.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

RENAMED = {
    "hook_point": "hook_name",
    "hook_point_layer": "hook_layer",
    "hook_point_head_index": "hook_head_index",
    "activation_fn": "activation_fn_str",
}
"""What SAELens 2 called what 3 to 5 call otherwise; 6 went back with the last one."""
PLAIN: Mapping[str, tuple[Any, ...]] = {
    "activation_fn_str": ("relu",),
    "normalize_activations": ("none", False),  # a truth value in SAELens 2
    "reshape_activations": ("none",),
    "hook_head_index": (),
    "hook_name_out": (),
}
"""Keys that change what is computed, or of what, and the values at which they do not; none at all never does."""
KEPT = ("hook_name", "model_name", "model_class_name", "model_from_pretrained_kwargs", "dataset_path", "context_size",
        "prepend_bos", "seqpos_slice", "sink_token")  # fmt: skip
"""What an SAE's lineage says of the model and the text that it was trained on."""

SUBTRACTS = "apply_b_dec_to_input"
BEYOND = 2**31  # of sizes: no tensor has so many rows
_HOOK = re.compile(r"blocks\.(\d+)\.hook_(resid_post|resid_pre|out|in)", re.ASCII)
"""TransformerLens's names, and those of its bridge."""
_MODULE = re.compile(
    r"(?:(?:model|transformer|gpt_neox|language_model|decoder|backbone)\.)*(?:h|layers|blocks)\.(\d+)", re.ASCII
)
"""A block of transformers, of which SAELens takes the output."""


class Description(NamedTuple):
    """What a config says."""

    architecture: str
    d_in: int
    d_sae: int
    subtracts_b_dec: bool
    lineage: dict[str, Any]
    """`KEPT`, and `sae_layer`: it is of that layer's `hook_resid_post`. Empty where no hook is named."""


def describe(config: object) -> Description:
    """Read a config.

    Raises:
        ValueError: it describes no SAE that is computed here; names the key and its value.
    """
    if not isinstance(config, dict) or not isinstance(config.get("metadata", {}), dict):
        raise ValueError("it is not the config of an SAE: a JSON object is, and its metadata too")
    values = _values(config)
    for key, plain in PLAIN.items():
        if key in values and values[key] not in plain:
            only = f"{key} {plain[0]!r}" if plain else f"no {key}"
            raise ValueError(f"{key} is {values[key]!r}; only SAEs with {only} are read here")
    subtracts = values.get(SUBTRACTS, True)
    if not isinstance(subtracts, bool):
        raise ValueError(f"{SUBTRACTS} is {subtracts!r}, neither true nor false")
    architecture = str(values.get("architecture", "standard"))
    return Description(architecture, _size(values, "d_in"), _size(values, "d_sae"), subtracts, _lineage(values))


def _values(config: Mapping[str, Any]) -> dict[str, Any]:
    """By the names of SAELens 3, those inside the metadata of version 6 too; what is null is left out.

    But for `SUBTRACTS`: SAELens takes null there neither for true nor for false.
    """
    values: dict[str, Any] = {}
    for key, value in [*config.get("metadata", {}).items(), *config.items()]:
        name = RENAMED.get(key, key)
        if value is None and name != SUBTRACTS:
            continue
        if values.setdefault(name, value) != value:
            raise ValueError(f"{name} is {values[name]!r}, and {value!r} in another place")
    if "metadata" not in config:
        values.setdefault("prepend_bos", True)
    return values


def _size(values: Mapping[str, Any], name: str) -> int:
    size = values.get(name)
    if not isinstance(size, int) or isinstance(size, bool) or not 0 < size < BEYOND:
        raise ValueError(f"{name} is {size!r}; it should be a whole number above 0, of at most 31 bits")
    return size


def _lineage(values: Mapping[str, Any]) -> dict[str, Any]:
    if "hook_name" not in values:
        return {}
    return {name: values[name] for name in KEPT if name in values} | {"sae_layer": _layer(values)}


def _layer(values: Mapping[str, Any]) -> int:
    """The layer after which the hook reads the residual stream: before layer i is after layer i - 1."""
    hook = str(values["hook_name"])
    found = _HOOK.fullmatch(hook) or _MODULE.fullmatch(hook)
    if found is None:
        raise ValueError(
            f"hook_name is {hook!r}; only SAEs of residual streams, after or before a layer, are read here"
        )
    layer = int(found[1])
    if values.get("hook_layer", layer) != layer:
        raise ValueError(f"hook_name is {hook!r}, but hook_layer is {values['hook_layer']!r}")
    before = found.re is _HOOK and found[2] in ("resid_pre", "in")
    if before and layer == 0:
        raise ValueError(f"hook_name is {hook!r}: what layer 0 reads; only what a layer writes is read here")
    return layer - 1 if before else layer


def keeps_mean(lineage: Mapping[str, Any]) -> bool:
    """Whether an SAE was trained on a residual stream that is not centred over d_model, as SAELens 6 does it."""
    options = lineage.get("model_from_pretrained_kwargs", {})
    centred = isinstance(options, dict) and options.get("center_writing_weights", True)
    return not centred or not str(lineage.get("hook_name", "blocks.")).startswith("blocks.")
