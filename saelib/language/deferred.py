"""Models and tokenizers that read at once, and become transformers' own when somebody wants those.

In: a folder with a saved GPT-NeoX model. Out: a `LanguageModel` whose passes run in plain PyTorch (`gpt_neox`) and a
tokenizer that is the `tokenizers` library alone, both equal to transformers' to the last bit (tests). Importing
transformers' models takes longer than most of what is then asked of a small one; `hugging_face`, `bridge` and every
use of the tokenizer that is not below load it when they are first wanted.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tokenizers import Tokenizer

from saelib.language.gpt_neox import GenerationSettings, GPTNeoXForCausalLM
from saelib.language.gpt_neox_config import plain_config
from saelib.language.gpt_neox_equations import gpt_neox_outputs
from saelib.language.model import LanguageModel
from saelib.language.precision import matrix_products
from saelib.language.proof import MismatchError, OwnOutputs, check_outputs, own_outputs
from saelib.language.saved import check_finite
from saelib.run.reading import CONTENT_ERRORS, DamagedFileError, read_json_object, read_tensors

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_TOKENIZER_FIELDS = {"backend", "tokenizer_class", "bos_token", "eos_token", "model_max_length", "is_local",
                     "local_files_only"}  # fmt: skip


class DeferredLanguageModel(LanguageModel):
    """A language model whose weights are read, and whose `hugging_face` is made when it is first wanted.

    Both share their weights from then on, so that fine-tuning one is fine-tuning the other.
    """

    def __init__(
        self, name: str, revision: str, model: GPTNeoXForCausalLM, tokenizer: "DeferredTokenizer",
        load: Callable[[], "PreTrainedModel"],
    ) -> None:  # fmt: skip
        """Use `saelib.language.loading.load_language_model`.

        Args:
            load: reads transformers' model of the same files.
        """
        super().__init__(name, revision, model, tokenizer)
        self._load = load

    @cached_property
    def hugging_face(self) -> "PreTrainedModel":
        """The model as transformers loads it, weights raw: for generation, key-value caches and fine-tuning."""
        model = self._load()
        model.load_state_dict(self._model.state_dict(keep_vars=True), assign=True)
        self._check("transformers' model of it", model)
        return model

    @cached_property
    def _plain(self) -> GPTNeoXForCausalLM:
        """The model in plain PyTorch, once its own forward pass is compared with the equations."""
        self._check("its model in plain PyTorch", self._model)
        return self._model

    def _check(self, what: str, model: "PreTrainedModel | GPTNeoXForCausalLM") -> None:
        with matrix_products("float32", self.device):
            try:
                check_outputs(own_outputs(model, self._proof_rows), self._own_outputs(), centred=False)
            except MismatchError as error:
                raise MismatchError(f"language model {self.name} is refused: {what}: {error}") from error

    def _own_outputs(self) -> OwnOutputs:
        """By the equations, since transformers' model is not here yet; that one is compared when it is."""
        return gpt_neox_outputs(self._model.state_dict(), self._model.config, self._proof_rows)

    @property
    def reader(self) -> "PreTrainedModel":
        """A model that gives logits, in evaluation mode: transformers' where it is loaded, else the plain one."""
        return self.hugging_face.eval() if "hugging_face" in self.__dict__ else self._plain


