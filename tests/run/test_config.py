"""A config refuses what is wrong, all of it at once and in plain words, and a folder belongs to one config."""

import pydoc
from typing import Annotated, Any, Literal, Self

import pytest
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, ValidationError, model_validator

from saelib.run.config import Config, RunConfig, checked, folder_name, resolve, usable_name

Hour = Annotated[int, Field(ge=0, lt=24)]


class Tray(Config):
    """What lies on one level."""

    loaves: PositiveInt
    """Loaves that are baked together."""
    minutes: PositiveFloat = 40.0
    """How long, in minutes."""


class Baking(RunConfig):
    """A day in a bakery."""

    heat: Literal["low", "high"] = "low"
    """Of the oven,
    all day."""
    levels: tuple[NonNegativeInt, ...] | None = None
    """Levels that are used; None takes all."""
    hours: tuple[Hour, Hour] = (5, 11)
    """When baking begins and ends."""
    tray: Tray
    """The tray on every level."""
    device: str = "gas"
    """What heats the oven."""

    @model_validator(mode="after")
    def _high_heat_is_short(self) -> Self:
        if self.heat == "high" and self.tray.minutes > 60:
            raise ValueError(f"heat='high' burns after tray.minutes={self.tray.minutes:g}")
        return self


PRESETS = {
    "tiny": Baking(preset="tiny", run="tiny", seed=0, tray=Tray(loaves=4)),
    "large": Baking(preset="large", run="large", seed=7, tray=Tray(loaves=40)),
}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"preset": "huge"}, "preset='huge' is unknown; choose one of tiny, large"),
        ({"preset": ["tiny"]}, "preset=['tiny'] is unknown; choose one of tiny, large"),
        ({"seed": "1"}, "seed='1': should be a whole number"),
        ({"seed": True}, "seed=True: should be a whole number"),
        ({"seed": 1.5}, "seed=1.5: should be a whole number"),
        ({"seed": -1}, "seed=-1: should be at least 0"),
        ({"run": 2024}, "run=2024: should be a text"),
        ({"heat": "warm"}, "heat='warm': should be 'low' or 'high'"),
        ({"heat": 1}, "heat=1: should be 'low' or 'high'"),
        ({"levels": 3}, "levels=3: should be a list"),
        ({"levels": "012"}, "levels='012': should be a list"),
        ({"levels": {"a": [1]}}, "levels={'a': [1]}: should be a list"),
        ({"levels": [0, "x"]}, "levels=[0, 'x']: entry 2 should be a whole number"),
        ({"levels": [-1, 0, True]},
         "levels=[-1, 0, True]: entry 1 should be at least 0\n"
         "levels=[-1, 0, True]: entry 3 should be a whole number"),
        ({"hours": [5]}, "hours=[5]: entry 2 is missing"),
        ({"hours": [5, 6, 7]}, "hours=[5, 6, 7]: should have 2 entries"),
        ({"hours": [5, 24]}, "hours=[5, 24]: entry 2 should be below 24"),
        ({"tray": 3}, "tray=3: should name fields and their values, such as {'learning_rate': 0.001}"),
        ({"tray": {"minutes": -1.0}}, "tray.minutes=-1.0: should be above 0"),
        ({"tray": {"minutes": float("nan")}}, "tray.minutes=nan: should be a finite number"),
        ({"tray": {"minutes": "long"}}, "tray.minutes='long': should be a number"),
        ({"tray": {"minutes": 1e39}},
         "tray.minutes=1e+39: 1e+39 is no number of float32; should be 0, or from 1.2e-38 to 3.4e+38"),
        ({"tray": {"minutes": 1e-320}},
         "tray.minutes=1e-320: 1e-320 is no number of float32; should be 0, or from 1.2e-38 to 3.4e+38"),
        ({"tray": {1: 2}}, "tray={'loaves': 4, 'minutes': 40.0, 1: 2}: should name its fields by texts"),
        ({"tray": {"loaves": 2**63}},
         f"tray.loaves={2**63}: {2**63} is more than 64 bits hold; should be below {2**63}"),
        ({"levels": [0, 2**70]}, f"levels=[0, {2**70}]: {2**70} is more than 64 bits hold; should be below {2**63}"),
        ({"seed": 2**64}, f"seed={2**64}: should be below 4294967296"),
        ({"seed": 10**5000}, "seed=a value too long to be shown: should be below 4294967296"),
        ({"device": "a\0b"},
         "device='a\\x00b': has a sign that no file can hold; should be letters, digits and signs of Unicode"),
        ({"device": "\ud800"},
         "device='\\ud800': has a sign that no file can hold; should be letters, digits and signs of Unicode"),
        ({"heat": "x" * 1000}, f"heat='{'x' * 149}... (1,002 signs): should be 'low' or 'high'"),
        ({"run": "Cache"}, "run='Cache': 'cache' is the folder of what can be made again; name the run otherwise"),
        ({"heat": "high", "tray": {"minutes": 90}}, "heat='high' burns after tray.minutes=90"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_value_and_what_would_be_right(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as refused:
        resolve(PRESETS, **parameters)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"heet": "low"}, "parameter 'heet' is unknown; did you mean heat? The known ones are preset, run, seed, "
                          "stored, heat, levels, hours, tray, device"),
        ({"tray": {"loafs": 3}},
         "parameter 'tray.loafs' is unknown; did you mean tray.loaves? The known ones are loaves, minutes"),
        ({"tray": {"colour": 3}}, "parameter 'tray.colour' is unknown; the known ones are loaves, minutes"),
        ({"presets": {}}, "parameter 'presets' is unknown; did you mean preset? The known ones are preset, run, seed, "
                          "stored, heat, levels, hours, tray, device"),
    ],
)  # fmt: skip
def test_an_unknown_name_is_told_the_nearest_known_one(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as refused:
        resolve(PRESETS, **parameters)
    assert str(refused.value) == message


def test_all_mistakes_are_named_at_once() -> None:
    with pytest.raises(ValueError) as refused:
        resolve(PRESETS, seed=-1, heat="warm", tray={"minutes": 0.0, "loafs": 1}, heet=1)
    named = [line.partition(":")[0].partition(" is ")[0] for line in str(refused.value).splitlines()]
    assert sorted(named) == [
        "heat='warm'", "parameter 'heet'", "parameter 'tray.loafs'", "seed=-1", "tray.minutes=0.0",
    ]  # fmt: skip


def test_a_missing_field_is_named() -> None:
    with pytest.raises(ValueError) as refused:
        checked(Baking, {"preset": "own", "run": "own", "tray": {"minutes": 1.0}})
    assert str(refused.value).splitlines() == ["seed is missing", "tray.loaves is missing"]


def test_the_reader_never_sees_the_library_that_checks() -> None:
    with pytest.raises(ValueError) as refused:
        resolve(PRESETS, heat="warm", tray={"loaves": 0})
    assert not isinstance(refused.value, ValidationError)
    assert refused.value.__suppress_context__
    assert "pydantic" not in str(refused.value)


@pytest.mark.parametrize("name", ["tiny", "2024", "a.b_c-d", "é"])
def test_names_that_a_folder_can_have(name: str) -> None:
    assert folder_name(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "-x", "_x", "a/b", "a\\b", "a b", "a\n", "../else"])
