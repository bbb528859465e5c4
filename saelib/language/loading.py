"""Language models by name: the embedded one, a folder, or one from the Hugging Face Hub, all loaded by the same code.

In: a name. Out: a `LanguageModel`, in float32 if nothing else is asked for, or its tokenizer alone. The embedded model
and folders never reach for a network, weights are read from safetensors only, and no code that comes with a model is
run.
"""

from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from saelib.language import embedded
from saelib.language.deferred import DeferredLanguageModel, DeferredTokenizer, read_plain_model, read_plain_tokenizer
from saelib.language.device import choose_device
from saelib.language.gguf.folder import gguf_folder, is_gguf
from saelib.language.gguf.smollm2 import SMOLLM2, smollm2_file
from saelib.language.gpt_neox_config import plain_config
from saelib.language.hub import ask_hub, network_errors
from saelib.language.model import LanguageModel
from saelib.language.quiet import naming_model, no_progress_bar
from saelib.language.saved import check_config, check_embedded, check_finite, check_folder, hash_of_files, remedy_of
from saelib.run.reading import read_json_object
from saelib.run.secrets import one_line

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class Placement(NamedTuple):
    """Where weights go, and as which type of number."""

    device: torch.device
    dtype: torch.dtype
    device_map: str | None

    @property
    def is_plain(self) -> bool:
        """Whether `deferred` can read the weights: whole, and in float32."""
        return self.device_map is None and self.dtype == torch.float32


def load_language_model(
    name: str,
    device: str = "auto",
    revision: str | None = None,
    dtype: str = "float32",
    device_map: str | None = None,
) -> LanguageModel:
    """Load a causal language model and its tokenizer.

    A cached hub model needs no network either; with HF_HUB_OFFLINE=1 nothing is tried and no time lost in trying.

    Args:
        name: "embedded", "smollm2", a folder with a saved Hugging Face model, a GGUF file of Llama's kind, or a
            model's name on the Hugging Face Hub.
        device: "auto", or what `choose_device` takes.
        revision: branch, tag or commit of a hub model; the main branch if not given.
        dtype: "float32", "bfloat16" or "float16"; passes for SAEs need float32.
        device_map: how accelerate spreads it over devices, "auto", "balanced" or "sequential"; None keeps it whole.

    Raises:
        FileNotFoundError: a folder or a file in it is missing, or the hub model is neither cached nor reachable.
        ValueError: the files are there but do not hold a whole model, or a folder was given a revision.
    """
    place = Placement(choose_device(device), getattr(torch, dtype), device_map)
    folder = _folder(name, revision)
    if folder is not None:
        weights = check_folder(folder)
        check_embedded(folder)
        return _read_folder(name, folder, weights, place)
    commit = _commit(name, revision)
    return LanguageModel(
        name, commit, _read_model(name, place, revision=commit), _read_tokenizer(name, revision=commit)
    )


def load_tokenizer(name: str, revision: str | None = None) -> "PreTrainedTokenizerBase":
    """The tokenizer of a language model without its weights; arguments and errors as in `load_language_model`."""
    folder = _folder(name, revision)
    if folder is not None:
        check_folder(folder)
        return _folder_tokenizer(folder)
    return _read_tokenizer(name, revision=_commit(name, revision))


def load_config(name: str, revision: str | None = None) -> Any:
    """A language model's sizes without its weights, under transformers' names (`num_hidden_layers`, `vocab_size`).

    Arguments and errors are those of `load_language_model`.
    """
    folder = _folder(name, revision)
    if folder is None:
        return _read_config(name, revision=_commit(name, revision))
    check_folder(folder)
    plain = plain_config(read_json_object(folder / "config.json", remedy_of(str(folder))))
    return plain or _read_config(str(folder), local_files_only=True)


def check_device_map(device_map: str) -> None:
    """Refuse to spread a model over devices where the package that does it is missing.

    Raises:
        ValueError: it is.
    """
    if find_spec("accelerate") is None:
        raise ValueError(f"device_map={device_map!r} needs the package accelerate: pip install accelerate")


def is_hub_name(name: str) -> bool:
    """Whether a name means a model on the Hugging Face Hub, which has revisions."""
    path = Path(name).expanduser()
    is_path = name.startswith((".", "~", "/")) or name.count("/") > 1 or is_gguf(path)
    return name not in (embedded.EMBEDDED, SMOLLM2) and not is_path and not path.is_dir()


