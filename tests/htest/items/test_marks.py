"""Without its mark a fresh item tells nothing: a logistic regression on 1,000 of them is near chance on others."""

import random

import pytest

from saelib.htest.items.generators import generate_items
from saelib.htest.items.item import Item
from saelib.htest.items.marks import VIEWS, View, as_it_is, with_shared_letters
from saelib.htest.items.words import split_vocabulary
from saelib.htest.tasks import TASKS
from tests.helpers import classifier
from tests.helpers.classifier import Features, accuracy

READERS = (classifier.character_ngrams, classifier.words, classifier.counts, classifier.places)
# The mark is in the text itself: which words stand beside which, which letters face which. Nothing is taken away.
WHOLE = ("palindrome", "rhyme")
MARKLESS = [(task, view) for task, views in VIEWS.items() for view in dict.fromkeys(views)
            if task in WHOLE or view is not as_it_is]  # fmt: skip


@pytest.mark.parametrize(
    ("task", "text", "bare"),
    [
        ("uppercase", "the oWl sings.", ["the owl sings."]),
        ("start_vowel", "Oat farmer bakes.", ["at farmer bakes."]),
        ("end_punctuation", "This? owl sings here", ["This owl sings here"]),
        ("end_punctuation", "Owl sings here...", ["Owl sings here"]),
        ("end_ly", "Holly lifts slowly.", ["Holly lifts slow."]),
        ("spelled_math", "The sum divided by 7 here?!", ["The sum 7 here?!"]),
        ("spelled_math", "The sum ÷ 7 here?!", ["The sum 7 here?!"]),
        ("spelled_number", "Owls buy 104 plums", ["Owls buy plums"]),
        ("spelled_number", "Owls buy seventeen plums", ["Owls buy plums"]),
        ("rhyme", "night kite", ["night kite!!"]),
        ("repeated_word", "owl sings sings here.", ["owl sings here."]),
        ("repeated_word", "an and and", ["an and"]),
        ("hyphenated_word", "my book-worm", ["my book worm", "my bookworm"]),
    ],
)
def test_marks_are_taken_away(task: str, text: str, bare: list[str]) -> None:
    assert [view(text) for view in dict.fromkeys(VIEWS[task]) if view is not as_it_is] == bare


def test_every_task_has_its_views() -> None:
    assert list(VIEWS) == list(TASKS)


@pytest.mark.parametrize(("task", "view"), MARKLESS, ids=[f"{task}-{view.__name__}" for task, view in MARKLESS])
def test_without_its_mark_a_text_does_not_tell_its_label(task: str, view: View) -> None:
    train = generate_items(task, 1000, 0, "train")
    others = generate_items(task, 1000, 0, "test", exclude=[item.text for item in train])
    first, second = split_vocabulary()
    unseen = generate_items(task, 1000, 0, "train", first), generate_items(task, 1000, 0, "test", second)
    for reader in READERS:
        found = [accuracy(seen_through(view, one), seen_through(view, two), reader)
                 for one, two in ((train, others), unseen)]  # fmt: skip
        assert max(found) < 0.6, reader.__name__


def seen_through(view: View, items: list[Item]) -> list[tuple[str, bool]]:
    see = as_it_is if view is with_shared_letters else view  # made for pairing; a text is whole without it
    return [(see(item.text), item.label == "A") for item in items]


@pytest.mark.parametrize("reader", READERS)
def test_the_classifier_finds_what_is_there(reader: Features) -> None:
    generator = random.Random(0)
    texts = ["".join(generator.choice("abcdefgh") for _ in range(6)) for _ in range(400)]
    labelled = [
        (f"{text[:5]}{'z' if number % 2 else 'y'} {text}", bool(number % 2)) for number, text in enumerate(texts)
    ]
    found = accuracy(labelled[:200], labelled[200:], reader)
    assert found == 1.0 if reader is not classifier.words else found == pytest.approx(0.5, abs=0.1)
    shuffled = [(text, generator.random() < 0.5) for text, _ in labelled]
    assert accuracy(shuffled[:200], shuffled[200:], reader) == pytest.approx(0.5, abs=0.12)
