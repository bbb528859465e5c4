"""An SAE as a folder that SAELens loads too: `cfg.json`, `sae_weights.safetensors`, and our `lineage.json`.

In: an SAE and where it comes from. Out: the folder, and back again, whoever wrote it; and hashes of it.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saelib.run.files import read_json, replace_folder, sha256_of_file, write_json
from saelib.sae.autoencoder import ARCHITECTURES, SparseAutoencoder
from saelib.sae.sae_lens import Description, describe

SAE_LENS_FORMAT = "6.0.0"  # SAELens drops the metadata of a file that does not name a version from 6 on
WEIGHTS, CONFIG, LINEAGE = "sae_weights.safetensors", "cfg.json", "lineage.json"
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
WEIGHTS_OF_OTHERS = (".npz", ".pt", ".pth", ".bin", ".safetensors")  # pickles, which may run code, and other layouts
BESIDE = (WEIGHTS, "sparsity.safetensors")  # what SAELens keeps in a folder
SCALES = ("scaling_factor", "finetuning_scaling_factor")  # of each feature, kept by SAELens 3 even where all are 1


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
    """Read an SAE folder written here, by SAELens 2 to 6, or by the paper's authors (SAELens 3.14).

    Weights become float32. Other writings of the same function are translated: SAELens's `apply_b_dec_to_input`, by
    moving `b_dec` into the encoder's bias, and the authors' "jumprelu" whose thresholds are all zero. Decoder rows keep
    their norms.

    Returns:
        The SAE for reading: its weights record no gradients, and `lineage` says where it comes from: the model and text
        that `cfg.json` names, and what `lineage.json` has.

    Raises:
        FileNotFoundError: a file of the folder is missing.
        ValueError: the folder holds an SAE that this library would compute differently, or of something else than a
            layer's residual stream, or the files are damaged; the message names the file, and the key or tensor.
    """
    folder = Path(folder)
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} is not an SAE folder: {name} is missing{_others(folder)}")
    described = _described(folder / CONFIG)
    tensors = _read_tensors(folder / WEIGHTS)
    architecture = _architecture(described, tensors, folder)
    with torch.device("meta"):  # takes no memory, so that sizes are compared before any is taken
        sae = architecture(described.d_in, described.d_sae)
    _fill(sae, tensors, folder / WEIGHTS)
    if described.subtracts_b_dec:
        with torch.no_grad():
            sae.b_enc.sub_(sae.b_dec @ sae.W_enc)
    sae.lineage = described.lineage | _own_lineage(folder / LINEAGE)
    return sae.to(device).requires_grad_(False)


def _own_lineage(path: Path) -> dict[str, Any]:
    lineage = read_json(path) if path.is_file() else {}
    if not isinstance(lineage, dict):
        raise ValueError(f"{path} holds no JSON object; move it away to have the SAE read without it")
    return lineage


def _others(folder: Path) -> str:
    """What stands there in place of an SAE folder's files, for messages."""
    foreign = sorted(
        path.name for path in folder.glob("*") if path.suffix in WEIGHTS_OF_OTHERS and path.name not in BESIDE
    )
    return f"; {', '.join(foreign)} cannot be read here: load it with SAELens and save it again" if foreign else ""


def _described(path: Path) -> Description:
    try:
        return describe(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:  # no JSON, no UTF-8, or no SAE for us
        raise ValueError(f"{path}: {error}") from None


def _read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file in float32, looked at one by one."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is no whole safetensors file ({error}); copy or download it again") from error
    for name, tensor in tensors.items():
        if tensor.dtype not in DTYPES:
            raise ValueError(f"{path}: {name} is of {tensor.dtype}; floating-point numbers of 16 bits or more are read")
        if bad := int((~tensor.float().isfinite()).sum()):
            raise ValueError(f"{path}: {name} has {bad} values that are not finite in float32")
    return {name: tensor.float() for name, tensor in tensors.items()}


def _architecture(described: Description, tensors: dict[str, Tensor], folder: Path) -> type[SparseAutoencoder]:
    """The class that computes what the folder holds; drops from `tensors` what changes nothing."""
    name = described.architecture
    for scale in SCALES:
        if scale in tensors and bool((tensors[scale] == 1).all()):
            del tensors[scale]
    if name == "jumprelu" and "threshold" in tensors:
        if highest := float(tensors["threshold"].amax().clamp_min(0)):  # a ReLU has none below 0 to let through
            raise ValueError(
                f"{folder / WEIGHTS}: architecture 'jumprelu' with thresholds up to {highest:g}; it is read here only "
                "where none is above 0, so that it is a ReLU"
            )
        del tensors["threshold"]
        name = "standard"
    if name not in ARCHITECTURES:
        raise ValueError(f"{folder / CONFIG}: architecture {name!r} is not one of {sorted(ARCHITECTURES)}")
    return ARCHITECTURES[name]


def _fill(sae: SparseAutoencoder, tensors: dict[str, Tensor], path: Path) -> None:
    """Give an SAE its weights, if they are exactly those that it has."""
    wanted = {name: list(parameter.shape) for name, parameter in sae.named_parameters()}
    if tensors.keys() != wanted.keys():
        raise ValueError(
            f"{path}: the weights do not fit {CONFIG}: lacks {sorted(wanted.keys() - tensors.keys())}, has beside its "
            f"own {sorted(tensors.keys() - wanted.keys())}"
        )
    for name, shape in wanted.items():
        if list(tensors[name].shape) != shape:
            raise ValueError(
                f"{path}: the weights do not fit {CONFIG}: {name} has the shape {list(tensors[name].shape)}, {shape} "
                f"is right for d_in {sae.d_model} and d_sae {sae.d_sae}"
            )
    sae.to_empty(device="cpu").load_state_dict(tensors)


def sae_sha256(folder: Path) -> str:
    """SHA-256 of what an SAE computes: the bytes of its weights and its config, without where it comes from."""
    config = {name: value for name, value in read_json(folder / CONFIG).items() if name != "metadata"}
    whole = sha256_of_file(folder / WEIGHTS) + json.dumps(config, sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()


def folder_sha256(folder: Path) -> str:
    """SHA-256 of all that is read of an SAE folder: weights, config with metadata, lineage."""
    files = [folder / name for name in (CONFIG, WEIGHTS, LINEAGE) if (folder / name).is_file()]
    whole = json.dumps({path.name: sha256_of_file(path) for path in files}, sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()
