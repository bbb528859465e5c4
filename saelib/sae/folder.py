"""An SAE as a folder that SAELens loads too: `cfg.json`, `sae_weights.safetensors`, and our `lineage.json`.

In: an SAE and where it comes from. Out: the folder, and back again, whoever wrote it.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saelib.run.files import read_json, replace_folder, write_json
from saelib.sae.autoencoder import ARCHITECTURES, SparseAutoencoder

SAE_LENS_FORMAT = "6.0.0"  # SAELens drops the metadata of a file that does not name a version from 6 on
WEIGHTS, CONFIG, LINEAGE = "sae_weights.safetensors", "cfg.json", "lineage.json"


def save_sae(
    sae: SparseAutoencoder, folder: Path, metadata: dict[str, Any] | None = None, lineage: dict[str, Any] | None = None
) -> None:
    """Write the folder atomically.

    Args:
        metadata: what SAELens keeps beside the config: `model_name`, `hook_name`, `context_size`, ...
        lineage: who this SAE came from, and how many tokens each had seen.
    """
    from safetensors.torch import save_file

    weights = {name: weight.detach().to("cpu", torch.float32).contiguous() for name, weight in sae.named_parameters()}
    config = {
        "architecture": sae.architecture,
        "d_in": sae.d_model,
        "d_sae": sae.d_sae,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": False,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {"sae_lens_version": SAE_LENS_FORMAT, "prepend_bos": False} | (metadata or {}),
    }

    def fill(temporary: Path) -> None:
        save_file(weights, temporary / WEIGHTS)
        write_json(temporary / CONFIG, config)
        write_json(temporary / LINEAGE, lineage or {})

    replace_folder(folder, fill)


def load_sae(folder: Path | str, device: str | torch.device = "cpu") -> SparseAutoencoder:
    """Read an SAE folder written here, by SAELens 6, or by the paper's authors (SAELens 3.14).

    Two writings of the same function are translated: SAELens's `apply_b_dec_to_input`, by moving
    `b_dec` into the encoder's bias, and the authors' "jumprelu" whose thresholds are all zero.

    Returns:
        The SAE for reading: its weights record no gradients, and `lineage` says where it comes from.

    Raises:
        FileNotFoundError: a file of the folder is missing.
        ValueError: the folder holds an SAE that this library would compute differently; the message says why.
    """
    from safetensors.torch import load_file

    folder = Path(folder)
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} is not an SAE folder: {name} is missing")
    config, weights = read_json(folder / CONFIG), load_file(folder / WEIGHTS)
    architecture = _architecture(config, weights, folder)
    for key in ("normalize_activations", "reshape_activations"):
        if config.get(key, "none") not in ("none", None, False):
            raise ValueError(f"{folder}: {key} is {config[key]!r}; only SAEs of plain activations are read here")
    sae = architecture(config["d_in"], config["d_sae"])
    try:
        sae.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"{folder}: the weights do not fit cfg.json ({error})") from error
    if config.get("apply_b_dec_to_input", True):  # SAELens's default where the key is absent
        with torch.no_grad():
            sae.b_enc.sub_(sae.b_dec @ sae.W_enc)
    if (folder / LINEAGE).is_file():
        sae.lineage = read_json(folder / LINEAGE)
    return sae.to(device).requires_grad_(False)


def _architecture(config: dict[str, Any], weights: dict[str, Tensor], folder: Path) -> type[SparseAutoencoder]:
    """The class that computes what the folder holds; drops an all-zero threshold from `weights`."""
    name = config.get("architecture")
    threshold = weights.get("threshold")
    if name == "jumprelu" and threshold is not None and not threshold.any():
        del weights["threshold"]
        name = "standard"
    if name not in ARCHITECTURES:
        raise ValueError(f"{folder}: architecture {name!r} is not one of {sorted(ARCHITECTURES)}")
    return ARCHITECTURES[name]