class DeferredTokenizer:
    """Encodes and decodes as transformers' tokenizer does; whatever else is asked of it, that one is loaded for.

    Attributes:
        name_or_path: folder of its files.
        backend_tokenizer: of the `tokenizers` library.
        bos_token, eos_token, bos_token_id, eos_token_id: what may begin and what ends a text.
    """

    chat_template: str | None = None  # a tokenizer with one is not deferred
    unk_token: str | None = None  # nor one that names an unknown token
    unk_token_id: int | None = None

    def __init__(
        self,
        name: str,
        backend: Tokenizer,
        special: Mapping[str, str | None],
        load: Callable[[], "PreTrainedTokenizerBase"],
    ) -> None:
        """Use `saelib.language.loading.load_tokenizer`.

        Args:
            name: folder of the files.
            special: texts of `bos_token` and `eos_token`.
            load: reads transformers' tokenizer of the same files.
        """
        ids = {f"{name}_id": None if text is None else backend.token_to_id(text) for name, text in special.items()}
        self.__dict__.update(name_or_path=name, backend_tokenizer=backend, _load=load, **special, **ids)

    @cached_property
    def hugging_face(self) -> "PreTrainedTokenizerBase":
        """The tokenizer as transformers loads it; from then on it does everything."""
        tokenizer = self._load()
        self.__dict__["backend_tokenizer"] = tokenizer.backend_tokenizer  # tokens added to the one are the other's
        return tokenizer

    @property
    def _is_loaded(self) -> bool:
        return "hugging_face" in self.__dict__

    def __call__(self, text: str | Sequence[str], add_special_tokens: bool = True, **options: Any) -> Any:
        """Token ids as `["input_ids"]`, of one text or of several."""
        if self._is_loaded or add_special_tokens or options.keys() - {"verbose"}:
            return self.hugging_face(text, add_special_tokens=add_special_tokens, **options)
        if isinstance(text, str):
            return {"input_ids": self.backend_tokenizer.encode(text, add_special_tokens=False).ids}
        encoded = self.backend_tokenizer.encode_batch(list(text), add_special_tokens=False)
        return {"input_ids": [entry.ids for entry in encoded]}

    def encode(self, text: str, add_special_tokens: bool = True, **options: Any) -> list[int]:
        """Token ids of one text; transformers adds nothing to what the template in `tokenizer.json` puts around it."""
        if self._is_loaded or options:
            return list(self.hugging_face.encode(text, add_special_tokens=add_special_tokens, **options))
        return list(self.backend_tokenizer.encode(text, add_special_tokens=add_special_tokens).ids)

    def convert_tokens_to_ids(self, tokens: str | list[str]) -> Any:
        """The id of a token by its text, or of several; None for what is none."""
        if self._is_loaded or not isinstance(tokens, str):
            return self.hugging_face.convert_tokens_to_ids(tokens)
        return self.backend_tokenizer.token_to_id(tokens)

    def decode(self, token_ids: Any, skip_special_tokens: bool = False, **options: Any) -> str:
        """The text of token ids."""
        is_other = options.get("clean_up_tokenization_spaces") or options.keys() - {"clean_up_tokenization_spaces"}
        if self._is_loaded or is_other:
            return str(self.hugging_face.decode(token_ids, skip_special_tokens=skip_special_tokens, **options))
        return str(self.backend_tokenizer.decode([int(token) for token in token_ids], skip_special_tokens))

    def __len__(self) -> int:
        """Ids that it knows."""
        return int(self.backend_tokenizer.get_vocab_size(with_added_tokens=True))

    def __getattr__(self, name: str) -> Any:
        """Whatever else transformers' tokenizer has."""
        if name.startswith("__") or "_load" not in self.__dict__:  # a copy that is being made has nothing yet
            raise AttributeError(name)
        return getattr(self.hugging_face, name)

    def __setattr__(self, name: str, value: Any) -> None:
        """A setting of transformers' tokenizer, and what follows from it for the special tokens."""
        setattr(self.hugging_face, name, value)
        self.__dict__[name] = value
        special = [f"{kind}_token{ending}" for kind in ("bos", "eos", "unk") for ending in ("", "_id")]
        self.__dict__.update({token: getattr(self.hugging_face, token) for token in special})


def read_plain_model(folder: Path, weights: Sequence[Path], device: torch.device) -> GPTNeoXForCausalLM | None:
    """A saved model in float32, where it is a GPT-NeoX with nothing special; otherwise, or damaged, None."""
    config = plain_config(_read_fields(folder / "config.json"))
    if config is None:
        return None
    tensors: dict[str, torch.Tensor] = {}
    try:
        for path in weights:
            tensors |= read_tensors(path)
        model = GPTNeoXForCausalLM(config, GenerationSettings(_end_of_reply(folder)))
    except (OSError, RuntimeError, *CONTENT_ERRORS):  # sizes that are none, too; transformers names them
        return None
    if "embed_out.weight" in tensors:  # its name on disk
        tensors["lm_head.weight"] = tensors.pop("embed_out.weight")
    expected = {name: weight.shape for name, weight in model.state_dict().items()}
    if expected != {name: weight.shape for name, weight in tensors.items()}:
        return None
    check_finite(str(folder), tensors.items())
    model.load_state_dict({name: weight.float() for name, weight in tensors.items()}, assign=True)
    return model.to(device).eval()


def _end_of_reply(folder: Path) -> int | list[int] | None:
    """As transformers finds it: in the settings of generation, or without those in the config."""
    path = folder / "generation_config.json"
    source = path if path.is_file() else folder / "config.json"
    found: int | list[int] | None = _read_fields(source).get("eos_token_id")
    return found


def _read_fields(path: Path) -> dict[str, Any]:
    """What a JSON file says; nothing where it is damaged, which transformers then names."""
    try:
        return read_json_object(path)
    except DamagedFileError:
        return {}


def read_plain_tokenizer(folder: Path, load: Callable[[], "PreTrainedTokenizerBase"]) -> DeferredTokenizer | None:
    """A saved tokenizer where transformers adds nothing to `tokenizer.json`; otherwise, or damaged, None.

    Args:
        load: reads transformers' tokenizer of the same files.
    """
    settings_path, path = folder / "tokenizer_config.json", folder / "tokenizer.json"
    others = ("*chat_template*", "special_tokens_map.json", "added_tokens.json")
    if not settings_path.is_file() or not path.is_file() or any(any(folder.glob(name)) for name in others):
        return None
    settings = _read_fields(settings_path)
    is_plain = settings.get("tokenizer_class") == "TokenizersBackend" and settings.keys() <= _TOKENIZER_FIELDS
    named = {name: settings.get(name) for name in ("bos_token", "eos_token")}
    if not is_plain or named["eos_token"] is None or not all(isinstance(text, str | None) for text in named.values()):
        return None
    try:
        backend = Tokenizer.from_file(str(path))
    except Exception:  # noqa: BLE001 (the library raises nothing narrower; transformers names the file)
        return None
    special = {token.content for token in backend.get_added_tokens_decoder().values() if token.special}
    is_known = {text for text in named.values() if text is not None} <= special
    if not is_known or backend.truncation is not None or backend.padding is not None:
        return None
    return DeferredTokenizer(str(folder), backend, named, load)
