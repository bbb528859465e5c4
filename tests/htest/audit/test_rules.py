"""Each rule against texts worked out by hand, and against the descriptions of both labels."""

import pytest

from saelib.htest.audit.rules import RULES, rhyming_parts
from saelib.htest.tasks import TASKS

BY_HAND = [
    ("uppercase", "A", ["the doG runs.", "Ice cream", "éÉ"]),
    ("uppercase", "B", ["the dog runs.", "12 dogs!", "ß"]),
    ("start_vowel", "A", ["Island sings.", "owl", '"Eagle"', "Élan", "un-done", "3 apples"]),
    ("start_vowel", "B", ["Dog sings.", "yellow", "'tis", "Çava"]),
    ("end_punctuation", "A", ["Owl in space.", "Owl in space?", "Owl!", "Owl...", "Owl…", "Owl? in space! "]),
    ("end_punctuation", "B", ["Owl ... in space", "Owl. in space", "Owl ! in", "Owl, in space,"]),
    ("palindrome", "A", ["deed", "Mam", "o", "A man, a plan, a canal: Panama", "1221"]),
    ("palindrome", "B", ["deeds", "ab", "palindrome", "12"]),
    ("end_ly", "A", ["Dog sings quickly.", "Dog sings QUICKLY!", "early...", "fly"]),
    ("end_ly", "B", ["Dog quickly sings.", "Dog sings fast.", "lying", "Dog sings quickly so."]),
    ("spelled_math", "A", ["The sum plus 4.", "The cube of 11 is less than x.", "The twenty-one times well-known 3."]),
    ("spelled_math", "B", [f"The sum {sign} 4." for sign in "+-*/=<>^%≈≠≤≥×÷−±√"] + ["7-4", "-3", "a-4"]),
    ("spelled_number", "A", ["Dog sings seven birds.", "Dog sings."]),
    ("spelled_number", "B", ["Dog sings 7 birds.", "10", "Dog2"]),
    ("rhyme", "A", ["night kite", "city committee", "point pointe", "NIGHT kite.", "live give", "live five"]),
    ("rhyme", "B", ["night know", "music passion", "quickly make", "come home", "ladder order"]),
    ("repeated_word", "A", ["fast Car Car wall.", "night. night.", "car Car", "the, the"]),
    ("repeated_word", "B", ["Car fast Car wall.", "car cart", "a b a b", "... ... a"]),
    ("hyphenated_word", "A", ["A well-known dog.", "up-to-date", "20-year", "vitamin B-12", "non\u2011stop"]),
    ("hyphenated_word", "B", ["A well known dog.", "dog - cat", "pre- and", "1999-2001", "dog\u2014cat", "-ly"]),
]
EACH = [(task, label, text) for task, label, texts in BY_HAND for text in texts]
CANNOT_TELL = [
    ("start_vowel", "12 + 7."),
    ("palindrome", "?!"),
    ("end_ly", "..."),
    ("rhyme", "night"),
    ("rhyme", "one two three"),
    ("rhyme", "night qqxzqj"),
]


def test_every_task_has_a_rule_and_hand_worked_texts_of_both_labels() -> None:
    assert list(RULES) == list(TASKS)
    assert {(task, label) for task, label, _ in BY_HAND} == {(task, label) for task in TASKS for label in "AB"}


@pytest.mark.parametrize(("task", "label", "text"), EACH)
def test_by_hand(task: str, label: str, text: str) -> None:
    assert RULES[task](text) == label


@pytest.mark.parametrize(("task", "text"), CANNOT_TELL)
def test_says_so_where_it_cannot_tell(task: str, text: str) -> None:
    assert RULES[task](text) is None


def test_a_rhyme_starts_at_the_last_stressed_vowel_of_any_pronunciation() -> None:
    assert rhyming_parts("committee") == {("IH", "T", "IY")}  # K AH0 M IH1 T IY0
    assert rhyming_parts("telescope") == {("OW", "P")}  # T EH1 L AH0 S K OW2 P: secondary stress counts
    assert rhyming_parts("live") == {("AY", "V"), ("IH", "V")}
    assert rhyming_parts("a.d.") == {("IY",)}  # an entry with marks of its own
    assert rhyming_parts("qqxzqj") == set()
