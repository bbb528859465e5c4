"""What somebody typed arrives as it was typed, or is refused; never as something else."""

import json
from itertools import pairwise
from typing import Any

import pytest

from saelib.run.typed import typed_fields, typed_seed


@pytest.mark.parametrize(("text", "seed"), [("", None), ("0", 0), ("7", 7), ("2024", 2024), ("-1", -1)])
def test_a_seed_is_a_number_in_decimal_digits(text: str, seed: int | None) -> None:
    assert typed_seed(text) == seed


@pytest.mark.parametrize(
    "text", ["007", "1e5", "0x10", "1_000", " 1", "1 ", "true", "null", "+1", "٣", "1.0", "2024-01-01"]
)
def test_what_can_be_read_in_two_ways_is_no_seed(text: str) -> None:
    with pytest.raises(ValueError, match="should be a whole number, in decimal digits") as refused:
        typed_seed(text)
    assert repr(text) in str(refused.value)


TEXTS = [
    "it's",
    '"quoted"',
    "$HOME $$ ${x} $(date) `date`",
    "back\\slash \\n \\",
    "two\nlines\r\n\tand a tab",
    "a\x85b c\x7f",
    "größe ✓ 🙂",
    " blanks ",
    "# no comment",
    "{braces} [brackets] a: b, c",
    "1e5",
    "true",
    "null",
    "2024-01-01",
    "%d",
    "",
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("as_ascii", [True, False])
def test_json_is_taken_to_the_letter(text: str, as_ascii: bool) -> None:
    fields = {"system": text, "models": [text, text]}
    assert typed_fields("htest", json.dumps(fields, ensure_ascii=as_ascii)) == fields


def test_a_line_break_may_stand_within_a_text_of_json() -> None:
    assert typed_fields("htest", '{"system": "one\ntwo\n\nthree"}') == {"system": "one\ntwo\n\nthree"}


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("", {}),
        (" \n", {}),
        ("{}", {}),
        ("{shots: [2, 4]}", {"shots": [2, 4]}),
        ("shots: [2]\nmodels:\n- api:openai/gpt-4o-mini\n", {"shots": [2], "models": ["api:openai/gpt-4o-mini"]}),
        ("{shots: [0, -4], temperature: 0.7}", {"shots": [0, -4], "temperature": 0.7}),
        ("{system: '010', run: \"1:20\"}", {"system": "010", "run": "1:20"}),
        ("{system: 'it''s $5'}", {"system": "it's $5"}),
        ("{models: &m [embedded], family: *m}", {"models": ["embedded"], "family": ["embedded"]}),
        ("{temperature: .inf}", {"temperature": float("inf")}),
    ],
)
def test_yaml_is_read_too(text: str, fields: dict[str, Any]) -> None:
    assert typed_fields("htest", text) == fields


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("4", "htest='4' must name fields and their values"),
        ("[a]", "must name fields"),
        ("{1: 2}", "must name fields"),
        ("{", "cannot be read as JSON or YAML: while parsing"),
        ("{a: 2024-13-45}", "cannot be read as JSON or YAML: month must be"),
        ("{a: !!python/name:os.system x}", "cannot be read as JSON or YAML"),
        ("{shots: [010]}", "010 is 8 by YAML's rules; write that number, or a text in quotes"),
        ("shots: [4]\nmodels: [1:20]", "1:20 is 80 by YAML's rules"),
        ("{test_items: 1_000}", "1_000 is 1000 by YAML's rules"),
        ("{seed: 0x10}", "0x10 is 16 by YAML's rules"),
        ("{temperature: 1:20.5}", "1:20.5 is 80.5 by YAML's rules"),
        ("{shots: [2], shots: [4]}", "'shots' is named twice"),
        ('{"a": {"b": 1, "b": 2}}', "'b' is named twice"),
        ("{seed: 5, run: x}", "seed is given as SEED=, run is given as RUN="),
        ("{stored: true}", "stored is for notebooks that only read: leave it out"),
        ("{[1]: 2}", "[1] is no name of a field"),
        ("? {a: 1}\n: 2", "{'a': 1} is no name of a field"),
        ("{a: !!timestamp foo}", "'foo' is not what its tag tag:yaml.org,2002:timestamp says; leave the tag out"),
        ("{a: !!bool foo}", "'foo' is not what its tag tag:yaml.org,2002:bool says; leave the tag out"),
        ("{a: !!float ''}", "'' is not what its tag tag:yaml.org,2002:float says; leave the tag out"),
        ("[" * 5000, "has too many brackets inside each other"),
        ("{a: " * 5000, "has too many brackets inside each other"),
        ('{"a":' * 5000, "has too many brackets inside each other"),
        ("&a {b: *a}", "it stands for more than 10,000 values; leave out anchors that repeat others"),
        ("{a: &a [*a]}", "found unconstructable recursive node"),
        ("{a: *b}", "found undefined alias 'b'"),
        (
            "a: &a [x, x]\n" + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in pairwise("abcdefghi")),
            "it stands for more than 10,000 values",
        ),
        ("--- {shots: [2]}\n--- {}", "expected a single document"),
        ("a\tb: c", "cannot be read as JSON or YAML"),
        ("null", "must name fields"),
        ("# a remark", "must name fields"),
        ("{a: " + "x" * 1000, "... (1,006 signs) cannot be read"),
    ],
)
def test_what_names_no_fields_or_one_twice_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError) as refused:
        typed_fields("htest", text, ("seed", "run", "stored"))
    assert message in str(refused.value)


def test_a_seed_of_many_digits_is_refused_whatever_python_can_read() -> None:
    for digits in (21, 5000):
        with pytest.raises(ValueError, match=f"has {digits} digits; take a number of ten at most"):
            typed_seed("9" * digits)
