"""Fresh items for the ten tasks of H-Test, from own words and templates: any seed, any number.

In: a task, a number, a seed, a vocabulary, and texts to leave out. Out: items, A and B in turn. The tasks are those of
the paper's appendix. Unlike in the released items, A and B are of the same words, and each A has a B of one shape
(`pairing`) beside it: with its mark taken away (`marks`), a text does not tell its label.

What is left: a mark that takes room (-ly, an operator in words, a word said twice, a hyphen) either makes a text longer
or leaves less room for the others. Half of the pairs have one shape with the mark, half without it, so that a cut on
a length or a count is right for 56% at most. Words that rhyme have more vowel letters in common than others.
"""

import random
from collections.abc import Callable, Iterable
from itertools import islice

from saelib.htest.items.item import Item
from saelib.htest.items.letter_geometry import geometry_items
from saelib.htest.items.marks import VIEWS
from saelib.htest.items.pairing import matched_pairs
from saelib.htest.items.rhymes import family_of, pairs_by_endings
from saelib.htest.items.sentences import (
    DETERMINERS,
    as_sentence,
    capitalise,
    draw_number,
    draw_parts,
    draw_place,
    pick,
    punctuate,
    shuffled,
    some,
)
from saelib.htest.items.words import FRESH_SET, Vocabulary, all_words
from saelib.htest.tasks import LETTERS, TASKS

VOWELS = "aeiou"
MARKS = (".", "?", "!", "...")
DEV_ITEMS = 50  # of a task, as many as the released ones have
LONGEST_HYPHENATED = 72  # characters: 50 shots have to fit into 2,048 tokens of a small vocabulary

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
        VIEWS[task],
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


def fresh_items(seed: int, dev: int = DEV_ITEMS, test: int = 200) -> list[Item]:
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
    """A sentence whose first word begins with a, e, i, o or u in A; B puts another letter in its place."""
    vowel, consonant = pick(generator, words.openings).split()
    return as_sentence([vowel if label == "A" else consonant, *draw_parts(generator, words, determined=False)])


def end_punctuation(generator: random.Random, words: Vocabulary, label: str) -> str:
    """A sentence with one mark, in A after the last word, in B after another one."""
    tokens = " ".join(draw_parts(generator, words)).split()
    place = len(tokens) - 1 if label == "A" else pick(generator, range(len(tokens) - 1))
    tokens[place] += pick(generator, MARKS)
    return capitalise(" ".join(tokens))


def palindrome(generator: random.Random, words: Vocabulary, label: str) -> str:
    """A made-up word of 11 to 14 letters that reads the same backwards; in B two letters of its first half are swapped.

    Real palindromes are a few dozen, which a model may know by heart, so all words are made up of consonants and
    vowels in turn. A vowel makes place for a vowel, and the letters around the middle stay as they are: their mirror
    image would be known by three letters in a row.
    """
    while True:
        kinds = shuffled(generator, (words.consonants, tuple(VOWELS)))
        half = [pick(generator, kinds[place % 2]) for place in range(pick(generator, (6, 7)))]
        outer = range(len(half) - 2)
        swaps = [(one, other) for one in outer for other in outer[one + 2 :: 2] if half[one] != half[other]]
        if swaps:
            break
    is_double = half[-1] not in VOWELS and pick(generator, (True, False))  # a double consonant can be said
    mirrored = half[::-1][0 if is_double else 1 :]
    if label == "B":
        one, other = pick(generator, swaps)
        half[one], half[other] = half[other], half[one]
    return "".join(half + mirrored)


def end_ly(generator: random.Random, words: Vocabulary, label: str) -> str:
    """A sentence whose last word is an adverb that may have -ly or not ("slow", "slowly"); in A it has."""
    adverb = pick(generator, words.flat_adverbs)
    return as_sentence(draw_parts(generator, words, last=f"{adverb}ly" if label == "A" else adverb))


