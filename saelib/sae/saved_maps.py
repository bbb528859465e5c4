"""Maps between layers as folders of a run: `map.safetensors`, `map.json` and checksums.

In: a `LayerMap`. Out: its folder, and back again. One that is damaged can be fitted again, and has to be.
"""

import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saelib.run.files import replace_folder, write_json
from saelib.run.manifest import MANIFEST, find_damage, write_manifest
from saelib.run.reading import DamagedFileError, naming_damage, read_json_object, read_tensors
from saelib.sae.mapping import LayerMap

TENSORS, FIT = "map.safetensors", "map.json"
PLACE = "place"  # in the fit: the folder's name, which says the layers and the start
REMEDY = "delete the folder and run again to have the map fitted again"


def map_folder(maps: Path, start: str, source_layer: int, target_layer: int, data_seed: int) -> Path:
    """Where a run keeps a map, in its folder `maps`; `data_seed` says on whose tokens it was fitted."""
    return maps / f"{start}-L{source_layer}-L{target_layer}-data{data_seed}"


def save_map(folder: Path, layer_map: LayerMap) -> None:
    """Write the folder atomically."""
    from safetensors.torch import save_file

    values = asdict(layer_map)
    tensors = {name: values.pop(name).cpu().contiguous() for name in [*values] if isinstance(values[name], Tensor)}

    def fill(temporary: Path) -> None:
        save_file(tensors, temporary / TENSORS)
        write_json(temporary / FIT, values | {PLACE: folder.name})
        write_manifest(temporary)

    replace_folder(folder, fill)


def load_map(folder: Path, device: str | torch.device = "cpu") -> LayerMap:
    """Read what `save_map` wrote.

    Raises:
        FileNotFoundError: a file of the folder is missing.
        DamagedFileError: a file was changed, or cannot be read; or the whole folder belongs elsewhere.
    """
    for name in (TENSORS, FIT):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} is not a map between layers: {name} is missing; {REMEDY}")
    if (folder / MANIFEST).is_file() and (damage := find_damage(folder, TENSORS, FIT)):
        raise DamagedFileError(f"map {folder}: {damage}; {REMEDY}")
    values: dict[str, Any] = {**read_tensors(folder / TENSORS, str(device), REMEDY)}
    values |= read_json_object(folder / FIT, REMEDY)
    if (place := values.pop(PLACE, folder.name)) != folder.name:
        raise DamagedFileError(f"map {folder} was saved as {place!r}, between other layers; {REMEDY}")
    with naming_damage(folder, "no map between layers", REMEDY):
        return _checked(LayerMap(**values))


def _checked(layer_map: LayerMap) -> LayerMap:
    """A map that was read, if its sizes fit and its entries are finite.

    Raises:
        ValueError: not so; names the value.
    """
    source, target = layer_map.matrix.shape
    sizes = {"matrix": (source, target), "offset": (target,), "back_matrix": (target, source)}
    for name, shape in (sizes | {"back_offset": (source,)}).items():
        tensor: Tensor = getattr(layer_map, name)
        if tensor.shape != shape or not tensor.is_floating_point() or not tensor.isfinite().all():
            raise ValueError(f"{name} holds no {list(shape)} finite numbers")
    for name in ("tokens", "r2", "r2_back", "ridge", "ridge_back"):
        if not isinstance(value := getattr(layer_map, name), float | int | None):
            raise ValueError(f"{name} is {value!r}")
    return layer_map


def has_map(folder: Path) -> bool:
    """Whether a whole map is there; warns of one that is damaged, which is to be fitted again."""
    if not folder.is_dir():
        return False
    try:
        load_map(folder)
    except (FileNotFoundError, DamagedFileError) as error:
        warnings.warn(f"{error}: it is fitted again", stacklevel=2)
        return False
    return True
