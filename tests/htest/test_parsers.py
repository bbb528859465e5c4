"""What replies say, worked by hand: by the released rule and by the strict one."""

import pytest

from saelib.htest.parsers import PARSERS, parse_option, parse_paper, parse_strict
from saelib.htest.tasks import LETTERS

CASES: list[tuple[str, str | None, str | None]] = [  # reply, by the paper's rule, by the strict one
    ("A", "A", "A"),
    ("B", "B", "B"),
    (" a)", "A", "A"),
    ("B.", "B", "B"),
    ("\n b \n", "B", "B"),
    ("(A)", "A", "A"),
    ("**B**", "B", "B"),
    ("`A`", "A", "A"),
    ('"B"', "B", "B"),
    ("Label: A", "A", "A"),
    ("Label: B", "B", "B"),
    ("Answer: A", "A", "A"),
    ("Answer: B", None, "B"),  # holds an "a", so the paper's rule gives it up
    ("**Answer:** B", None, "B"),
    ("The answer is A", "A", "A"),
    ("The answer is B.", "B", "B"),
    ("The label is A because of the capital.", "A", "A"),
    ("The label is B since there is none.", "B", "B"),
    ("The label is A, while B would be lower case.", "A", "A"),
    ("I would say B.", None, "B"),
    ("A: one letter is a capital", "A", "A"),
    ("B - no capital", None, "B"),
    ("B, not A", None, "B"),
    ("A rather than B", None, "A"),
    ("Thinking about the words.\n\nB", None, "B"),
    ('A\nInput: "a shop" Label: B', "B", "A"),  # a base model goes on with a question of its own
    ('B\nInput: "the', "B", "B"),
    ('Input: "the cup" Label: B', "B", "B"),
    ("I cannot tell", "A", None),  # a refusal counts as A by the paper's rule
    ("As an AI, I can't answer.", "A", None),
    ("Unable to decide", None, None),
    ("This is a sentence", "A", None),
    ("The answer is a word", "A", None),
    ("A sentence", "A", None),
    ("a, b, c", None, None),
    ("A or B", None, None),
    ("A and B", None, None),
    ("The answer is A or B", None, None),
    ("Label: A or Label: B?", "A", None),
    ("A \nB", None, None),  # the offered options, echoed
    ("The answer is not A", "A", None),
    ("The label is A. No, the label is B.", "A", None),
    ("Label A: a capital. Label B: none. So the answer is B.", "B", "B"),
    ("A: a capital\nB: no capital\n\n**Label: A**", "A", "A"),
    ("The examples with label A are doubled, so the label is B", "B", "B"),
    ("Option C", None, None),
    ("None", None, None),
    ("no", None, None),
    ("", None, None),
    ("AB", None, None),
    ("Apple", "A", None),
    ("Bob", "B", None),
]


@pytest.mark.parametrize(("reply", "paper", "strict"), CASES)
def test_by_hand(reply: str, paper: str | None, strict: str | None) -> None:
    assert (PARSERS["paper"](reply, LETTERS), PARSERS["strict"](reply, LETTERS)) == (paper, strict)
    assert (parse_paper(reply), parse_strict(reply)) == (paper, strict)


@pytest.mark.parametrize("form", ["{}", "{}.", "({})", "Label: {}", "Answer: {}", "The answer is {} because", "**{}**"])
def test_the_strict_rule_treats_both_letters_and_both_cases_alike(form: str) -> None:
    for letter in "ABab":
        assert parse_strict(form.format(letter)) == letter.upper()


def test_letter_geometry_is_read_by_exact_match() -> None:
    options = ("p", "q", "d", "b")
    for parse in PARSERS.values():
        assert parse(" q\n", options) == "q"
        assert parse("Q", options) is None
        assert parse("The answer is q", options) is None
        assert parse("", options) is None
    assert parse_option("A", ("A", "V")) == "A"
