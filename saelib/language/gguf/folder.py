"""A GGUF file as a folder that transformers reads, made once and kept in the cache.

In: the path of a GGUF file. Out: the folder: config.json, float32 weights, tokenizer, chat template, and the record
`gguf.json` of what it was made from. The folder is whole or absent. A process checks it against its own hash when it
first reads it, and makes it again where it is damaged.
"""

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from saelib.language.gguf.llama import check_architecture, llama_config, llama_weights
from saelib.language.gguf.reading import DOWNLOAD, GgufFile, open_gguf
from saelib.language.gguf.tokenizer import write_tokenizer
from saelib.language.saved import INDEX, hash_of_files, sha256_while_unchanged
from saelib.run.files import cache_folder, replace_folder, write_json
from saelib.run.reading import DamagedFileError
from saelib.run.sealed import read_sealed_json, write_sealed_json

FORMAT_VERSION = 1  # raise it when the same file yields another folder
RECORD = "gguf.json"
SHARD_BYTES = 2**27  # of weights in one file: no more than two files' worth are in memory at once


def is_gguf(path: Path) -> bool:
    """Whether a path is that of a GGUF file, there or not."""
    return path.suffix.lower() == ".gguf" and not path.is_dir()


def gguf_folder(path: Path) -> Path:
    """The folder of a GGUF file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, or holds a model that is not read; the message names it and says what to do.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"GGUF file {path} does not exist; give its path, or fetch it first: hf download OWNER/NAME FILE"
        )
    source = sha256_while_unchanged(path)
    folder = _place(source)
    if _is_whole(folder, source):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):  # two processes would both need the time and the memory
        if not _is_whole(folder, source):  # no other process was faster
            file = open_gguf(path)
            check_architecture(file)
            replace_folder(folder, lambda temporary: _fill(temporary, file, source))
    return folder


def gguf_record(path: Path) -> dict[str, Any]:
    """What a GGUF file says of itself: `name`, `licence`, `architecture`, `types` of numbers; no weight is read.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged.
    """
    source = sha256_while_unchanged(path)
    try:
        return _record(_place(source), source)  # its head takes seconds to read
    except (OSError, ValueError):
        return _described(open_gguf(path))


def _place(source: str) -> Path:
    """Of the folder that a file with this SHA-256 is turned into."""
    return cache_folder() / f"gguf-{source[:16]}-{FORMAT_VERSION}"


def _described(file: GgufFile) -> dict[str, Any]:
    texts = {name: file.settings.get(f"general.{key}") for name, key in (("name", "name"), ("licence", "license"))}
    known = {name: text if isinstance(text, str) else None for name, text in texts.items()}
    return {**known, "architecture": file.settings.get("general.architecture"), "types": file.types}


def _record(folder: Path, source: str) -> dict[str, Any]:
    return read_sealed_json(folder / RECORD, dict, source, "delete the folder and run again")


def _is_whole(folder: Path, source: str) -> bool:
    """Whether the folder is there as it was written."""
    if not folder.is_dir():
        return False
    try:
        if _record(folder, source)["folder_sha256"] != hash_of_files(folder):
            raise DamagedFileError(f"its files are not what {RECORD} says")
    except (OSError, ValueError) as error:
        remedy = "if that comes back, look after the disk"
        warnings.warn(f"{folder} is damaged and is made again ({error}); {remedy}", stacklevel=3)
        return False
    return True


def _fill(folder: Path, file: GgufFile, source: str) -> None:
    config = llama_config(file)
    known = write_tokenizer(file, folder)
    if known > config["vocab_size"]:
        raise DamagedFileError(
            f"{file.path} has {known} tokens and {config['vocab_size']} rows of embeddings; {DOWNLOAD}"
        )
    write_json(folder / "config.json", config)
    ids = {name: token for name, token in config.items() if name.endswith("_token_id") and token is not None}
    write_json(folder / "generation_config.json", ids)
    _write_weights(folder, llama_weights(file, config))
    record = {
        "source": file.path.name,
        "source_sha256": source,
        **_described(file),
        "folder_sha256": hash_of_files(folder),
    }
    write_sealed_json(folder / RECORD, record, of=source)


def _write_weights(folder: Path, weights: Iterable[tuple[str, np.ndarray]]) -> None:
    """Weights in files of about `SHARD_BYTES`, and the index that names the file of each."""
    places: dict[str, str] = {}
    shard: dict[str, np.ndarray] = {}
    for name, weight in weights:
        if shard and sum(other.nbytes for other in (*shard.values(), weight)) > SHARD_BYTES:
            places |= _write_shard(folder, shard)
            shard = {}
        shard[name] = weight
    places |= _write_shard(folder, shard)
    write_json(folder / INDEX, {"metadata": {}, "weight_map": places})


def _write_shard(folder: Path, shard: dict[str, np.ndarray]) -> dict[str, str]:
    """Write some weights into one more file; returns its name for each."""
    from safetensors.numpy import save_file

    name = f"model-{len(list(folder.glob('*.safetensors'))) + 1:05}.safetensors"
    save_file(shard, folder / name, metadata={"format": "pt"})
    return dict.fromkeys(shard, name)
