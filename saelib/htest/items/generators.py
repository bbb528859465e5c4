"""Fresh items for the ten tasks of H-Test, from own words and templates: any seed, any number.

In: a task, a number, a seed, a vocabulary, and texts to leave out. Out: items, A and B in turn. The tasks are those of
the paper's appendix. Unlike in the released items, each A has a B of the same number of characters, words and
non-letters beside it, so no count tells the labels apart, except for the capitals of `uppercase`.

What counting can still find: `hyphenated_word`, `spelled_number` and `spelled_math` are about a sign, so where the
non-letters are the same in all, a text with that sign has fewer other marks; a cut on those is right for 58 to 67% of
the items. A word written out is longer than its digits or its sign, so the other words are somewhat shorter. Words
that rhyme have more letters in common than others.
"""

import random
from collections.abc import Callable, Iterable
from itertools import islice

from saelib.htest.items.item import Item
from saelib.htest.items.letter_geometry import geometry_items
from saelib.htest.items.pairing import matched_pairs
from saelib.htest.items.rhymes import family_of, rhyming_pairs, spelled_differently
from saelib.htest.items.sentences import (
    DETERMINERS,
    as_sentence,
    capitalise,
    draw_parts,
    draw_place,
    pick,
    punctuate,
    shuffled,
    some,
)
from saelib.htest.items.words import FRESH_SET, Vocabulary, all_words, spell
from saelib.htest.tasks import LETTERS, TASKS

VOWELS = "aeiou"
MARKS = (".", "?", "!", "...")

Generator = Callable[[random.Random, Vocabulary, str], str]


