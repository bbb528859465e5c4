"""Language models by name: the embedded one, a folder, or one from the Hugging Face Hub, all loaded by the same code.

In: a name. Out: a `LanguageModel` in float32, or its tokenizer alone. The embedded model and folders never reach for
a network, weights are read from safetensors only, and no code that comes with a model is run.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from saelib.language import embedded
from saelib.language.deferred import DeferredLanguageModel, DeferredTokenizer, read_plain_model, read_plain_tokenizer
from saelib.language.device import choose_device
from saelib.language.model import LanguageModel
from saelib.run.files import sha256_of_file

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def load_language_model(name: str, device: str = "auto", revision: str | None = None) -> LanguageModel:
    """Load a causal language model and its tokenizer.

    A cached hub model needs no network either; with HF_HUB_OFFLINE=1 nothing is tried and no time lost in trying.

    Args:
        name: "embedded", a folder with a saved Hugging Face model, or a model's name on the Hugging Face Hub.
        device: "auto", or what `choose_device` takes.
        revision: branch, tag or commit of a hub model; the main branch if not given.

    Raises:
        FileNotFoundError: a folder or a file in it is missing, or the hub model is neither cached nor reachable.
        ValueError: the files are there but do not hold a whole model, or a folder was given a revision.
    """
    place = choose_device(device)
    folder = _folder(name, revision)
    if folder is not None:
        weights = _check_folder(folder)
        return _read_folder(name, folder, weights, place)
    commit = _commit(name, revision)
    return LanguageModel(
        name, commit, _read_model(name, place, revision=commit), _read_tokenizer(name, revision=commit)
    )


def load_tokenizer(name: str, revision: str | None = None) -> "PreTrainedTokenizerBase":
    """The tokenizer of a language model without its weights; arguments and errors as in `load_language_model`."""
    folder = _folder(name, revision)
    if folder is not None:
        _check_folder(folder)
        return _folder_tokenizer(folder)
    return _read_tokenizer(name, revision=_commit(name, revision))


def _folder(name: str, revision: str | None) -> Path | None:
    """The folder that a name means; None where it means a hub model."""
    path = embedded.EMBEDDED_FOLDER if name == embedded.EMBEDDED else Path(name).expanduser()
    is_path = name == embedded.EMBEDDED or name.startswith((".", "~", "/")) or name.count("/") > 1
    if not path.is_dir() and not is_path:
        return None
    if revision is not None:
        raise ValueError(f"language model {name!r} is a folder and has no revision {revision!r}; leave it out")
    return path


def _check_folder(folder: Path) -> list[Path]:
    """The weight files of a saved model, after a look that everything is there."""
    if not folder.is_dir():
        raise FileNotFoundError(f"language model folder {folder} does not exist; give a folder or a hub name")
    weights = sorted(folder.glob("*.safetensors"))
    wanted = {"config.json": [folder / "config.json"], "*.safetensors": weights,
              "tokenizer.json": [folder / "tokenizer.json", folder / "tokenizer_config.json"]}  # fmt: skip
    missing = [name for name, places in wanted.items() if not any(place.is_file() for place in places)]
    if missing:
        remedy = "save it there with model.save_pretrained(folder) and tokenizer.save_pretrained(folder)"
        if folder == embedded.EMBEDDED_FOLDER:
            remedy = (
                "restore it with `git checkout saelib/language/embedded/model`, "
                "or make it: python -m saelib.language.embedded.train"
            )
        raise FileNotFoundError(f"language model folder {folder} lacks {', '.join(missing)}; {remedy}")
    return weights


def _read_folder(name: str, folder: Path, weights: list[Path], device: torch.device) -> LanguageModel:
    """A saved model; a GPT-NeoX without transformers, which is loaded when it is first wanted."""
    commit, tokenizer = _hash(weights), _folder_tokenizer(folder)

    def load() -> "PreTrainedModel":
        if _hash(_check_folder(folder)) != commit:
            raise ValueError(f"language model folder {folder} holds other weights than when it was loaded")
        return _read_model(str(folder), device, local_files_only=True)

    if not isinstance(tokenizer, DeferredTokenizer):
        return LanguageModel(name, commit, load(), tokenizer)
    plain = read_plain_model(folder, weights, device)
    if plain is None:
        return LanguageModel(name, commit, load(), tokenizer.hugging_face)
    return DeferredLanguageModel(name, commit, plain, tokenizer, load)


def _hash(weights: list[Path]) -> str:
    return hashlib.sha256("".join(map(sha256_of_file, weights)).encode()).hexdigest()


def _folder_tokenizer(folder: Path) -> "PreTrainedTokenizerBase":
    load = partial(_read_tokenizer, str(folder), local_files_only=True)
    return read_plain_tokenizer(folder, load) or load()


def _commit(name: str, revision: str | None) -> str:
    """Commit that a revision of a hub model stands for, so that weights and tokenizer come from the same one."""
    from huggingface_hub import resolve_revision
    from huggingface_hub.errors import RevisionResolutionError

    try:
        return resolve_revision(name, revision=revision).resolved
    except (OSError, ValueError, RevisionResolutionError) as error:
        wanted = name if revision is None else f"{name} at revision {revision}"
        raise FileNotFoundError(
            f"language model {wanted}: no such folder, not in the Hugging Face cache, and it cannot be fetched from "
            f"the hub ({error}); check the name, or run `hf download {name}` where there is a network"
        ) from error


def _read_model(source: str, device: torch.device, **options: str | bool) -> "PreTrainedModel":
    """Whole, and in float32."""
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    try:
        with no_progress_bar():
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                source,
                dtype=torch.float32,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                **options,
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise _unreadable(source, error) from error
    model, report = loaded
    absent = sorted(report["missing_keys"])
    if absent:  # transformers fills them with random numbers and goes on
        raise ValueError(f"language model {source} lacks {len(absent)} weights, {absent[0]} among them; save it again")
    return model.to(device)


def _read_tokenizer(source: str, **options: str | bool) -> "PreTrainedTokenizerBase":
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(source, trust_remote_code=False, **options)
    except (OSError, ValueError, RuntimeError) as error:
        raise _unreadable(source, error) from error


def _unreadable(source: str, error: Exception) -> ValueError:
    return ValueError(f"language model {source} cannot be read ({error}); save or download it again")


@contextmanager
def no_progress_bar() -> Iterator[None]:
    """Loading a model takes a moment; its bar would only fill the outputs of notebooks."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
