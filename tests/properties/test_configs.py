"""Whatever is given for a setting, there is a value that can be written and read again, or one ValueError."""

import datetime
import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from saelib.batch.settings import Settings, settings_from
from saelib.htest.config import PRESETS as HTEST_PRESETS
from saelib.htest.config import HTestConfig, resolve_htest_config
from saelib.interpret.config import PRESETS as INTERPRET_PRESETS
from saelib.interpret.config import InterpretConfig, resolve_interpret_config
from saelib.run.config import RunConfig, checked, folder_name
from saelib.run.parameters import notebook_parameters
from saelib.run.typed import typed_fields, typed_seed
from saelib.transfer.config import ExperimentConfig
from saelib.transfer.presets import PRESETS, resolve_config

CONFIGS: dict[type[RunConfig], Any] = {
    ExperimentConfig: resolve_config, InterpretConfig: resolve_interpret_config, HTestConfig: resolve_htest_config
}  # fmt: skip
SHOWN = [config.as_dict() for config in (*PRESETS.values(), *INTERPRET_PRESETS.values(), *HTEST_PRESETS.values())]
RIGHT_SOMEWHERE = [value for config in SHOWN for value in config.values()]
PARTS = sorted({name for config in SHOWN for value in config.values() if isinstance(value, dict) for name in value})
LOOPED: list[Any] = []
LOOPED.append(LOOPED)

texts = st.text(st.characters(exclude_categories=()), max_size=30)  # halves of surrogate pairs among them
long_texts = st.builds(lambda sign, times: sign * times, st.sampled_from("x/.é\0"), st.integers(200, 6000))
odd_numbers = st.sampled_from([2**31, 2**32, 2**63, 2**64, -(2**63), 1e308, 5e-324, -0.0, 1e39])
huge_numbers = st.sampled_from([20, 400, 5000]).map(lambda digits: 10**digits)
scalars = (
    st.none() | st.booleans() | st.integers(-10, 300) | st.integers() | odd_numbers | huge_numbers | st.floats() | texts
    | long_texts | st.complex_numbers() | st.binary(max_size=4) | st.just(datetime.date(2024, 1, 1))
    | st.sampled_from(RIGHT_SOMEWHERE)
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.tuples(inner, inner)
        | st.dictionaries(st.sampled_from(PARTS) | texts | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)  # fmt: skip


def assert_plain(error: ValueError) -> None:
    """An error for whoever gave the value: short, and without a word of the library that checks."""
    assert type(error) is ValueError
    message = str(error)
    assert message
    assert "pydantic" not in message and "Input should" not in message
    assert len(message) < 20_000
    message.encode()  # it can be printed


def assert_whole(config: RunConfig) -> None:
    """It can be written as JSON, read again, and is the same then."""
    written = json.dumps(config.as_dict(), allow_nan=False)
    assert len(config.sha256()) == 64
    again = checked(type(config), json.loads(written))
    assert again == config.replace(stored=False)  # which is of who looks, and in no file
    assert again.sha256() == config.sha256()


def try_out(kind: type[RunConfig], changes: Mapping[str, Any]) -> None:
    try:
        config = CONFIGS[kind](**changes)
    except ValueError as error:
        assert_plain(error)
    else:
        assert_whole(config)


OF_A_FIELD = settings().max_examples // 3  # there are many fields, checked in the same way
FIELDS = [(kind, name) for kind in CONFIGS for name in kind.model_fields]


@pytest.mark.parametrize(("kind", "name"), FIELDS, ids=[f"{kind.__name__}-{name}" for kind, name in FIELDS])
@settings(max_examples=OF_A_FIELD)
@given(value=values)
@example(value=float("nan"))
@example(value=LOOPED)
@example(value=[float("inf")])
@example(value={"learning_rate": float("nan"), "checkpoints": [0, float("inf")]})
def test_any_value_of_a_field_makes_a_config_or_one_error(kind: type[RunConfig], name: str, value: Any) -> None:
    try_out(kind, {name: value})


@pytest.mark.parametrize("kind", CONFIGS)
@given(data=st.data())
def test_any_values_of_several_fields_make_a_config_or_one_error(kind: type[RunConfig], data: st.DataObject) -> None:
    names = st.sampled_from([*kind.model_fields]) | texts
    try_out(kind, data.draw(st.dictionaries(names, values, max_size=5)))


yaml_signs = st.text(st.sampled_from("{}[]:,-?&*!|>'\"%@`# \n\tab019.~<=_xeE"), max_size=40)
yaml_words = st.lists(
    st.sampled_from(["{", "}", "[", "]", ": ", ", ", "&a ", "*a", "<<: ", "!!timestamp ", "!!bool ", "!!int ", "!!set ",
                     "!!float ", "!!binary ", "!!omap ", "? ", "- ", "shots", "models", "4", ".nan", ".inf", "010", "'",
                     "1:20", "2024-01-01", "null", "yes", "\n", "\n  ", "--- ", "seed", "fine_tuning"]),
    max_size=12,
).map("".join)  # fmt: skip
json_texts = st.dictionaries(st.sampled_from([*HTestConfig.model_fields]) | texts, st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts, lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
), max_size=3).map(json.dumps)  # fmt: skip
htest_texts = yaml_signs | yaml_words | json_texts | texts | long_texts


