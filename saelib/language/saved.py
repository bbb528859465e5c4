"""A language model's folder: which of its files are read, what they hash to, and which models are refused by name.

In: a folder that transformers saved, the content of a config.json, or named weights. Out: paths, a hash, or an error
that says what is wrong and what to do.
"""

import hashlib
import time
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saelib.language import embedded
from saelib.run.files import path_part, sha256_of_file
from saelib.run.reading import DamagedFileError, as_object, read_json, read_json_object

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS, INDEX, ADAPTER = "model.safetensors", "model.safetensors.index.json", "adapter_config.json"
RECORD = "training.json"  # of the embedded model
_SETTLED = 2  # seconds; a file that is written twice within the coarsest clock of a file system keeps its time
_READ = ("config.json", "generation_config.json", "tokenizer*", "special_tokens_map.json", "added_tokens.json",
         "vocab*", "merges.txt", "*.model", "*.tiktoken", "*chat_template*", "*chat_templates/*")  # fmt: skip
_OTHER_TASKS = ("MaskedLM", "SequenceClassification", "TokenClassification", "QuestionAnswering", "MultipleChoice",
                "NextSentencePrediction", "PreTraining")  # fmt: skip


def check_folder(folder: Path) -> list[Path]:
    """The weight files that are read, after a look that everything is there.

    Raises:
        FileNotFoundError: something is missing.
        ValueError: an adapter, which is no whole model.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"language model folder {folder} does not exist; give a folder or a hub name")
    if (folder / ADAPTER).is_file():
        raise ValueError(
            f"language model folder {folder} holds an adapter ({ADAPTER}), not a whole model; "
            "merge it into its base first: model.merge_and_unload().save_pretrained(another_folder)"
        )
    weights = weight_files(folder)
    wanted = {"config.json": [folder / "config.json"], "*.safetensors": weights,
              "tokenizer.json": [folder / "tokenizer.json", folder / "tokenizer_config.json"]}  # fmt: skip
    missing = [name for name, places in wanted.items() if not any(place.is_file() for place in places)]
    missing += [path.name for path in weights if not path.is_file()]
    if missing:
        remedy = remedy_of(
            folder, "save it there with model.save_pretrained(folder) and tokenizer.save_pretrained(folder)"
        )
        raise FileNotFoundError(f"language model folder {folder} lacks {', '.join(missing)}; {remedy}")
    return weights


def remedy_of(source: Path | str, otherwise: str = "save or download it again") -> str:
    """What to do where a model cannot be read: the embedded one comes with the kit."""
    if str(source) != str(embedded.EMBEDDED_FOLDER):
        return otherwise
    return (
        "restore it with `git checkout saelib/language/embedded/model`, "
        "or make it: python -m saelib.language.embedded.train"
    )


def weight_files(folder: Path) -> list[Path]:
    """As transformers chooses: one file, or the shards that an index names; other safetensors beside them are not read.

    Raises:
        DamagedFileError: the index is damaged, or names a file elsewhere.
    """
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if not (folder / INDEX).is_file():
        return []
    shards = read_json(folder / INDEX, _shards, "save or download the model again")
    return [folder / shard for shard in shards]


def _shards(index: Any) -> list[str]:
    """Names of the files that hold the weights, in the folder of the index and nowhere else."""
    return sorted({path_part(shard, "a shard of weight_map") for shard in as_object(index["weight_map"]).values()})


def check_embedded(folder: Path) -> None:
    """See that the weights of the model that ships are those of its record; no other folder has one.

    Raises:
        DamagedFileError: they are not; the message says how to have them again.
    """
    record = folder / RECORD
    if folder != embedded.EMBEDDED_FOLDER or not record.is_file():
        return
    weights, known = folder / WEIGHTS, read_json_object(record, remedy_of(folder)).get("weights_sha256")
    if known is not None and sha256_of_file(weights) != known:
        raise DamagedFileError(f"{weights} is not what {RECORD} beside it says; {remedy_of(folder)}")


def hash_of_files(folder: Path) -> str:
    """SHA-256 over the names and contents of all that decides what the model and its tokenizer give."""
    read = {path for pattern in _READ for path in folder.glob(pattern) if path.is_file()}
    paths = sorted({*read, *weight_files(folder)})
    lines = [f"{sha256_while_unchanged(path)}  {path.name}\n" for path in paths]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def sha256_while_unchanged(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, read once a process for as long as the file system says that nobody wrote it."""
    state = path.stat()
    if time.time() - max(state.st_mtime, state.st_ctime) < _SETTLED:
        return sha256_of_file(path)
    return _remembered_sha256(path, state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


@lru_cache(maxsize=4096)
def _remembered_sha256(path: Path, *state: int) -> str:
    return sha256_of_file(path)


def check_config(name: str, content: Mapping[str, Any]) -> None:
    """Refuse what transformers would load as if it were a causal language model with ordinary weights.

    Args:
        name: for the message.
        content: of config.json.

    Raises:
        ValueError: no JSON object, quantized weights, an encoder and decoder, or a model for another task.
    """
    if not isinstance(content, dict):
        raise ValueError(f"language model {name}: its config.json holds {content!r:.40} in place of an object")
    quantization = content.get("quantization_config")
    if quantization:
        method = quantization.get("quant_method", "unknown") if isinstance(quantization, dict) else quantization
        raise ValueError(f"language model {name} has quantized weights ({method}); take its float16 or float32 version")
    if content.get("is_encoder_decoder"):
        raise ValueError(f"language model {name} has an encoder and a decoder; take a causal (decoder-only) model")
    classes = content.get("architectures")
    named = classes if isinstance(classes, list | tuple) else []
    others = [found for found in map(str, named) if found.endswith(tuple(f"For{task}" for task in _OTHER_TASKS))]
    if others:
        raise ValueError(f"language model {name} is a {others[0]}; take a causal (decoder-only) language model")


def check_finite(name: str, weights: Iterable[tuple[str, "Tensor"]]) -> None:
    """Refuse a model with a number that is none.

    Raises:
        ValueError: names the first such weight.
    """
    for weight_name, weight in weights:
        if weight.is_floating_point() and not weight.is_meta and not weight.sum().isfinite():
            bad = int((~weight.isfinite()).sum())
            if bad:
                raise ValueError(f"language model {name}: {bad} numbers of {weight_name} are NaN or infinite")
