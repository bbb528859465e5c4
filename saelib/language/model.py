"""Language models by name: the embedded one, a folder, or one from the Hugging Face Hub, all loaded by the same code.

In: a name. Out: a `LanguageModel` in float32, in TransformerLens's coordinates (LayerNorm folded, writing weights and
unembedding centred), as in section 3 of the layer-transfer paper. The embedded model and folders never reach for a
network, weights are read from safetensors only, and no code that comes with a model is run.
"""

import copy
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from saelib.language import embedded
from saelib.language.forward_pass import PARTS, BarePass, BridgePass, ForwardPass
from saelib.run.files import sha256_of_file

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class LanguageModel:
    """A causal language model, its tokenizer, and the passes that the experiment needs.

    GPT-NeoX, GPT-2 and Llama models run as bare Hugging Face models, whose raw weights are then the only ones held;
    `bridge` makes a second, folded copy when it is first asked for. Every other architecture runs through its bridge,
    which takes over the only copy when the first pass is made; `hugging_face` is the model before that. No method
    records gradients; use `bridge` where gradients are wanted.

    Attributes:
        name: what the model was asked for by.
        revision: commit of a hub model; SHA-256 of the weight files of a folder.
        device: where the weights are, and where `tokens` are brought.
        n_layers: layers, counted from 0 in `blocks.{i}.hook_resid_post`.
        d_model: width of the residual stream.
        n_ctx: longest context in tokens; None where the architecture sets no limit.
        vocabulary: tokens that the model gives logits for, which may be more than the tokenizer knows.
        parameters: how many numbers the model holds, embeddings included.
        block_weights: how many of them are in the weight matrices of one layer.
    """

    def __init__(
        self, name: str, revision: str, model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase"
    ) -> None:
        self.name, self.revision, self.tokenizer = name, revision, tokenizer
        self.device: torch.device = model.device
        config = model.config.get_text_config()
        self.n_layers: int = config.num_hidden_layers
        self.d_model: int = config.hidden_size
        self.n_ctx: int | None = getattr(config, "max_position_embeddings", None)
        self.vocabulary: int = config.vocab_size
        self.parameters: int = sum(weight.numel() for weight in model.parameters())
        ends = {id(module.weight) for module in (model.get_input_embeddings(), model.get_output_embeddings())}
        matrices = [weight for weight in model.parameters() if weight.ndim == 2 and id(weight) not in ends]
        self.block_weights: int = sum(weight.numel() for weight in matrices) // self.n_layers
        self._model = model
        self._is_bare = type(model).__name__ in PARTS

    @cached_property
    def _pass(self) -> ForwardPass:
        return BarePass(self._model) if self._is_bare else BridgePass(self.bridge)

    @property
    def hugging_face(self) -> "PreTrainedModel":
        """The model as transformers loads it, weights raw: for generation, key-value caches and fine-tuning.

        Raises:
            RuntimeError: a bridge has folded its weights in place; load the model again for this use.
        """
        if not self._is_bare and "bridge" in self.__dict__:
            raise RuntimeError(f"the only copy of {self.name} is inside its bridge; load it again for this use")
        return self._model

    @cached_property
    def bridge(self) -> "TransformerBridge":
        """The model in TransformerLens, weights folded and centred, with the hook names that its users know."""
        from transformer_lens.model_bridge import TransformerBridge

        model = copy.deepcopy(self._model) if self._is_bare else self._model  # folding changes weights in place
        model.set_attn_implementation("eager")  # the only one that has attention patterns to hook
        tokenizer = copy.deepcopy(self.tokenizer)
        # Without this mark TransformerLens loads the tokenizer a second time, from the hub's main revision.
        tokenizer.init_kwargs["add_bos_token"] = True
        bridge = TransformerBridge.boot_transformers(
            self.name, hf_model=model, tokenizer=tokenizer, device=str(self.device)
        )
        bridge.enable_compatibility_mode(disable_warnings=True)
        return bridge

    def residual_streams(
        self, tokens: Int[Tensor, "rows context"], layers: Sequence[int]
    ) -> Float[Tensor, "layers rows context d_model"]:
        """`blocks.{i}.hook_resid_post` of the wanted layers, from one pass that stops after the deepest of them.

        Raises:
            ValueError: no layer is asked for, one is not there, or the rows are longer than the context.
        """
        self._check_layers(layers)
        return self._pass.residual_streams(self._check_tokens(tokens), layers)

    def logits_from(
        self, residual: Float[Tensor, "rows context d_model"], layer: int
    ) -> Float[Tensor, "rows context vocabulary"]:
        """Logits when `blocks.{layer}.hook_resid_post` is `residual`; their mean over the vocabulary is 0.

        The pass starts after `layer`. Adding one number to all of a position's `residual` changes nothing where
        the model has LayerNorms, so a reconstruction needs no centring.

        Raises:
            ValueError: there is no such layer.
        """
        self._check_layers([layer])
        return self._pass.logits_from(residual, layer)

    def logits(self, tokens: Int[Tensor, "rows context"]) -> Float[Tensor, "rows context vocabulary"]:
        """Logits of an ordinary pass; their mean over the vocabulary is 0.

        Raises:
            ValueError: the rows are longer than the model's context.
        """
        return self._pass.logits(self._check_tokens(tokens))

    def _check_layers(self, layers: Sequence[int]) -> None:
        absent = [layer for layer in layers if not 0 <= layer < self.n_layers]
        if absent or not layers:
            raise ValueError(f"layers {list(layers)} of {self.name}: choose from 0 to {self.n_layers - 1}")

    def _check_tokens(self, tokens: Int[Tensor, "rows context"]) -> Int[Tensor, "rows context"]:
        if self.n_ctx is not None and tokens.shape[1] > self.n_ctx:
            raise ValueError(f"rows of {tokens.shape[1]} tokens exceed the context of {self.name}, {self.n_ctx}")
        return tokens.to(self.device)


