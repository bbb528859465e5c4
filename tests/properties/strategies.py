"""Inputs that hypothesis draws: JSON values, damaged bytes, texts as language models write them.

In: nothing, or what is to be damaged. Out: strategies.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import strategies as st

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)

FRAGMENTS = ("A", "B", "a", "b", "(A)", "**B**", "Answer:", "answer is", "label: a", "or", "not", "either", "wait, no",
             "\n", "\n\n", " ", ".", ":", "?", "Q:", "Text:", "<think>", "</think>", "\\boxed{A}", "[A]", "so", "the",
             "ａ", "\u0391", "’", "\ufeff", "答案", "\u202e", "\x00", "1)", "- ")  # fmt: skip
model_texts = st.text(max_size=200) | st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=3), max_size=40).map(
    "".join
)
long_texts = st.builds(lambda part, times: part * times, model_texts.filter(bool), st.integers(100, 400))


@st.composite
def damaged(draw: Callable[..., Any], content: bytes) -> bytes:
    """Other bytes in place of a stretch: cut, overwritten, doubled, put in between."""
    begin = draw(st.integers(0, len(content)))
    end = draw(st.integers(begin, len(content)))
    between = draw(st.sampled_from([b"", bytes(end - begin), content[begin:end] * 2]) | st.binary(max_size=12))
    return content[:begin] + between + content[end:]


@st.composite
def with_other_values(draw: Callable[..., Any], values: Mapping[str, Any]) -> bytes:
    """A JSON object in which some values are others, some are missing, and some are there too."""
    others = st.dictionaries(st.sampled_from(sorted(values)) | st.text(max_size=8), json_values, min_size=1, max_size=3)
    missing = draw(st.lists(st.sampled_from(sorted(values)), max_size=1))
    found = {name: value for name, value in values.items() if name not in missing} | draw(others)
    return json.dumps(found).encode("utf-8", "surrogatepass")