def test_names_that_no_folder_gets(name: str) -> None:
    with pytest.raises(ValueError, match="use letters, digits"):
        folder_name(name)
    with pytest.raises(ValueError) as refused:
        resolve(PRESETS, run=name)
    assert str(refused.value).startswith(f"run={name!r}: use letters, digits")


def test_a_preset_with_overrides() -> None:
    config = resolve(PRESETS, "large", run="mine", seed=3, levels=[0, 2], tray={"minutes": 45})
    assert (config.preset, config.run, config.seed, config.levels) == ("large", "mine", 3, (0, 2))
    assert config.tray == Tray(loaves=40, minutes=45.0)
    assert type(config.tray.minutes) is float
    assert resolve(PRESETS, "large") == PRESETS["large"]


def test_nothing_can_be_changed_afterwards() -> None:
    config = resolve(PRESETS, levels=[0, 2])
    with pytest.raises(ValidationError, match="frozen"):
        config.seed = 3
    with pytest.raises(ValidationError, match="frozen"):
        config.tray.loaves = 3
    assert isinstance(config.levels, tuple)


def test_another_config_is_checked_as_the_first_one_was() -> None:
    base = PRESETS["tiny"]
    other = base.replace(tray={"minutes": 5.0}, seed=1)
    assert (other.tray, other.seed) == (Tray(loaves=4, minutes=5.0), 1)
    assert (base.tray.minutes, base.seed) == (40.0, 0)
    assert base.replace(tray=Tray(loaves=9)).tray == Tray(loaves=9)
    with pytest.raises(ValueError, match="^tray.loaves=0: should be above 0$"):
        base.replace(tray={"loaves": 0})
    with pytest.raises(ValueError, match="^heat='high' burns after tray.minutes=61$"):
        base.replace(heat="high", tray={"minutes": 61.0})
    with pytest.raises(ValueError, match="^parameter 'heit' is unknown; did you mean heat"):
        base.replace(heit="low")


