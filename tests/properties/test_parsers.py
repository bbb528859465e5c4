"""A parser gives an option or none, for whatever a model says, and soon."""

import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saelib.htest.asking.parsers import PARSERS
from saelib.htest.asking.thinking import without_thoughts
from tests.properties.strategies import long_texts, model_texts

OPTIONS = (("A", "B"), ("<", ">", "^", "v"))
SECONDS = 2.0  # for a text of up to 80,000 signs, on a busy machine


@pytest.mark.parametrize("name", PARSERS)
@given(reply=model_texts, options=st.sampled_from(OPTIONS))
def test_what_is_said_is_an_option_or_nothing(name: str, reply: str, options: Sequence[str]) -> None:
    assert PARSERS[name](reply, options) in (None, *options)


@pytest.mark.parametrize("name", PARSERS)
@given(reply=long_texts)
def test_a_long_reply_is_read_soon(name: str, reply: str) -> None:
    began = time.monotonic()
    assert PARSERS[name](reply, ("A", "B")) in (None, "A", "B")
    assert time.monotonic() - began < SECONDS, len(reply)


@given(reply=model_texts | long_texts, prompt=model_texts)
def test_thoughts_are_taken_away_and_nothing_is_added(reply: str, prompt: str) -> None:
    said = without_thoughts(reply, prompt)
    assert said is None or said in reply
