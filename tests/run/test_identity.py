"""A run is its config and the content of what it read: what is another is refused by name, what may grow grows."""

from pathlib import Path
from typing import ClassVar

import pytest

from saelib.run.config import RunConfig
from saelib.run.files import write_json
from saelib.run.identity import check_config, check_noted, claim_config, known_inputs
from saelib.run.reading import read_json

OLD, NEW = "1" * 64, "2" * 64


class Cooking(RunConfig):
    """A run that may get more guests and another stove."""

    WITHOUT_EFFECT: ClassVar[tuple[str, ...]] = ("run", "stove")
    GROWS: ClassVar[tuple[str, ...]] = ("guests",)

    recipe: str = "soup.txt"
    """Where it stands."""
    guests: tuple[str, ...] = ("Ada",)
    """Who eats."""
    stove: str = "gas"
    """What it is cooked on."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "dinner" / "config.json"


CONFIG = Cooking(preset="tiny", run="dinner", seed=0)


def test_a_folder_belongs_to_the_first_config_that_claims_it(path: Path) -> None:
    check_config(path, CONFIG)
    assert not path.parent.exists()
    claim_config(path, CONFIG)
    assert read_json(path) == CONFIG.as_dict() | {"inputs": {}}
    claim_config(path, CONFIG)
    claim_config(path, CONFIG.replace(stove="wood"))
    assert read_json(path)["stove"] == "gas"

    other = CONFIG.replace(seed=1, recipe="stew.txt")
    for refuse in (check_config, claim_config):
        with pytest.raises(FileExistsError) as refused:
            refuse(path, other)
        said = str(refused.value)
        assert "dinner holds a run with another config (seed was 0, is 1; recipe was 'soup.txt', is 'stew.txt')" in said
        assert said.endswith("; only guests may change: give the old values to go on with it, or name another run")
    with pytest.raises(FileExistsError, match="run was 'dinner', is 'copied'"):
        check_config(path, CONFIG.replace(run="copied"))
    assert read_json(path) == CONFIG.as_dict() | {"inputs": {}}


def test_what_may_grow_is_kept_as_it_was_last(path: Path) -> None:
    claim_config(path, CONFIG, {"recipe": OLD})
    more = CONFIG.replace(guests=["Ada", "Ben"])
    check_config(path, more)
    assert read_json(path)["guests"] == ["Ada"]  # a look changes nothing
    claim_config(path, more)
    assert read_json(path) == more.as_dict() | {"inputs": {"recipe": OLD}}


def test_the_content_of_an_input_is_pinned_when_it_is_first_read(path: Path) -> None:
    claim_config(path, CONFIG)
    claim_config(path, CONFIG, {"recipe": OLD})
    claim_config(path, CONFIG, {"spices": OLD})
    assert known_inputs(path) == {"recipe": OLD, "spices": OLD}
    before = path.read_bytes()
    for refuse in (check_config, claim_config):
        with pytest.raises(FileExistsError) as refused:
            refuse(path, CONFIG, {"recipe": NEW, "spices": OLD})
        assert str(refused.value) == (
            f"{path.parent} holds a run made from another content (recipe 'soup.txt' was 111111111111, is "
            "222222222222): put the old content back to go on with it, or name another run, which starts anew"
        )
    assert path.read_bytes() == before
    check_config(path, CONFIG)  # who reads no input may go on


def test_a_config_of_an_earlier_release_is_read_and_not_vouched_for(path: Path) -> None:
    """It has no inputs, and lacks the fields that came later."""
    values = CONFIG.as_dict()
    del values["recipe"]
    write_json(path, values)
    check_config(path, CONFIG, {"recipe": OLD})
    claim_config(path, CONFIG, {"recipe": OLD})
    assert read_json(path) == values
    assert known_inputs(path) == {}
    claim_config(path, CONFIG.replace(guests=["Cy"]), {"recipe": OLD})
    assert "inputs" not in read_json(path) and read_json(path)["guests"] == ["Cy"]
    with pytest.raises(FileExistsError, match=r"recipe was 'soup.txt', is 'stew.txt'"):
        check_config(path, CONFIG.replace(recipe="stew.txt"))
    with pytest.raises(FileExistsError, match="written by an earlier release, .* to compute more, name another run"):
        check_noted(path)


def test_a_run_of_this_release_notes_what_it_reads(path: Path) -> None:
    check_noted(path)
    claim_config(path, CONFIG)
    check_noted(path)


@pytest.mark.parametrize("content", [[], {"inputs": []}])
def test_what_is_no_config_is_refused(path: Path, content: object) -> None:
    write_json(path, content)
    with pytest.raises(FileExistsError, match="holds no config; name another run, or move this folder away"):
        check_config(path, CONFIG)
