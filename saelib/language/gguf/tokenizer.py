"""The tokenizer of a GGUF file: which token ids does a text become, and how is a chat written?

In: a `GgufFile`. Out: `tokenizer.json`, `tokenizer_config.json` and `chat_template.jinja` in a folder. A file names the
rule by which a text is cut before pairs are merged (`tokenizer.ggml.pre`); transformers' own conversion leaves out the
cut at every digit of SmolLM's. Kinds and rules are those of llama.cpp (src/llama-vocab.cpp); a rule that is not known
here is refused, as it would be another text to the model.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Digits, PreTokenizer, Split

from saelib.language.gguf.reading import DOWNLOAD, ORIGINAL, GgufFile
from saelib.run.files import write_atomically, write_json
from saelib.run.reading import DamagedFileError

CONTROL, USER_DEFINED = 3, 4  # token types of the format; 1 is an ordinary one, 2 unknown, 5 unused, 6 a byte
SPACE = "\N{LOWER ONE EIGHTH BLOCK}"  # stands for a blank in sentencepiece's tokens
LLAMA_3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
           r"|\s*[\r\n]+|\s+(?!\S)|\s+")  # fmt: skip
_NAMED = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}


def _gpt_2() -> PreTokenizer:
    return ByteLevel(add_prefix_space=False)


def _digits() -> PreTokenizer:
    return pre_tokenizers.Sequence([Digits(individual_digits=True), ByteLevel(add_prefix_space=False)])


def _llama_3() -> PreTokenizer:
    byte_level = ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([Split(Regex(LLAMA_3), "isolated"), byte_level])


CUTS: dict[str, Callable[[], PreTokenizer]] = {
    "gpt-2": _gpt_2,
    "smollm": _digits,
    "refact": _digits,
    "starcoder": _digits,
    "llama-bpe": _llama_3,
    "llama3": _llama_3,
    "llama-v3": _llama_3,
}


def write_tokenizer(file: GgufFile, folder: Path) -> int:
    """Write the tokenizer's files; returns how many tokens it knows.

    Raises:
        DamagedFileError: tokens, merges or ids are missing or do not fit each other.
        ValueError: a kind or a rule of cutting that is not known here.
    """
    kinds = {"gpt2": _byte_level, "llama": _sentencepiece}
    if (kind := file.get("tokenizer.ggml.model", str)) not in kinds:
        raise ValueError(f"{file.path} has a tokenizer of kind {kind!r}; known: {', '.join(kinds)}; {ORIGINAL}")
    tokens = _texts(file, "tokenizer.ggml.tokens")
    if twice := len(tokens) - len(set(tokens)):
        raise DamagedFileError(f"{file.path}: {twice} tokens stand there twice; {DOWNLOAD}")
    named = {name: _token(file, tokens, part) for name, part in _NAMED.items()}
    tokenizer = kinds[kind](file, tokens)
    _keep_whole(file, tokenizer, tokens)
    _put_around(file, tokenizer, tokens, named)
    write_atomically(folder / "tokenizer.json", lambda path: tokenizer.save(str(path)))
    _write_settings(file, named, folder)
    return len(tokens)


def _write_settings(file: GgufFile, named: Mapping[str, str | None], folder: Path) -> None:
    settings: dict[str, Any] = {name: text for name, text in named.items() if text is not None}
    settings |= {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False,
                 "model_max_length": file.get("llama.context_length", int)}  # fmt: skip
    write_json(folder / "tokenizer_config.json", settings)
    if template := file.get("tokenizer.chat_template", str, ""):
        path = folder / "chat_template.jinja"
        write_atomically(path, lambda temporary: temporary.write_bytes(template.encode()))


def _texts(file: GgufFile, key: str) -> list[str]:
    found = file.get(key, list)
    if not found or not all(isinstance(text, str) for text in found):
        raise DamagedFileError(f"{file.path}: {key} is no list of texts; {DOWNLOAD}")
    return found


def _byte_level(file: GgufFile, tokens: list[str]) -> Tokenizer:
    """Byte-level BPE: GPT-2's kind, with a rule for where a text is cut first."""
    if (rule := file.get("tokenizer.ggml.pre", str, "")) not in CUTS:
        raise ValueError(
            f"{file.path} cuts text by rule tokenizer.ggml.pre={rule!r}; known: {', '.join(CUTS)}; {ORIGINAL}"
        )
    vocabulary = {text: token for token, text in enumerate(tokens)}
    lines = _texts(file, "tokenizer.ggml.merges")
    merges = [(first, second) for first, _, second in (line.partition(" ") for line in lines)]
    if unknown := [pair for pair in merges if not {*pair, "".join(pair)} <= vocabulary.keys()]:
        raise DamagedFileError(f"{file.path}: merge {' '.join(unknown[0])!r} is not of its tokens; {DOWNLOAD}")
    is_llama_3 = CUTS[rule] is _llama_3  # there, a word that is a token is one, whatever its merges give
    tokenizer = Tokenizer(BPE(vocabulary, merges, ignore_merges=is_llama_3))
    tokenizer.pre_tokenizer = CUTS[rule]()
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _sentencepiece(file: GgufFile, tokens: list[str]) -> Tokenizer:
    """Sentencepiece's BPE, Llama 1 and 2's kind: the pair whose token has the best score is merged first."""
    scores = file.get("tokenizer.ggml.scores", list)
    if len(scores) != len(tokens):
        raise DamagedFileError(f"{file.path}: {len(scores)} scores for {len(tokens)} tokens; {DOWNLOAD}")
    vocabulary = {text: token for token, text in enumerate(tokens)}
    best_first = sorted(tokens, key=lambda text: -scores[vocabulary[text]])
    pairs = [(text[:cut], text[cut:]) for text in best_first for cut in range(1, len(text))]
    merges = [pair for pair in pairs if pair[0] in vocabulary and pair[1] in vocabulary]
    unknown = _token(file, tokens, "unknown")
    tokenizer = Tokenizer(BPE(vocabulary, merges, unk_token=unknown, fuse_unk=True, byte_fallback=True))
    has_space = file.get("tokenizer.ggml.add_space_prefix", bool, True)
    front = [normalizers.Prepend(SPACE)] if has_space else []
    tokenizer.normalizer = normalizers.Sequence([*front, normalizers.Replace(" ", SPACE)])
    back = [decoders.Strip(" ", left=1)] if has_space else []
    whole = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), *back]
    tokenizer.decoder = decoders.Sequence(whole)
    return tokenizer


