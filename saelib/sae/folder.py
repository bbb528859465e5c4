"""An SAE as a folder that SAELens loads too: `cfg.json`, `sae_weights.safetensors`, our `lineage.json` and checksums.

In: an SAE and where it comes from. Out: the folder, and back again, whoever wrote it; and hashes of it.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saelib.run.files import replace_folder, sha256_of_file, write_json
from saelib.run.manifest import MANIFEST, find_damage, write_manifest
from saelib.run.reading import DamagedFileError, as_object, read_json, read_json_object, read_tensors
from saelib.sae.autoencoder import ARCHITECTURES, SparseAutoencoder
from saelib.sae.sae_lens import Description, describe

SAE_LENS_FORMAT = "6.0.0"  # SAELens drops the metadata of a file that does not name a version from 6 on
WEIGHTS, CONFIG, LINEAGE = "sae_weights.safetensors", "cfg.json", "lineage.json"
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
WEIGHTS_OF_OTHERS = (".npz", ".pt", ".pth", ".bin", ".safetensors")  # pickles, which may run code, and other layouts
BESIDE = (WEIGHTS, "sparsity.safetensors")  # what SAELens keeps in a folder
COUNTS = ("sae_layer", "source_layer", "seed", "data_seed", "tokens", "source_tokens")  # of a lineage
COPY = "copy or download it again"
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
        write_manifest(temporary)

    replace_folder(folder, fill)


def load_sae(
    folder: Path | str, device: str | torch.device = "cpu", expected: Mapping[str, Any] | None = None
) -> SparseAutoencoder:
    """Read an SAE folder written here, by SAELens 2 to 6, or by the paper's authors (SAELens 3.14).

    Weights become float32. Other writings of the same function are translated: SAELens's `apply_b_dec_to_input`, by
    moving `b_dec` into the encoder's bias, and the authors' "jumprelu" whose thresholds are all zero. Decoder rows keep
    their norms.

    Args:
        expected: what the lineage should say where it says anything, as in `check_sae`.

    Returns:
        The SAE for reading: its weights record no gradients, and `lineage` says where it comes from: the model and text
        that `cfg.json` names, and what `lineage.json` has.

    Raises:
        FileNotFoundError: a file of the folder is missing.
        ValueError: the folder holds an SAE that this library would compute differently, or of something else than a
            layer's residual stream; the message names the file, and the key or tensor.
        DamagedFileError: as `check_sae`, or a file cannot be read.
    """
    folder = Path(folder)
    check_sae(folder, expected)
    described = _described(folder / CONFIG)
    tensors = _floats(folder / WEIGHTS)
    architecture = _architecture(described, tensors, folder)
    with torch.device("meta"):  # takes no memory, so that sizes are compared before any is taken
        sae = architecture(described.d_in, described.d_sae)
    _fill(sae, tensors, folder / WEIGHTS)
    if described.subtracts_b_dec:
        with torch.no_grad():
            sae.b_enc.sub_(sae.b_dec @ sae.W_enc)
    sae.lineage = described.lineage | _own_lineage(folder / LINEAGE)
    return sae.to(device).requires_grad_(False)


def check_sae(folder: Path, expected: Mapping[str, Any] | None = None) -> None:
    """See that an SAE folder is what was written there; one of somebody else has no checksums, and is believed.

    Args:
        expected: values of its lineage by name (arm, sae_layer, seed, tokens), as its place in a run tells them; what
            the lineage does not have is not compared.

    Raises:
        FileNotFoundError: a file of the folder is missing.
        DamagedFileError: a file was changed, or the whole folder belongs elsewhere.
    """
    _check_there(folder)
    if (folder / MANIFEST).is_file() and (damage := find_damage(folder, CONFIG, WEIGHTS, LINEAGE)):
        raise DamagedFileError(
            f"SAE folder {folder}: {damage}; put it back from a copy, or train the SAE again (if it was changed on "
            f"purpose, delete {MANIFEST})"
        )
    lineage = _own_lineage(folder / LINEAGE)
    others = [f"{name} {lineage[name]!r}, not {value!r}" for name, value in (expected or {}).items()
              if lineage.get(name, value) != value]  # fmt: skip
    if others:
        raise DamagedFileError(
            f"SAE folder {folder} holds another SAE than its place says: {LINEAGE} has {', '.join(others)}; put the "
            "right folder back, or train the SAE again"
        )


def _check_there(folder: Path) -> None:
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} is not an SAE folder: {name} is missing; {_others(folder) or COPY}")


def _own_lineage(path: Path) -> dict[str, Any]:
    remedy = "move it away, and manifest.json, to have the SAE read without it"
    return dict(read_json(path, _lineage, remedy)) if path.is_file() else {}


def _lineage(value: Any) -> dict[str, Any]:
    lineage = as_object(value)
    for name in COUNTS:
        if name in lineage and type(lineage[name]) not in (int, type(None)):
            raise TypeError(f"{name} is {lineage[name]!r:.40} and no whole number")
    return lineage


def _others(folder: Path) -> str:
    """What stands there in place of an SAE folder's files, for messages."""
    foreign = sorted(
        path.name for path in folder.glob("*") if path.suffix in WEIGHTS_OF_OTHERS and path.name not in BESIDE
    )
    return f"{', '.join(foreign)} cannot be read here: load it with SAELens and save it again" if foreign else ""


