"""What somebody sees of an item who does not know what its task is about: the text, with and without the task's mark.

In: a text. Out: the text without what tells A from B. Each view of an A and of a B should look alike: fresh items are
paired by them, and a classifier that reads them should be right by chance only. `palindrome` and `rhyme` have no mark
that could be taken away.
"""

import functools
import re
from collections.abc import Callable

from saelib.htest.items.words import all_words

View = Callable[[str], str]


def as_it_is(text: str) -> str:
    """The text itself."""
    return text


def without_first_letter(text: str) -> str:
    """From "Oat farmer." to "at farmer."."""
    return text[1:]


def without_end_marks(text: str) -> str:
    """From "Owls! sing softly" to "Owls sing softly"."""
    return _plain_blanks(re.sub(r"[.?!]", "", text))


def without_ly(text: str) -> str:
    """From "Owls sing softly." to "Owls sing soft."."""
    return re.sub(r"ly(\W*)$", r"\1", text)


def without_operator(text: str) -> str:
    """From "The sum plus 7" and "The sum + 7" to "The sum 7"."""
    return _plain_blanks(_operators().sub(" ", text))


def without_number(text: str) -> str:
    """From "Seven owls" and "7 owls" to "owls"."""
    return _plain_blanks(_numbers().sub(" ", text))


def with_shared_letters(text: str) -> str:
    """From "night kite" to "night kite!!", with a sign for each letter that both words have."""
    first, second = map(set, text.split())
    return text + "!" * len(first & second)


def without_repetition(text: str) -> str:
    """From "owl owl sings." to "owl sings."."""
    return re.sub(r"\b(\w+) \1\b", r"\1", text)


def without_hyphens(text: str) -> str:
    """From "a book-worm" to "a bookworm"."""
    return text.replace("-", "")


def with_blanks_for_hyphens(text: str) -> str:
    """From "a book-worm" to "a book worm"."""
    return text.replace("-", " ")


VIEWS: dict[str, tuple[View, ...]] = {
    "uppercase": (str.lower,),
    "start_vowel": (without_first_letter,),
    "end_punctuation": (without_end_marks,),
    "palindrome": (as_it_is,),
    "end_ly": (as_it_is, without_ly),
    "spelled_math": (as_it_is, without_operator, as_it_is, without_operator, without_operator),
    "spelled_number": (without_number,),
    "rhyme": (with_shared_letters,),
    "repeated_word": (as_it_is, without_repetition, as_it_is),
    "hyphenated_word": (as_it_is, with_blanks_for_hyphens, without_hyphens, with_blanks_for_hyphens),
}


def _plain_blanks(text: str) -> str:
    return " ".join(text.split())


@functools.cache
def _operators() -> re.Pattern[str]:
    spelled, signs = zip(*(operator.rsplit(" ", 1) for operator in all_words().operators), strict=True)
    words = "|".join(map(re.escape, sorted(spelled, key=len, reverse=True)))
    return re.compile(rf"\b(?:{words})\b|[{re.escape(''.join(signs))}]")


@functools.cache
def _numbers() -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(all_words().number_words)}|\d+)\b", flags=re.IGNORECASE)