def _token(file: GgufFile, tokens: list[str], kind: str) -> str | None:
    """The text of a token that has a part of its own; None where the file names none."""
    key = f"tokenizer.ggml.{kind}_token_id"
    if key not in file.settings:
        return None
    if not 0 <= (token := file.get(key, int)) < len(tokens):
        raise DamagedFileError(f"{file.path}: {key} is {token}, of {len(tokens)} tokens; {DOWNLOAD}")
    return tokens[token]


def _keep_whole(file: GgufFile, tokenizer: Tokenizer, tokens: list[str]) -> None:
    """Have the tokens that are no text, and those that somebody added, found before a text is cut."""
    types = file.get("tokenizer.ggml.token_type", list, [1] * len(tokens))
    if len(types) != len(tokens):
        raise DamagedFileError(f"{file.path}: {len(types)} token types for {len(tokens)} tokens; {DOWNLOAD}")
    for text, kind in zip(tokens, types, strict=True):
        if kind in (CONTROL, USER_DEFINED):
            tokenizer.add_tokens([AddedToken(text, normalized=False, special=kind == CONTROL)])


def _put_around(file: GgufFile, tokenizer: Tokenizer, tokens: list[str], named: Mapping[str, str | None]) -> None:
    """Have the tokens that begin and end a text put around it, where the file says so, or llama.cpp by itself does."""
    is_llama = file.settings["tokenizer.ggml.model"] == "llama"
    begins = is_llama or CUTS[file.settings["tokenizer.ggml.pre"]] is _llama_3
    first = named["bos_token"] if file.get("tokenizer.ggml.add_bos_token", bool, begins) else None
    last = named["eos_token"] if file.get("tokenizer.ggml.add_eos_token", bool, False) else None
    around = [text for text in (first, last) if text is not None]
    if around:
        single = [text for text in (first, "$A", last) if text is not None]
        special = [(text, tokens.index(text)) for text in dict.fromkeys(around)]
        tokenizer.post_processor = processors.TemplateProcessing(single=single, special_tokens=special)