def pinned_revision(name: str, revision: str | None, read: str | None) -> str | None:
    """The revision to load: of a hub model the commit that a run has read before, as its branch may have moved since.

    Args:
        revision: that is asked for.
        read: what the run has read under this name; None where that is nothing yet.
    """
    return read if read is not None and is_hub_name(name) else revision


def _folder(name: str, revision: str | None) -> Path | None:
    """The folder that a name means; None where it means a hub model."""
    if is_hub_name(name):
        return None
    if revision is not None:
        raise ValueError(f"language model {name!r} is on this machine and has no revision {revision!r}; leave it out")
    if name == embedded.EMBEDDED:
        return embedded.EMBEDDED_FOLDER
    path = smollm2_file() if name == SMOLLM2 else Path(name).expanduser()
    return gguf_folder(path) if is_gguf(path) else path


def _read_folder(name: str, folder: Path, weights: list[Path], place: Placement) -> LanguageModel:
    """A saved model; a GPT-NeoX without transformers, which is loaded when it is first wanted."""
    commit, tokenizer = hash_of_files(folder), _folder_tokenizer(folder)

    def load() -> "PreTrainedModel":
        check_folder(folder)
        if hash_of_files(folder) != commit:
            raise ValueError(f"language model folder {folder} holds other files than when it was loaded")
        return _read_model(str(folder), place, local_files_only=True)

    if not isinstance(tokenizer, DeferredTokenizer):
        return LanguageModel(name, commit, load(), tokenizer)
    plain = read_plain_model(folder, weights, place.device) if place.is_plain else None
    if plain is None:
        return LanguageModel(name, commit, load(), tokenizer.hugging_face)
    return DeferredLanguageModel(name, commit, plain, tokenizer, load)


def _folder_tokenizer(folder: Path) -> "PreTrainedTokenizerBase":
    load = partial(_read_tokenizer, str(folder), local_files_only=True)
    return read_plain_tokenizer(folder, load) or load()


def _commit(name: str, revision: str | None) -> str:
    """Commit that a revision of a hub model stands for, so that weights and tokenizer come from the same one."""
    from huggingface_hub import resolve_revision

    try:
        return ask_hub(f"language model {name}", lambda: resolve_revision(name, revision=revision).resolved)
    except network_errors() as error:
        wanted = name if revision is None else f"{name} at revision {revision}"
        raise FileNotFoundError(
            f"language model {wanted}: no such folder, not in the Hugging Face cache, and it cannot be fetched from "
            f"the hub ({one_line(error)}); check the name, or run `hf download {name}` where there is a network, or "
            "give the path of a folder that holds it"
        ) from error


def _read_model(source: str, place: Placement, **options: str | bool) -> "PreTrainedModel":
    """Every weight of it, in one type of number."""
    if place.device_map is not None:
        check_device_map(place.device_map)
        options["device_map"] = place.device_map
    from transformers import AutoModelForCausalLM

    _read_config(source, **options)
    with naming_model(source), no_progress_bar():
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            source,
            dtype=place.dtype,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            **options,
        )
    model, report = loaded
    check_finite(source, model.named_parameters())
    absent = sorted(report["missing_keys"])
    if absent:  # transformers fills them with random numbers and goes on
        raise ValueError(f"language model {source} lacks {len(absent)} weights, {absent[0]} among them; save it again")
    return model if place.device_map is not None else model.to(place.device)


def _read_config(source: str, **options: str | bool) -> Any:
    """Of a model that is a causal language model with ordinary weights."""
    from transformers import AutoConfig, PretrainedConfig

    with naming_model(source):
        content, _ = PretrainedConfig.get_config_dict(source, **options)
    check_config(source, content)
    with naming_model(source):
        return AutoConfig.from_pretrained(source, trust_remote_code=False, **options).get_text_config()


def _read_tokenizer(source: str, **options: str | bool) -> "PreTrainedTokenizerBase":
    from transformers import AutoTokenizer

    with naming_model(source, "tokenizer of language model"):
        return AutoTokenizer.from_pretrained(source, trust_remote_code=False, **options)
