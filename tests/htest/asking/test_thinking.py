"""Thoughts are cut off before anybody reads a reply; where they never end, nothing was said."""

import pytest

from saelib.htest.asking.thinking import without_thoughts


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ("B", "B"),
        ("<think>A or B? A has capitals.</think>B", "B"),
        ("<think>\nIt is A.\n</think>\n\nB", "\n\nB"),
        ("<think></think>A", "A"),
        ("<THINKING>A</THINKING> B", " B"),
        ("<seed:think>A</seed:think>B", "B"),
        ("[THINK]A[/THINK]B", "B"),
        ("<|begin_of_thought|>A<|end_of_thought|>B", "B"),
        ("<|channel|>analysis<|message|>A?<|end|><|start|>assistant<|channel|>final<|message|>B", "B"),
        ("It may be A.</think>B", "B"),  # the template opened the thoughts
        ("<think>A</think><think>A</think>B", "B"),
        ("I think A", "I think A"),
        ("a < b and think > nothing", "a < b and think > nothing"),
        ("", ""),
    ],
)
def test_what_is_said_after_the_thoughts(reply: str, said: str) -> None:
    assert without_thoughts(reply) == said


@pytest.mark.parametrize(
    "reply", ["<think>A", "<think>", "<think>A</think>B<think>C", "[THINK] A", "<think>\nLabel: A\n"]
)
def test_thoughts_that_never_end_say_nothing(reply: str) -> None:
    assert without_thoughts(reply) is None


def test_a_prompt_that_opens_the_thoughts_counts() -> None:
    opened, closed = "user: which?\nassistant: <think>\n", "user: which?\nassistant: <think>\n\n</think>\n\n"
    assert without_thoughts("A is it", opened) is None
    assert without_thoughts("A is it</think>B", opened) == "B"
    assert without_thoughts("B", closed) == "B"
