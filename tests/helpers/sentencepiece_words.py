"""Tokenizers of sentencepiece's kind that know the words of the tasks, for tests: a blank is "▁" within a token.

Both put a blank before a text's first word, and drop one there when they decode.
"""

from collections.abc import Sequence
from string import ascii_letters, digits, punctuation

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from saelib.interpret.circuits.tasks import words

FIRST, PREPENDED = "Metaspace, first", "Prepend"
SCHEMES = (FIRST, PREPENDED)
BLANK = "▁"


def task_words() -> list[str]:
    """Every word that the templates are filled with, once."""
    pairs = (*words.NOUNS, *words.THINGS, *words.VERBS)
    lists = (words.NAMES, words.PLACES, words.GIFTS, words.EVENTS, words.SEEN, words.USED, words.ARGUMENTS, *pairs)
    return list(dict.fromkeys(word for one in lists for word in one))


def sentencepiece_words(scheme: str, known: Sequence[str], single: Sequence[str] = ()) -> PreTrainedTokenizerFast:
    """A token for each known word with its blank, each other piece, and each sign.

    Args:
        scheme: `FIRST`: a text that begins with a blank gets no other one, as in newer files of Llama's kind;
            `PREPENDED`: it does, as in those of Llama 2.
        single: pieces that are one token too.
    """
    pieces = [("<unk>", 0.0), ("</s>", 0.0), (BLANK, -2.0), *((f"{BLANK}{word}", -1.0) for word in known)]
    pieces += [(piece, -1.0) for piece in single] + [
        (sign, -10.0) for sign in ascii_letters + digits + punctuation + "\n"
    ]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0))
    if scheme == FIRST:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=BLANK, prepend_scheme="first")
        tokenizer.decoder = decoders.Metaspace(replacement=BLANK, prepend_scheme="first")
    else:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(BLANK), normalizers.Replace(" ", BLANK)])
        parts = [decoders.Replace(BLANK, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        tokenizer.decoder = decoders.Sequence(parts)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="</s>")
