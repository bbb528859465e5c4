"""The ten tasks of H-Test and its letter-geometry challenge: their names, and what A and B stand for.

The paper's appendix describes them; the names are those of the authors' released files.
"""

from typing import NamedTuple


class Task(NamedTuple):
    """What the two labels of a task stand for."""

    a: str
    b: str


LETTERS = ("A", "B")
TASKS: dict[str, Task] = {
    "uppercase": Task("one letter inside is upper case", "all letters are lower case"),
    "start_vowel": Task("begins with a vowel letter", "begins with a consonant letter"),
    "end_punctuation": Task("ends in . ? ! or ...", "the mark stands inside"),
    "palindrome": Task("reads the same backwards", "does not"),
    "end_ly": Task("last word is an adverb in -ly", "last word is another adverb"),
    "spelled_math": Task("operator in words", "operator as a symbol"),
    "spelled_number": Task("number in words", "number in digits"),
    "rhyme": Task("the two words rhyme", "they do not"),
    "repeated_word": Task("one word stands twice in a row", "no word does"),
    "hyphenated_word": Task("holds a hyphenated word", "holds none"),
}
LETTER_GEOMETRY = "letter_geometry"  # ninety questions with four symbols to choose from