def _described(path: Path) -> Description:
    value = read_json(path, remedy=COPY)
    try:
        return describe(value)
    except ValueError as error:
        raise ValueError(f"{path}: {error}; mend the file, or use SAELens for what is not read here") from None


def _floats(path: Path) -> dict[str, Tensor]:
    """The tensors of a file in float32, looked at one by one."""
    tensors = read_tensors(path, remedy=COPY)
    for name, tensor in tensors.items():
        if tensor.dtype not in DTYPES:
            raise ValueError(
                f"{path}: {name} is of {tensor.dtype}; floating-point numbers of 16 bits or more are read: save it "
                "again in such ones"
            )
        if bad := int((~tensor.float().isfinite()).sum()):
            raise ValueError(f"{path}: {name} has {bad} values that are not finite in float32; {COPY}")
    return {name: tensor.float() for name, tensor in tensors.items()}


def _architecture(described: Description, tensors: dict[str, Tensor], folder: Path) -> type[SparseAutoencoder]:
    """The class that computes what the folder holds; drops from `tensors` what changes nothing."""
    name, features = described.architecture, [described.d_sae]
    for scale in SCALES:
        if scale in tensors and list(tensors[scale].shape) == features and bool((tensors[scale] == 1).all()):
            del tensors[scale]
    if name == "jumprelu" and "threshold" in tensors:
        if (shape := list(tensors["threshold"].shape)) != features:
            raise ValueError(f"{folder / WEIGHTS}: threshold has the shape {shape}, {features} is right; {COPY}")
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
            f"own {sorted(tensors.keys() - wanted.keys())}; use SAELens for another kind of SAE"
        )
    for name, shape in wanted.items():
        if list(tensors[name].shape) != shape:
            raise ValueError(
                f"{path}: the weights do not fit {CONFIG}: {name} has the shape {list(tensors[name].shape)}, {shape} "
                f"is right for d_in {sae.d_model} and d_sae {sae.d_sae}; {COPY}, or use SAELens for another kind of SAE"
            )
    sae.to_empty(device="cpu").load_state_dict(tensors)


def sae_sha256(folder: Path) -> str:
    """SHA-256 of what an SAE computes: the bytes of its weights and its config, without where it comes from.

    Raises:
        FileNotFoundError: a file of the folder is missing.
        DamagedFileError: its config cannot be read.
    """
    _check_there(folder)
    config = {name: value for name, value in read_json_object(folder / CONFIG, COPY).items() if name != "metadata"}
    whole = sha256_of_file(folder / WEIGHTS) + json.dumps(config, sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()


def folder_sha256(folder: Path) -> str:
    """SHA-256 of all that is read of an SAE folder: weights, config with metadata, lineage.

    Raises:
        FileNotFoundError: a file of the folder is missing.
    """
    _check_there(folder)
    files = [folder / name for name in (CONFIG, WEIGHTS, LINEAGE) if (folder / name).is_file()]
    whole = json.dumps({path.name: sha256_of_file(path) for path in files}, sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()