def test_the_sentence_under_a_field_is_seen_in_help_and_in_the_schema() -> None:
    page = pydoc.plain(pydoc.render_doc(Baking))
    assert "A day in a bakery." in page
    for line in (
        "run (text): Name of its folder under `runs/`.", "heat ('low' or 'high'): Of the oven, all day.",
        "tray (its fields): The tray on every level.", "    minutes (number, above 0): How long, in minutes.",
    ):  # fmt: skip
        assert f"    {line}\n" in page
    schema = Baking.model_json_schema()
    assert schema["properties"]["levels"]["description"] == "Levels that are used; None takes all."
    assert schema["properties"]["heat"]["enum"] == ["low", "high"]
    assert schema["$defs"]["Tray"]["properties"]["minutes"]["description"] == "How long, in minutes."
    assert schema["additionalProperties"] is False


def test_every_field_says_what_it_is() -> None:
    for kind in (RunConfig, Baking, Tray):
        assert all(field.description for field in kind.model_fields.values())


def test_the_hash_is_of_what_decides_the_numbers() -> None:
    base = PRESETS["tiny"]
    assert base.sha256() == base.replace(run="other", device="wood").sha256()
    assert base.sha256() == resolve(PRESETS, tray={"minutes": 40}).sha256()
    for change in ({"seed": 1}, {"levels": [0]}, {"tray": {"minutes": 41.0}}, {"heat": "high"}):
        assert base.sha256() != base.replace(**change).sha256()


def test_json_gives_the_config_back() -> None:
    config = resolve(PRESETS, levels=[0, 2], tray={"minutes": 0.1})
    written = config.as_dict()
    assert written["levels"] == [0, 2] and written["tray"] == {"loaves": 4, "minutes": 0.1}
    assert checked(Baking, written) == config


def test_a_field_that_came_later_changes_no_hash_until_it_is_set() -> None:
    class Toasting(Baking):
        ADDED = ("browning", "rack")
        browning: int = 0
        rack: tuple[int, ...] = (1, 2)

    values = {"preset": "tiny", "run": "tiny", "seed": 0}
    names = {name: getattr(PRESETS["tiny"], name) for name in Baking.model_fields} | values
    before, later = Baking(**names), Toasting(**names)
    assert later.sha256() == before.sha256()
    assert later.replace(rack=[1, 2]).sha256() == before.sha256()
    assert len({before.sha256(), later.replace(browning=1).sha256(), later.replace(rack=[1]).sha256()}) == 3
    assert later.defaults()["rack"] == [1, 2]


def test_a_config_inside_another_has_fields_that_came_later_too() -> None:
    class DeepTray(Tray):
        ADDED = ("depth",)
        depth: float = 1.0

    class Deep(Baking):
        tray: DeepTray

    names = {name: getattr(PRESETS["tiny"], name) for name in Baking.model_fields if name != "tray"}
    assert Deep(**names, tray=DeepTray(loaves=4)).sha256() == PRESETS["tiny"].sha256()
    assert Deep(**names, tray=DeepTray(loaves=4, depth=2.0)).sha256() != PRESETS["tiny"].sha256()


def test_a_list_that_holds_itself_is_refused() -> None:
    levels: list[Any] = [0]
    levels.append(levels)
    with pytest.raises(ValueError, match=r"^levels=\[0, \[\.\.\.\]\]: has lists inside lists without an end"):
        resolve(PRESETS, levels=levels)


@pytest.mark.parametrize("number", [0, 0.0, -0.0, 3.4e38, 1.2e-38])
def test_the_ends_of_float32_are_numbers(number: float) -> None:
    class Scale(Config):
        grams: float
        """What it shows."""

    assert Scale(grams=number).grams == number


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "should not be empty"),
        (" \n", "should not be empty"),
        ("x" * 256, "has 256 signs; should be a name, or a path of parts of 255 at most"),
        ("é" * 128, "has 128 signs; should be a name"),
        ("a/" * 3000, "has 6000 signs; should be a name"),
    ],
)
def test_a_name_that_nothing_can_have_is_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        usable_name(name)
    assert usable_name("x" * 255 + "/" + "y" * 255) == "x" * 255 + "/" + "y" * 255