@given(text=htest_texts)
@example(text="[" * 5000)
@example(text="{a: " * 5000)
@example(text='{"a":' * 5000)
@example(text="{[1]: 2}")
@example(text="&a {b: *a}")
@example(text="{a: !!timestamp foo}")
@example(text="{a: !!bool foo}")
@example(text="{a: !!float ''}")
@example(text='{"shots": [' + "9" * 5000 + "]}")
@example(
    text="a: &a [x, x, x]\n"
    + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
)
def test_any_text_names_fields_and_values_or_is_refused(text: str) -> None:
    try:
        found = typed_fields("htest", text, ("preset", "run", "seed"))
    except ValueError as error:
        assert_plain(error)
        assert str(error).startswith("htest=")
    else:
        assert all(isinstance(name, str) for name in found)
        try_out(HTestConfig, found)


@given(fields=st.dictionaries(texts, st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6,
), max_size=4))  # fmt: skip
def test_json_is_taken_to_the_letter(fields: dict[str, Any]) -> None:
    assert typed_fields("htest", json.dumps(fields)) == fields


@given(text=texts | st.integers().map(str) | long_texts | st.text("0123456789", max_size=6000))
def test_any_text_is_a_seed_or_is_refused(text: str) -> None:
    try:
        seed = typed_seed(text)
    except ValueError as error:
        assert_plain(error)
    else:
        assert text == ("" if seed is None else str(seed))


@given(preset=st.sampled_from(["", "smoke", "tiny"]) | texts, run=texts | st.sampled_from(["", "mine", "Cache", ".."]),
       seed=texts | st.integers().map(str), told=htest_texts,
       config=st.sampled_from(["TRANSFER", "INTERPRET", "HTEST"]))  # fmt: skip
def test_settings_of_make_are_read_or_refused(preset: str, run: str, seed: str, told: str, config: str) -> None:
    environment = {"PRESET": preset, "RUN": run, "SEED": seed, config: told}
    try:
        found = settings_from(environment)
    except ValueError as error:
        assert_plain(error)
    else:
        assert isinstance(found, Settings)
        assert found.folder.name == (run or preset or "tiny")
        assert found.folder.parent.is_absolute()


@given(name=texts | st.sampled_from(["a/b", "..", "CACHE", "a\\b", "a.b", "é"]) | long_texts)
def test_a_folders_name_leads_nowhere_else(name: str) -> None:
    try:
        assert folder_name(name) == name
    except ValueError as error:
        assert_plain(error)
    else:
        assert PurePosixPath(name).parts == (name,)
        assert not {*name} & {*"/\\\0:"} and not name.startswith((".", "-"))


@given(parameters=st.dictionaries(st.sampled_from([*ExperimentConfig.model_fields]), values, max_size=4))
@example(parameters={"layers": LOOPED})
def test_any_cell_of_parameters_is_handed_on_or_refused(parameters: dict[str, Any]) -> None:
    try:
        found = notebook_parameters(dict(parameters))
    except ValueError as error:
        assert type(error) is ValueError
    else:
        assert found.keys() == parameters.keys()
        try_out(ExperimentConfig, found)