def spelled_math(generator: random.Random, words: Vocabulary, label: str) -> str:
    """A quantity, an operator and a number in digits; in A the operator is in words, in B a sign."""
    optional = some(generator, ["determiner", "adjective", "owner", "kind", "another", "its owner", "place", "time"])
    spelled, sign = pick(generator, words.operators).rsplit(" ", 1)
    kind = f"{pick(generator, words.adjectives)} " if "kind" in optional else ""
    parts = [
        pick(generator, DETERMINERS) if "determiner" in optional else "",
        pick(generator, words.adjectives) if "adjective" in optional else "",
        pick(generator, words.quantities),
        f"of the {kind}{pick(generator, words.subjects)}" if "owner" in optional else "",
        f"and the {pick(generator, words.quantities)}" if "another" in optional else "",
        f"of the {pick(generator, words.objects)}" if "its owner" in optional else "",
        draw_place(generator, words) if "place" in optional else "",
        pick(generator, words.times) if "time" in optional else "",
        spelled if label == "A" else sign,
        draw_number(generator, words, pick(generator, (1, 2, 3))),
        pick(generator, words.other_adverbs),
    ]
    return punctuate(generator, [part for part in parts if part])


def spelled_number(generator: random.Random, words: Vocabulary, label: str) -> str:
    """A sentence with a number of objects; in A the number is in words, in B of as many digits as a word has letters.

    B's numbers are larger: "six" would otherwise take three times the room of 6.
    """
    word = pick(generator, words.number_words)
    number = word if label == "A" else draw_number(generator, words, len(word))
    return punctuate(generator, draw_parts(generator, words, complement=f"{number} {pick(generator, words.objects)}"))


def rhyme(generator: random.Random, words: Vocabulary, label: str) -> str:
    """Two words whose last two letters differ; in A they rhyme in CMUdict, in B they do not in any pronunciation.

    The words of B are those of two pairs of A with the same endings, crossed (`rhymes.pairs_by_endings`), so neither
    the words nor their last two letters tell the labels apart.
    """
    families = family_of(words.rhyme_words)
    pairs = pick(generator, [pairs for pairs in pairs_by_endings(words.rhyme_words) for _ in pairs])
    one = pick(generator, pairs)
    other = pick(generator, [pair for pair in pairs if families[pair[0]] != families[one[0]]])
    crossed = (one[0], other[1]), (other[0], one[1])
    return " ".join(shuffled(generator, pick(generator, (one, other) if label == "A" else crossed)))


def repeated_word(generator: random.Random, words: Vocabulary, label: str) -> str:
    """The words of a sentence in a random order, each once; in A one of them stands twice in a row."""
    tokens = shuffled(generator, list(dict.fromkeys(" ".join(draw_parts(generator, words)).split())))
    if label == "A":
        place = pick(generator, range(len(tokens)))
        tokens.insert(place, tokens[place])
    return " ".join(tokens) + "."


def hyphenated_word(generator: random.Random, words: Vocabulary, label: str) -> str:
    """A sentence with three words that may be two ("book-worm"): in A one of them has its hyphen, in B none has.

    The others, and in B all three, are written apart or as one. Some stand apart and some as one in most texts of both
    labels, so a text whose hyphens became blanks, or nothing, tells little.
    """
    tables = (words.joined_adjectives, words.joined_nouns, words.joined_nouns)
    text = ""
    while not 0 < len(text) <= LONGEST_HYPHENATED:
        pairs = [pick(generator, table).split("-") for table in tables]
        share = generator.random()  # every number of words as one is equally likely
        joints = ["" if generator.random() < share else " " for _ in pairs]
        joints[pick(generator, range(len(pairs)))] = "-" if label == "A" else pick(generator, ("", " "))
        adjective, subject, thing = (joint.join(pair) for joint, pair in zip(joints, pairs, strict=True))
        place = f" {draw_place(generator, words)}" if pick(generator, (True, False)) else ""
        parts = draw_parts(generator, words, adjective=adjective, subject=subject, complement=f"the {thing}{place}")
        text = punctuate(generator, parts)
    return text


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