def choose_device(device: str = "auto") -> torch.device:
    """`device` where it is present; "auto" takes the first of cuda, mps and cpu that is.

    Raises:
        ValueError: the device is unknown or absent; the message names the choices.
    """
    present = ["cuda"] if torch.cuda.is_available() else []
    present += ["mps"] if torch.backends.mps.is_available() else []
    present += ["cpu"]
    choices = [*present, *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    if device != "auto" and device not in choices:
        raise ValueError(f"device {device!r} is not on this machine; choose one of {', '.join(['auto', *choices])}")
    return torch.device(present[0] if device == "auto" else device)


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
        commit = hashlib.sha256("".join(map(sha256_of_file, weights)).encode()).hexdigest()
        return LanguageModel(name, commit, *_read(str(folder), place, local_files_only=True))
    commit = _commit(name, revision)
    return LanguageModel(name, commit, *_read(name, place, revision=commit))


def load_tokenizer(name: str, revision: str | None = None) -> "PreTrainedTokenizerBase":
    """The tokenizer of a language model without its weights; arguments and errors as in `load_language_model`."""
    folder = _folder(name, revision)
    if folder is not None:
        _check_folder(folder)
        return _read_tokenizer(str(folder), local_files_only=True)
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
            remedy = "restore it with `git checkout saelib/language/embedded/model`, or make it: python -m saelib.language.embedded.train"
        raise FileNotFoundError(f"language model folder {folder} lacks {', '.join(missing)}; {remedy}")
    return weights


def _commit(name: str, revision: str | None) -> str:
    """Commit that a revision of a hub model stands for, so that weights and tokenizer come from the same one."""
    from huggingface_hub import resolve_revision
    from huggingface_hub.errors import RevisionResolutionError

    try:
        return resolve_revision(name, revision=revision).resolved
    except (OSError, ValueError, RevisionResolutionError) as error:
        wanted = name if revision is None else f"{name} at revision {revision}"
        raise FileNotFoundError(
            f"language model {wanted}: no such folder, not in the Hugging Face cache, and not to be had from the hub "
            f"({error}); check the name, or run `hf download {name}` where there is a network"
        ) from error


def _read(
    source: str, device: torch.device, **options: str | bool
) -> tuple["PreTrainedModel", "PreTrainedTokenizerBase"]:
    """Model, whole and in float32, and tokenizer."""
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    tokenizer = _read_tokenizer(source, **options)
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
    return model.to(device), tokenizer


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
