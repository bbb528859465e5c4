"""A GGUF file, opened: its settings by key, its tensors by name.

In: a path. Out: a `GgufFile`, or an error that names the file and what is wrong with it. The format:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from jaxtyping import Float32

from saelib.run.reading import DamagedFileError, naming_damage

if TYPE_CHECKING:
    from gguf import GGUFReader, ReaderTensor

Kind = TypeVar("Kind")

MAGIC, VERSIONS = b"GGUF", (2, 3)
MOST_ENTRIES = 4_000_000  # of a list in a file's settings; vocabularies and their merges have some hundred thousand
DOWNLOAD = "download it again"
ORIGINAL = "give the name or the folder of the model that it was made from, as transformers reads it"
_REQUIRED: Any = object()


@dataclass(frozen=True)
class GgufFile:
    """What stands in a GGUF file; numbers of tensors are read from the disk when they are asked for."""

    path: Path
    settings: Mapping[str, Any]
    """By key, such as "general.architecture": a number, a text, a bool, or a list of one of these."""
    tensors: "Mapping[str, ReaderTensor]"

    def get(self, key: str, kind: type[Kind], default: Kind = _REQUIRED) -> Kind:
        """A setting.

        Args:
            kind: its type, which it must be of.
            default: where the file has no such key; without one the key must be there.

        Raises:
            DamagedFileError: it is not there, or is of another type.
        """
        found = self.settings.get(key, default)
        if found is _REQUIRED:
            raise DamagedFileError(f"{self.path} lacks {key}; {DOWNLOAD}, or make it anew with llama.cpp")
        if type(found) is not kind:
            raise DamagedFileError(f"{self.path}: {key} is {found!r:.60}, not of type {kind.__name__}; {DOWNLOAD}")
        return found

    def shape(self, name: str) -> tuple[int, ...]:
        """Of a tensor, as numpy and PyTorch have it: the file counts the other way round."""
        return tuple(reversed(self.tensors[name].shape.tolist()))

    def numbers(self, name: str) -> Float32[np.ndarray, "..."]:
        """A tensor's numbers, dequantised.

        Raises:
            ValueError: its type is none that the package gguf turns into numbers, or some of them are none.
        """
        from gguf import dequantize

        tensor = self.tensors[name]
        try:
            with np.errstate(all="ignore"):  # damaged scales overflow; what comes of it is looked at below
                values = dequantize(tensor.data, tensor.tensor_type)
        except NotImplementedError as error:
            raise ValueError(
                f"{self.path}: tensor {name} is of type {tensor.tensor_type.name}, which the package gguf does not "
                "turn into numbers; take the model in another one, such as Q8_0, Q4_K or F16"
            ) from error
        if not np.isfinite(values.sum(dtype=np.float64)):
            raise DamagedFileError(f"{self.path}: numbers of tensor {name} are NaN or infinite; {DOWNLOAD}")
        return values

    @property
    def types(self) -> dict[str, int]:
        """How many tensors are of each type of number: {"Q4_1": 210, "F32": 61, "Q8_0": 1}."""
        return dict(Counter(tensor.tensor_type.name for tensor in self.tensors.values()).most_common())


def open_gguf(path: Path) -> GgufFile:
    """Read the settings of a GGUF file, and where its tensors are.

    Raises:
        FileNotFoundError: there is none.
        DamagedFileError: it is another kind of file, or not whole.
        ValueError: it is of a version, or for machines of a byte order, that is not read.
    """
    _check_beginning(path)
    with naming_damage(path, "no whole GGUF file", f"{DOWNLOAD}, or take it in another quantisation"):
        reader = _reader(path)
        settings = {key: field.contents() for key, field in reader.fields.items()}
    return GgufFile(path, settings, {tensor.name: tensor for tensor in reader.tensors})


def _reader(path: Path) -> "GGUFReader":
    """The package's own, which makes an object of every entry of a list: a damaged length would fill the memory."""
    from gguf import GGUFReader, GGUFValueType

    class BoundedReader(GGUFReader):
        def _get_field_parts(self, orig_offs: int, raw_type: int) -> Any:
            if raw_type == GGUFValueType.ARRAY:
                length = int(self._get(orig_offs + 4, np.uint64)[0])
                if length > MOST_ENTRIES:
                    raise ValueError(f"a setting at byte {orig_offs:,} has {length:,} entries")
            return super()._get_field_parts(orig_offs, raw_type)

    return BoundedReader(path)


def _check_beginning(path: Path) -> None:
    with path.open("rb") as stream:
        magic, version = stream.read(4), stream.read(4)
    if magic != MAGIC:
        raise DamagedFileError(f"{path} is no GGUF file: it begins with {magic!r}, not with {MAGIC!r}; {DOWNLOAD}")
    if int.from_bytes(version, "little") in VERSIONS:
        return
    if int.from_bytes(version, "big") in VERSIONS:
        raise ValueError(f"{path} is a GGUF file for big-endian machines; take one for little-endian machines")
    raise ValueError(
        f"{path} is of GGUF version {int.from_bytes(version, 'little')}, and versions 2 and 3 are read; "
        "make it anew with a present llama.cpp"
    )
