"""Presets of H-Test runs hold what the paper did; mistakes are refused by name; families stand for their members."""

import re

import pytest

from saelib.htest.config import API, CONTROL, FAMILIES, PRESETS, UNTRAINED, HTestConfig, expand, resolve_htest_config


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_valid_and_can_be_written(name: str) -> None:
    config = resolve_htest_config(preset=name)
    assert config == PRESETS[name]
    assert (config.preset, config.run) == (name, name)
    assert config.as_dict()["shots"] == list(config.shots)
    assert config.as_dict()["fine_tuning"]["items"] == config.fine_tuning.items


@pytest.mark.parametrize("name", ["tiny", "pythia-160m"])
def test_what_is_reported_has_the_papers_numbers(name: str) -> None:
    config = PRESETS[name]
    assert config.shots == (4, 14, 28, 50)
    assert config.test_items == 200
    assert (config.fine_tuning.items, config.fine_tuning.epochs) == (1000, 3)


@pytest.mark.parametrize("name", ["tiny", "smoke"])
def test_presets_for_every_machine_ask_the_model_that_ships_along_and_no_api(name: str) -> None:
    config = PRESETS[name]
    named = expand((*config.models, *config.family, config.ablation_model, config.fine_tuning_model))
    assert {model.removeprefix(UNTRAINED) for model in named} == {"embedded"}
    assert config.judge == "parser"


def test_nothing_is_paid_for_unless_somebody_says_so() -> None:
    assert {config.api_requests for config in PRESETS.values()} == {0}


def test_families_stand_for_their_members_and_nobody_comes_twice() -> None:
    assert expand(("tiny", "my/model")) == ("untrained:embedded", "embedded", "my/model")
    assert expand(("embedded", "tiny")) == ("embedded", "untrained:embedded")
    assert expand(("api:openai/gpt-4o", "gpt", "api:openai/gpt-4o")).count("api:openai/gpt-4o") == 1
    assert expand(()) == ()


def test_families_go_from_small_to_large() -> None:
    for name in ("pythia", "llama-2"):
        sizes = [re.findall(r"-([\d.]+)([mb])\b", member)[0] for member in FAMILIES[name]]
        millions = [float(number) * {"m": 1, "b": 1000}[unit] for number, unit in sizes]
        assert millions == sorted(set(millions))
        assert len(millions) > 1


def test_no_family_is_called_like_a_model_or_contains_another() -> None:
    members = [member for family in FAMILIES.values() for member in family]
    assert not set(members) & set(FAMILIES)
    assert not any(name.startswith((API, CONTROL, UNTRAINED)) for name in FAMILIES)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"preset": "large"}, ValueError, "'large' is unknown; choose one of tiny, smoke, pythia-160m"),
        ({"model": ["embedded"]}, ValueError, "'model' is unknown; the known ones are preset, run, seed, official"),
        ({"models": "embedded"}, TypeError, "models='embedded' is a str"),
        ({"shots": 4}, TypeError, "shots=4 is a int"),
        ({"shots": [4, 7]}, ValueError, "shots=[7]: shots come in pairs of A and B"),
        ({"shots": [-2]}, ValueError, "shots=[-2]"),
        ({"ablation_shots": [2, 3, 4]}, ValueError, "ablation_shots=[3]"),
        ({"shots": [4.0]}, TypeError, "shots=[4.0]"),
        ({"shots": []}, ValueError, "shots is empty: name at least one"),
        ({"models": []}, ValueError, "models is empty"),
        ({"family": []}, ValueError, "family is empty"),
        ({"ablation_shots": []}, ValueError, "ablation_shots=()"),
        ({"ablation_shots": [0, 4]}, ValueError, "name two numbers above 0 to compare"),
        ({"form": "letter_geometry"}, ValueError, "form='letter_geometry': choose auto, chat or completion"),
        ({"test_items": 0}, ValueError, "test_items=0: must be an even number above 0"),
        ({"test_items": 5}, ValueError, "test_items=5"),
        ({"chain_of_thought_items": 3}, ValueError, "chain_of_thought_items=3"),
        ({"chain_of_thought_tokens": -2}, ValueError, "chain_of_thought_tokens=-2"),
        ({"temperature": -0.1}, ValueError, "temperature=-0.1"),
        ({"temperature": float("nan")}, ValueError, "temperature=nan"),
        ({"shuffles": -1}, ValueError, "shuffles=-1"),
        ({"api_requests": -1}, ValueError, "api_requests=-1"),
        ({"api_requests": "all"}, TypeError, "api_requests='all' is a str"),
        ({"run": "../else"}, ValueError, "run='../else'"),
        ({"seed": -1}, ValueError, "seed=-1"),
        ({"fine_tuning": {"epochs": 0}}, ValueError, "epochs=0: must be at least 1"),
        ({"fine_tuning": {"seed": 3}}, ValueError, "fine_tuning.seed=3: the run's own seed decides"),
        ({"fine_tuning": {"epoch": 1}}, ValueError, "'epoch' is unknown"),
        ({"fine_tuning": 3}, TypeError, "fine_tuning=3"),
    ],
)
def test_mistakes_are_named(parameters: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        resolve_htest_config(**parameters)


def test_json_lists_whole_numbers_and_parts_of_the_recipe_fit() -> None:
    config = resolve_htest_config(
        preset="smoke", models=["gpt", "embedded"], shots=[0, 2], temperature=1, fine_tuning={"epochs": 2}
    )
    assert config.models == ("gpt", "embedded")
    assert config.shots == (0, 2)
    assert config.temperature == 1.0
    assert config.fine_tuning.epochs == 2
    assert config.fine_tuning.items == PRESETS["smoke"].fine_tuning.items


def test_hash_tells_what_decides_the_numbers() -> None:
    def hashed(**changes: object) -> str:
        config: HTestConfig = resolve_htest_config(preset="smoke", **changes)
        return config.sha256()

    assert hashed() == hashed(run="other", device="cpu", api_requests=7)
    others = [hashed(seed=1), hashed(test_items=12), hashed(official="auto"), hashed(fine_tuning={"items": 22})]
    assert len({hashed(), *others}) == 5
