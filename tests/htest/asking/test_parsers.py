"""What replies say, worked by hand: by the released rule and by the strict one."""

from pathlib import Path

import pytest

from saelib.htest.asking.parsers import PARSERS, parse_option, parse_paper
from saelib.htest.asking.strict_parser import parse_strict
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


A_ANSWERS = [
    "The answer is A.\n\nB is for lower case.",
    "The answer is (A), not (B).",
    "(A) is right, (B) is wrong.",
    "This is classified as A.",
    "(A) one letter is a capital",
    "A (uppercase)",
    "Option A is correct",
    "I would assign label A to this input.",
    "So: A",
    "A (Respond in one",
    "a",
    "_A_",
    "A?",
    "It's A and not B",
    "A because the word is in capitals",
    "Label A",
    "I'd go with A.",
    "A is clearly the right label.",
    "The words rhyme. A.",
    "Answer: A (one letter is a capital)",
    "Thus, the label is A",
    "label = A",
    "I choose A!",
]
B_ANSWERS = [
    "Do they rhyme? They do not.\nB",
    "Is it the same? It is not. B.",
    "I believe (B)",
    "It should be labeled B.",
    "The answer is\n\nB",
    "I would label this input as B.",
    "I would label it B",
    "It's B",
    "It’s B",
    "B is the answer",
    "The correct label is therefore B",
    "\\boxed{B}",
    "$\\boxed{\\text{B}}$",
    "Counting the words, we get $\\boxed{B}$.",
    "The answer would be B",
    "B (Respond in",
    "[b]",
    "not A but B",
    "It is not A but B.",
    "It isn't A; it's B.",
    "B) no capital",
    "Option B.",
    "Label: b",
    "b\n\nThere is no capital.",
    "(B) is correct",
    "Between A and B, I'd choose B.",
    "The label is A. No, so the label is B.",
    "If there is a capital the label is A. There is none, so the answer is B.",
    "**Final answer:**\n\nB",
    "The label is A. Wait, it is lower case.\n**Final answer:**\nB",
    "A is wrong, B is right.",
    'The first letter is "A", which is a vowel. Label: B',
    "The answer is: (B)",
    "<answer>B</answer>",
    "Hence B.",
    "The answer is B, a capital is missing",
    "My answer -> B",
    "Answer - B",
    "There is no capital so the label is B",
    "I do not see a capital, so the answer is B.",
    "The sentence does not have a capital so it is B",
    "I'd say the label is B.",
    "B is my final answer.",
]
NO_ANSWERS = [
    "A sentence in lower case",
    "A dog barks",
    "Neither A nor B",
    "It is not A",
    "It isn't B.",
    "either A or B",
    "The label is A. The label is B.",
    "a sentence",
    "The answer is b because",
    "it's a",
    "is it a",
    "a dog, b",
    "Is the answer A?",
    "I cannot tell whether it is A.",
    "I don't think it's A.",
    "I don't think A is correct.",
    "A is not the answer",
    "A is incorrect",
    "A is a letter",
    "B is for boat",
    "Label: \nA \nB",
    "Label: \nA \nB (Respond in one",
    "A \nB (Respond in",
    "It could be A or it could be B",
    "A) a capital B) none",
    "A: capital, B: none",
    "Label A: capitals.\nLabel B: none.",
    "A-frame houses",
    "B-movie",
    "It is 9 A.M. now",
    "Vitamin B",
    "Plan A.",
    "Type B is common",
    "The sentences with label A, unlike this one, have capitals.",
    "The label would be A if there were a capital",
    "Both A and B",
    "A and B are both possible",
    "Unlikely to be A",
    "The first letter is A",
    'The first letter of the word is "A", a vowel.',
    "Answer: A sentence",
    "Answer: a sentence",
    "Therefore, A sentence",
    "The label is A when the word is in capitals",
    "The label is A for sentences with capitals",
    "A B",
    "C",
    "I am not sure.",
    "As an AI model, I am unable",
    "A, B or C",
    "Sorry, I can't help",
    "Not A",
    "not b",
    "B is incorrect and A is wrong",
    "Neither",
    "Could you repeat the question?",
    "A\n\nB",
    "Label: A\nLabel: B",
    "Is it A or is it B?",
    "The answer cannot be B",
    "The answer is neither A nor B",
    "It can't be A",
    "Let's think step by step. A vowel is",
    "(A) a capital (B) none",
    "The vowels, such as A, E, I",
    "It starts with the letter A.",
    "The first letter is the letter A, a vowel",
    "The answer is not (A)",
]