def generate_items(
    task: str,
    count: int,
    seed: int,
    split: str = "test",
    vocabulary: Vocabulary | None = None,
    exclude: Iterable[str] = frozenset(),
) -> list[Item]:
    """Items of one task, rows counted from 1, A and B in turn.

    The same arguments give the same items on every platform. Two texts that differ in case only, or rhyming words in
    another order, count as repeats.

    Args:
        vocabulary: None takes all words.
        exclude: texts that no item may have, whatever the case.

    Raises:
        ValueError: an unknown task, a negative count, or more items than there are; the message says how many there
            are.
    """
    if task not in GENERATORS:
        raise ValueError(f"task {task!r} is unknown; choose one of {', '.join(GENERATORS)}")
    if count < 0:
        raise ValueError(f"count={count}: ask for 0 items or more")
    words = vocabulary or all_words()
    generator = random.Random(f"{FRESH_SET}/{seed}/{task}/{split}")
    pairs = matched_pairs(
        lambda label: GENERATORS[task](generator, words, label),
        lambda text: _same_as(task, text),
        frozenset(_same_as(task, text) for text in exclude),
    )
    texts = [text for pair in islice(pairs, (count + 1) // 2) for text in pair][:count]
    if len(texts) < count:
        raise ValueError(
            f"{task}: {count} items were asked for, but only {len(texts)} are available from this vocabulary beside "
            "the excluded ones; ask for fewer, exclude fewer, or take a larger vocabulary"
        )
    return [
        Item(task, split, row, text, LETTERS[(row - 1) % 2], LETTERS, seed, FRESH_SET)
        for row, text in enumerate(texts, start=1)
    ]


def fresh_items(seed: int, dev: int = 50, test: int = 200) -> list[Item]:
    """Dev and test items of all ten tasks without a text in common, and the letter-geometry questions.

    Raises:
        ValueError: more items than a task has.
    """
    items = []
    for task in TASKS:
        shots = generate_items(task, dev, seed, "dev")
        items += shots
        items += generate_items(task, test, seed, "test", exclude=[item.text for item in shots])
    return items + geometry_items(seed)


def _same_as(task: str, text: str) -> str:
    folded = text.casefold()
    return " ".join(sorted(folded.split())) if task == "rhyme" else folded


def uppercase(generator: random.Random, words: Vocabulary, label: str) -> str:
    """A sentence in lower case; in A one letter, drawn from all of them, is upper case."""
    text = as_sentence(draw_parts(generator, words)).lower()
    if label == "B":
        return text
    place = pick(generator, [place for place, sign in enumerate(text) if sign.isalpha()])
    return text[:place] + text[place].upper() + text[place + 1 :]


def start_vowel(generator: random.Random, words: Vocabulary, label: str) -> str:
    """A sentence that begins with an adjective or a noun; in A with one whose first letter is a, e, i, o or u."""
    while True:
        parts = draw_parts(generator, words, determined=False)
        if (parts[0][0] in VOWELS) == (label == "A"):
            return as_sentence(parts)


def end_punctuation(generator: random.Random, words: Vocabulary, label: str) -> str:
    """A sentence with one mark, in A after the last word, in B after another one; half of them after a blank."""
    tokens = " ".join(draw_parts(generator, words)).split()
    after = len(tokens) if label == "A" else 1 + pick(generator, range(len(tokens) - 1))
    before = " ".join(tokens[:after]) + pick(generator, ("", " ")) + pick(generator, MARKS)
    return capitalise(" ".join([before, *tokens[after:]]))


def palindrome(generator: random.Random, words: Vocabulary, label: str) -> str:
    """A made-up word of 5 to 11 letters that reads the same backwards; in B with one letter replaced.

    Real palindromes are a few dozen, which a model may know by heart, so all words are made up of consonants and
    vowels in turn. The letter replaced is never the middle one, and a vowel makes place for a vowel.
    """
    half = [pick(generator, (words.consonants, VOWELS)[place % 2]) for place in range(pick(generator, (3, 4, 5, 6)))]
    shared = 1 if half[-1] in VOWELS else pick(generator, (0, 1))  # a double consonant in the middle can be said
    letters = half + half[::-1][shared:]
    if label == "B":
        place = pick(generator, [place for place in range(len(letters)) if place != len(letters) - 1 - place])
        kind = tuple(VOWELS) if letters[place] in VOWELS else words.consonants
        letters[place] = pick(generator, [letter for letter in kind if letter != letters[place]])
    return "".join(letters)


def end_ly(generator: random.Random, words: Vocabulary, label: str) -> str:
    """A sentence whose last word is an adverb; in A one that ends in -ly."""
    adverbs = words.ly_adverbs if label == "A" else words.other_adverbs
    return as_sentence(draw_parts(generator, words, last=pick(generator, adverbs)))


def spelled_math(generator: random.Random, words: Vocabulary, label: str) -> str:
    """A quantity, an operator and a number in digits; in A the operator is in words, in B a sign."""
    optional = some(generator, ["determiner", "adjective", "owner", "of another kind", "place"])
    spelled, sign = pick(generator, words.operators).rsplit(" ", 1)
    owner = pick(generator, words.subjects)
    kind = f"{pick(generator, words.adjectives)} " if "of another kind" in optional else ""
    parts = [
        pick(generator, DETERMINERS) if "determiner" in optional else "",
        pick(generator, words.adjectives) if "adjective" in optional else "",
        pick(generator, words.quantities),
        f"of the {kind}{owner}" if "owner" in optional else "",
        draw_place(generator, words) if "place" in optional else "",
        spelled if label == "A" else sign,
        str(pick(generator, words.numbers)),
        pick(generator, words.other_adverbs),
    ]
    return punctuate(generator, [part for part in parts if part])


def spelled_number(generator: random.Random, words: Vocabulary, label: str) -> str:
    """A sentence with a number of objects; in A the number is in words, in B in digits."""
    number = pick(generator, words.numbers)
    written = spell(number) if label == "A" else str(number)
    return punctuate(generator, draw_parts(generator, words, complement=f"{written} {pick(generator, words.objects)}"))


def rhyme(generator: random.Random, words: Vocabulary, label: str) -> str:
    """Two words whose last two letters differ; in A they rhyme in CMUdict, in B they do not in any pronunciation.

    The words of B are those of two pairs of A, so both labels have the same words equally often.
    """
    pairs = rhyming_pairs(words.rhyme_words)
    families = family_of(words.rhyme_words)
    while True:
        first, second = shuffled(generator, pick(generator, pairs))
        if label == "B":
            second = shuffled(generator, pick(generator, pairs))[1]
        if spelled_differently(first, second) and (families[first] == families[second]) == (label == "A"):
            return f"{first} {second}"


def repeated_word(generator: random.Random, words: Vocabulary, label: str) -> str:
    """The words of a sentence in a random order, each once; in A one of them stands twice in a row."""
    tokens = shuffled(generator, list(dict.fromkeys(" ".join(draw_parts(generator, words)).split())))
    if label == "A":
        place = pick(generator, range(len(tokens)))
        tokens.insert(place, tokens[place])
    return " ".join(tokens) + "."


def hyphenated_word(generator: random.Random, words: Vocabulary, label: str) -> str:
    """A sentence whose subject or its adjective is hyphenated in A; in B a noun of two parts, or a plain adjective."""
    if generator.random() < 0.5:
        subject = pick(generator, words.hyphenated_nouns if label == "A" else words.compounds)
        return punctuate(generator, draw_parts(generator, words, subject=subject))
    adjective = pick(generator, words.hyphenated_adjectives if label == "A" else words.adjectives)
    return punctuate(generator, draw_parts(generator, words, adjective=adjective))


GENERATORS: dict[str, Generator] = {
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
