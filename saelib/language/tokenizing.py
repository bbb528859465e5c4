"""Tokens that a tokenizer puts around a text, and the one that ends a text, read from what it does.

In: a tokenizer, transformers' or a deferred one. Out: token ids. Attributes such as `add_bos_token` and `bos_token_id`
do not tell what encoding does: GPT-2 names a beginning-of-sequence (BOS) token and never writes it, other tokenizers
write one by a template that no attribute shows. So a short text is encoded with and without special tokens.
"""

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from saelib.run.files import sha256_of_file

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# One after another, as a small vocabulary may know no letter; the longest first, as it is the hardest to mistake.
PROBES = ("The first words of a text.", "A B", "a", "0", ".")

# What stands between documents in pretraining, where the end-of-text token of the instruct model ends a turn instead.
SEPARATORS = ("<|endoftext|>", "<|end_of_text|>")


class Frame(NamedTuple):
    """Token ids around every text that is encoded with special tokens."""

    first: list[int]
    """In front: BOS for Llama, [CLS] for BERT, nothing for GPT-2 and T5."""
    last: list[int]
    """Behind: EOS for T5, [SEP] for BERT, mostly nothing."""


def frame(tokenizer: "PreTrainedTokenizerBase") -> Frame:
    """What a tokenizer puts around a text, found by encoding one with and without special tokens.

    Raises:
        ValueError: the text's own tokens are not found between them.
    """
    for probe in PROBES:
        plain = _encode(tokenizer, probe, add_special_tokens=False)
        whole = _encode(tokenizer, probe, add_special_tokens=True)
        for start in range(len(whole) - len(plain) + 1):
            if plain and whole[start : start + len(plain)] == plain:
                return Frame(whole[:start], whole[start + len(plain) :])
    raise ValueError(
        f"tokenizer {tokenizer_name(tokenizer)} does not say what it puts in front of a text: {PROBES[-1]!r} is "
        f"encoded as {plain} without and as {whole} with special tokens; name the first token, or none, by the setting"
    )


def first_tokens(tokenizer: "PreTrainedTokenizerBase", setting: str | bool | None = None) -> list[int]:
    """Token ids that stand in front of a text.

    Args:
        setting: None: as the tokenizer does when it encodes a text (`add_special_tokens=True`); True: the same, or the
            BOS token that it names and does not write; False: nothing; a token's text: that token.

    Raises:
        ValueError: True, and the tokenizer has no BOS token; or a text that is none of its tokens.
    """
    if setting is False:
        return []
    if isinstance(setting, str):
        return [_token(tokenizer, setting)]
    found = frame(tokenizer).first
    if found or setting is None:
        return found
    named = special_token(tokenizer, "bos")
    if named is None:
        raise ValueError(
            f"tokenizer {tokenizer_name(tokenizer)} has no beginning-of-sequence token to put first; "
            "let the setting be None or False"
        )
    return [named]


def end_of_text(tokenizer: "PreTrainedTokenizerBase") -> int:
    """The token id that ends a text: EOS, or in tokenizers of BERT's kind [SEP].

    Raises:
        ValueError: the tokenizer names neither, or its vocabulary lacks the one it names.
    """
    for kind in ("eos", "sep"):
        if (token := special_token(tokenizer, kind)) is not None:
            return token
    raise ValueError(
        f"tokenizer {tokenizer_name(tokenizer)} has no end-of-text token, which must stand between two documents; "
        'name one of its tokens, tokenizer.eos_token = "...", and save it again with tokenizer.save_pretrained(folder)'
    )


def document_separator(tokenizer: "PreTrainedTokenizerBase") -> int:
    """The token id that stands between two documents: mostly the one that ends a text.

    Instruct models name as EOS what their chat template writes behind a turn (`<|im_end|>`); between documents they
    have read one of `SEPARATORS`, if their vocabulary has it as a special token.

    Raises:
        ValueError: as `end_of_text`.
    """
    end, text = end_of_text(tokenizer), tokenizer.eos_token
    template = str(getattr(tokenizer, "chat_template", None) or "")
    if text is None or text in SEPARATORS or not (text in template or "eos_token" in template):
        return end
    special = {token.content: place for place, token in tokenizer.added_tokens_decoder.items() if token.special}
    return next((int(special[text]) for text in SEPARATORS if text in special), end)


def special_token(tokenizer: "PreTrainedTokenizerBase", kind: str) -> int | None:
    """Id of the "bos", "eos", "sep", ... token; None where none is named, or the vocabulary lacks it."""
    return _known(tokenizer, getattr(tokenizer, f"{kind}_token_id", None), getattr(tokenizer, f"{kind}_token", None))


def tokenizer_name(tokenizer: "PreTrainedTokenizerBase") -> str:
    """The name or folder that it was loaded from, for messages."""
    return repr(getattr(tokenizer, "name_or_path", "") or type(tokenizer).__name__)


def _token(tokenizer: "PreTrainedTokenizerBase", text: str) -> int:
    token = _known(tokenizer, tokenizer.convert_tokens_to_ids(text), text)
    if token is None:
        special = ", ".join(map(repr, tokenizer.all_special_tokens)) or "none"
        raise ValueError(
            f"first token {text!r} is no token of tokenizer {tokenizer_name(tokenizer)}; its special tokens: {special}"
        )
    return token


def _known(tokenizer: "PreTrainedTokenizerBase", token: int | None, text: str | None) -> int | None:
    """The id; None where the vocabulary lacks the text, which then has the id of the unknown token."""
    is_unknown = token == getattr(tokenizer, "unk_token_id", None) and text != getattr(tokenizer, "unk_token", None)
    return None if token is None or is_unknown else int(token)


def _encode(tokenizer: "PreTrainedTokenizerBase", text: str, add_special_tokens: bool) -> list[int]:
    return list(tokenizer.encode(text, add_special_tokens=add_special_tokens))


def tokenizer_hash(tokenizer: "PreTrainedTokenizerBase") -> str:
    """SHA-256 of everything that decides which token ids a text becomes, the one between documents included.

    Settings that matter for decoding only are in it too: two hashes of the same encoding cost a second run of the
    tokenizer, one hash of two encodings would be wrong rows.
    """
    plain = str | int | float | bool | None
    settings = {name: value for name, value in vars(tokenizer).items() if isinstance(value, plain)}
    settings.pop("name_or_path", None)
    whole = [_vocabulary(tokenizer), document_separator(tokenizer), *sorted(map(str, settings.items()))]
    return hashlib.sha256(json.dumps(whole).encode()).hexdigest()


def _vocabulary(tokenizer: "PreTrainedTokenizerBase") -> str:
    """A tokenizer's model and its added tokens, as text; one written in Python is told by the files that it saves."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        return str(backend.to_str())
    kind = type(tokenizer)
    added = {place: repr(token) for place, token in tokenizer.added_tokens_decoder.items()}
    with TemporaryDirectory() as folder:
        with suppress(NotImplementedError):  # one that has no files
            tokenizer.save_vocabulary(folder)
        files = {path.name: sha256_of_file(path) for path in sorted(Path(folder).iterdir())}
    probes = [_encode(tokenizer, probe, add_special_tokens=True) for probe in PROBES]
    return json.dumps([kind.__module__, kind.__qualname__, tokenizer.get_vocab(), added, files, probes], sort_keys=True)