def replies_by_hand() -> list[tuple[str, str | None]]:
    """Replies and what a person reads in them, from the file beside this one; "⏎" stands for a line's end there."""
    judged: list[tuple[str, str | None]] = []
    says = None
    for line in (Path(__file__).parent / "replies_by_hand.txt").read_text(encoding="utf-8").splitlines():
        if line in ("[A]", "[B]", "[none]"):
            says = None if line == "[none]" else line[1]
        else:
            judged.append((line.replace("⏎", "\n"), says))
    return judged


def test_of_replies_judged_by_hand_none_is_misread_and_few_are_missed() -> None:
    judged = [(reply, says, parse_strict(reply)) for reply, says in replies_by_hand()]
    assert len(judged) > 1000
    assert [reply for reply, says, said in judged if said not in (says, None)] == []
    assert len([reply for reply, says, said in judged if said is None and says is not None]) < 10


@pytest.mark.parametrize(("reply", "paper", "strict"), CASES)
def test_by_hand(reply: str, paper: str | None, strict: str | None) -> None:
    assert (PARSERS["paper"](reply, LETTERS), PARSERS["strict"](reply, LETTERS)) == (paper, strict)
    assert (parse_paper(reply), parse_strict(reply)) == (paper, strict)


@pytest.mark.parametrize("reply", A_ANSWERS)
def test_the_strict_rule_finds_a(reply: str) -> None:
    assert parse_strict(reply) == "A"


@pytest.mark.parametrize("reply", B_ANSWERS)
def test_the_strict_rule_finds_b(reply: str) -> None:
    assert parse_strict(reply) == "B"


@pytest.mark.parametrize("reply", NO_ANSWERS)
def test_the_strict_rule_finds_no_answer(reply: str) -> None:
    assert parse_strict(reply) is None


@pytest.mark.parametrize("form", ["{}", "{}.", "({})", "**{}**", "[{}]", "\\boxed{{{}}}", "{} (Respond in",
                                  "{} because", "Label: {}", "**Answer:** {}", "The answer is {} because", "It's {}",
                                  "So: {}", "{} is the answer", "Option {} is correct", "The label is therefore {}",
                                  "I would assign label {} to this input."])  # fmt: skip
def test_the_strict_rule_treats_both_letters_alike(form: str) -> None:
    assert [parse_strict(form.format(letter)) for letter in LETTERS] == list(LETTERS)


def test_small_letters_count_alone_and_after_a_colon_but_not_in_a_sentence() -> None:
    for letter in "ab":
        for form in ("{}", "{}.", "({})", "**{}**", "Label: {}", "**Answer:** {}", "{}\n\nFor it has none."):
            assert parse_strict(form.format(letter)) == letter.upper()
        for form in ("The answer is {} because", "it is {}", "{} is the answer", "{} because", "option {} is correct"):
            assert parse_strict(form.format(letter)) is None


def test_of_two_named_letters_the_last_counts_where_its_sentence_concludes() -> None:
    doubt = "It is a capital: the label is A. Wait, there is none: "
    assert parse_strict(doubt + "so the label is B.") == "B"
    assert parse_strict(doubt + "none.\nFinal answer: B") == "B"
    assert parse_strict(doubt + "the label is B.") is None
    assert parse_strict("So the label is A. The label is B.") is None


def test_letter_geometry_is_read_by_exact_match() -> None:
    options = ("p", "q", "d", "b")
    for parse in PARSERS.values():
        assert parse(" q\n", options) == "q"
        assert parse("Q", options) is None
        assert parse("The answer is q", options) is None
        assert parse("", options) is None
    assert parse_option("A", ("A", "V")) == "A"


@pytest.mark.parametrize(("reply", "strict"), [(reply, strict) for reply, _, strict in CASES if "Input:" not in reply])
def test_no_reply_is_decided_before_its_end(reply: str, strict: str | None) -> None:
    """Why a reply in chat is not stopped at its first letter: whatever it says so far, what follows may turn it."""
    other = {"A": "B", "B": "A", None: "A"}[strict]
    assert parse_strict(f"{reply}\nActually, the answer is {other}.") == other
