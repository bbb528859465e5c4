"""Presets of H-Test runs hold what the paper did; mistakes are refused by name; families stand for their members."""

import re

import pytest

from saelib.htest.config import (
    API,
    CONTROL,
    FAMILIES,
    PRESETS,
    UNTRAINED,
    FineTuning,
    HTestConfig,
    expand,
    resolve_htest_config,
)


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


def test_the_family_of_a_preset_is_what_it_says_it_compares() -> None:
    assert expand(PRESETS["smollm2"].family) == ("embedded", "smollm2")
    assert expand(PRESETS["tiny"].family) == ("untrained:embedded", "embedded")


def test_a_recipe_of_lora_is_kept_with_its_rank_also_where_that_is_the_default() -> None:
    kept = FineTuning(method="lora").as_stored()
    assert (kept["method"], kept["lora_rank"], kept["lora_alpha"]) == ("lora", 8, 16)
    assert not {"method", "lora_rank", "lora_alpha"} & FineTuning().as_stored().keys()  # as earlier releases kept it


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
    ("parameters", "message"),
    [
        ({"preset": "large"}, "preset='large' is unknown; choose one of tiny, smoke, smollm2, pythia-160m"),
        ({"model": ["embedded"]}, "'model' is unknown; did you mean models?"),
        ({"models": "embedded"}, "models='embedded': should be a list"),
        ({"models": ["embedded", 3]}, "models=['embedded', 3]: entry 2 should be a text"),
        ({"models": []}, "models=[]: name at least one"),
        ({"family": []}, "family=[]: name at least one"),
        ({"shots": 4}, "shots=4: should be a list"),
        ({"shots": [4, 7]}, "shots=[4, 7]: entry 2 should be an even number, half of it for A and half for B"),
        ({"shots": [-2]}, "shots=[-2]: entry 1 should be at least 0"),
        ({"shots": [4.0]}, "shots=[4.0]: entry 1 should be a whole number"),
        ({"shots": []}, "shots=[]: name at least one number of shots"),
        ({"ablation_shots": [2, 3, 4]}, "ablation_shots=[2, 3, 4]: entry 2 should be an even number"),
        ({"ablation_shots": []}, "ablation_shots=[]: name two numbers above 0 to compare"),
        ({"ablation_shots": [0, 4]}, "ablation_shots=[0, 4]: name two numbers above 0 to compare"),
        ({"form": "letter_geometry"}, "form='letter_geometry': should be 'auto', 'chat' or 'completion'"),
        ({"test_items": 0}, "test_items=0: should be above 0"),
        ({"test_items": 5}, "test_items=5: should be an even number"),
        ({"chain_of_thought_items": 3}, "chain_of_thought_items=3: should be an even number"),
        ({"chain_of_thought_tokens": -2}, "chain_of_thought_tokens=-2: should be above 0"),
        ({"temperature": -0.1}, "temperature=-0.1: should be at least 0"),
        ({"temperature": 10.0}, "temperature=10.0: should be below 10"),
        ({"temperature": float("nan")}, "temperature=nan: should be a finite number"),
        ({"shuffles": -1}, "shuffles=-1: should be"),
        ({"api_requests": -1}, "api_requests=-1: should be"),
        ({"api_requests": "all"}, "api_requests='all': should be a whole number"),
        ({"api_log_probabilities": 1}, "api_log_probabilities=1: should be True or False"),
        ({"run": "../else"}, "run='../else': use letters"),
        ({"seed": -1}, "seed=-1: should be"),
        ({"fine_tuning": {"epochs": 0}}, "fine_tuning.epochs=0: should be above 0"),
        ({"fine_tuning": {"seed": 3}}, "fine_tuning.seed=3: the run's own seed decides; leave it out"),
        ({"shots": [4, 4]}, "shots=[4, 4]: name each number of shots once: [4]"),
        ({"ablation_shots": [4, 4]}, "ablation_shots=[4, 4]: name two numbers above 0 to compare"),
        ({"models": [""]}, "models=['']: entry 1 should not be empty"),
        ({"fine_tuning": {"epoch": 1}}, "'fine_tuning.epoch' is unknown; did you mean fine_tuning.epochs?"),
        ({"fine_tuning": 3}, "fine_tuning=3: should name fields and their values"),
        ({"nope": 1}, "parameter 'nope' is unknown; the known ones are preset, run, seed"),
        ({"temperature": 10}, "temperature=10: should be below 10"),
        ({"temperature": float("inf")}, "temperature=inf: should be a finite number"),
        ({"seed": 2**64}, f"seed={2**64}: should be below 4294967296"),
        ({"shots": [float("inf")]}, "shots=[inf]: entry 1 should be a whole number"),
        ({"shots": ["4"]}, "shots=['4']: entry 1 should be a whole number"),
        ({"shots": [10**9]}, "shots=[1000000000]: entry 1 should be at most 9000"),
        ({"test_items": 10**9}, "test_items=1000000000: should be at most 9000"),
        ({"shuffles": 10**9}, "shuffles=1000000000: should be at most 1000"),
        ({"samples": 10**9, "temperature": 1.0}, "samples=1000000000: should be at most 1000"),
        ({"max_tokens": 10**9}, "max_tokens=1000000000: should be at most 1048576"),
        ({"chain_of_thought_tokens": 10**9}, "chain_of_thought_tokens=1000000000: should be at most 1048576"),
        ({"api_requests": 2**63}, f"api_requests={2**63}: {2**63} is more than 64 bits hold"),
        ({"fine_tuning": {"items": 10**9}}, "fine_tuning.items=1000000000: should be at most 9000"),
        ({"fine_tuning": {"epochs": 10**9}}, "fine_tuning.epochs=1000000000: should be at most 10000"),
        ({"fine_tuning": {"learning_rate": 0}}, "fine_tuning.learning_rate=0: should be above 0"),
        (
            {"template_arguments": {"a": float("nan")}},
            "template_arguments.a=nan: should be a text, a finite number, True or False",
        ),
        (
            {"template_arguments": {"a": [1]}},
            "template_arguments.a=[1]: should be a text, a finite number, True or False",
        ),
        ({"system": "\ud800"}, "system='\\ud800': has a sign that no file can hold"),
        ({"models": ["x" * 256]}, f"models=['{'x' * 256}']: entry 1 has 256 signs; should be a name, or a path"),
        ({"ablation_model": "gpt"}, "ablation_model='gpt': is a family, and one model is wanted: api:openai/gpt-3.5"),
        ({"judge": "tiny"}, "judge='tiny': is a family, and one model is wanted: untrained:embedded, embedded"),
        (
            {"fine_tuning_model": "api:openai/gpt-4o"},
            "fine_tuning_model='api:openai/gpt-4o': cannot be tuned; should be 'embedded', a folder or a hub name",
        ),
        ({"fine_tuning_model": "control:coin"}, "fine_tuning_model='control:coin': cannot be tuned"),
        ({"other_forms": ["bare"]}, "other_forms=['bare']: entry 1 should be 'chat' or 'completion'"),
        ({"other_forms": ["chat", "chat"]}, "other_forms=['chat', 'chat']: name each form once: ['chat']"),
        ({"other_form_items": 3}, "other_form_items=3: should be an even number"),
        ({"shuffled_shots": 3}, "shuffled_shots=3: should be an even number"),
        ({"fine_tuning_tasks": []}, "fine_tuning_tasks=[]: name at least one"),
        ({"fresh_shuffles": 4}, "fresh_shuffles=4: should be at most shuffles=3"),
        ({"fresh_shuffles": -1}, "fresh_shuffles=-1: should be at least 0"),
        ({"fine_tuning": {"method": "some"}}, "fine_tuning.method='some': should be 'all' or 'lora'"),
        (
            {"fine_tuning": {"lora_rank": 4}},
            "lora_rank given with method='all': they mean something with method='lora'",
        ),
    ],
)
def test_mistakes_are_named_with_what_would_be_right(parameters: dict, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as refused:
        resolve_htest_config(**parameters)
    assert message in str(refused.value).splitlines()[0]


def test_orders_of_shots_have_seeds_and_the_first_are_asked_on_every_set() -> None:
    config = resolve_htest_config(seed=7, shuffles=3, fresh_shuffles=2)
    assert (list(config.shuffle_seeds), list(config.fresh_seeds)) == ([7, 8, 9], [7, 8])
    assert not resolve_htest_config().fresh_seeds


def test_several_mistakes_are_named_at_once() -> None:
    with pytest.raises(ValueError, match="shots") as refused:
        resolve_htest_config(shots=[4, 7], form="poem", task=3, fine_tuning={"warm_up": 1.5, "epochs": 0})
    begins = [line.split(":")[0] for line in str(refused.value).splitlines()]
    assert begins[:4] == ["shots=[4, 7]", "form='poem'", "fine_tuning.epochs=0", "fine_tuning.warm_up=1.5"]
    assert "'task' is unknown" in begins[4]


@pytest.mark.parametrize(
    "wrong",
    [{"items": 0}, {"epochs": 0}, {"batch_size": 0}, {"evaluations_per_epoch": 0}, {"learning_rate": 0.0},
     {"learning_rate": float("nan")}, {"weight_decay": -0.1}, {"seed": -1}, {"warm_up": 1.0}],
)  # fmt: skip
def test_a_recipe_that_cannot_be_is_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        FineTuning(**wrong)


def test_the_probes_are_scored_before_at_even_distances_and_at_the_end() -> None:
    recipe = FineTuning(items=1000, epochs=3, batch_size=32, evaluations_per_epoch=4)
    assert recipe.steps_per_epoch == 32
    assert recipe.evaluated_steps == [0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96]
    assert FineTuning(items=4, epochs=2, batch_size=4, evaluations_per_epoch=3).evaluated_steps == [0, 1, 2]


def test_every_field_has_a_sentence_in_its_schema() -> None:
    for config in (HTestConfig, FineTuning):
        assert all(field.description for field in config.model_fields.values())
    assert HTestConfig.model_json_schema()["properties"]["form"]["enum"] == ["auto", "chat", "completion"]


def test_nobody_changes_a_config() -> None:
    with pytest.raises(ValueError, match="frozen"):
        PRESETS["smoke"].shots = (2,)


# What results/ and the runs of earlier releases carry.
HASHES = {
    "tiny": "feaa73c329c3b0de0e7bcdc6202c3e017d9bdedc29f4ffb1c52fcb48b0a9c58e",
    "smoke": "76188fc60579bc1385f4709442b00c15abe55529fdd27487f053e5fffaba232d",
    "pythia-160m": "9bc2b0e02f34847836269bd8e52ca1d4bad03bb0ebd12fb0a0546291eee98f86",
}


@pytest.mark.parametrize("name", HASHES)
def test_the_hash_of_a_preset_stays_as_it_was(name: str) -> None:
    assert PRESETS[name].sha256() == HASHES[name]


def test_what_came_later_and_is_not_set_is_in_no_hash_and_in_no_recipe_that_is_kept() -> None:
    config: HTestConfig = resolve_htest_config(preset="smoke")
    assert config.replace(other_forms=["chat"]).sha256() != config.sha256()
    assert config.replace(fine_tuning={"method": "lora"}).sha256() != config.sha256()
    assert not config.fine_tuning.as_stored().keys() & {"method", "lora_rank", "lora_alpha"}
    lora = config.fine_tuning.replace(method="lora", lora_rank=4)
    assert lora.as_stored().items() >= {"method": "lora", "lora_rank": 4}.items()
    assert (config.fine_tuning.trained, lora.trained) == ("all weights", "LoRA of rank 4")


def test_orders_have_the_most_shots_unless_a_number_is_given() -> None:
    assert resolve_htest_config(ablation_shots=[0, 4, 28]).ordered_shots == 28
    assert resolve_htest_config(ablation_shots=[0, 4, 28], shuffled_shots=14).ordered_shots == 14


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


def test_tasks_may_be_any_in_the_papers_order() -> None:
    assert resolve_htest_config(tasks=["rhyme", "uppercase", "rhyme"]).tasks == ("uppercase", "rhyme")
    assert len(resolve_htest_config().tasks) == 10
    with pytest.raises(ValueError, match=r"tasks.*\['rhymes'\] unknown; choose among uppercase"):
        resolve_htest_config(tasks=["rhymes"])


def test_several_samples_need_a_temperature() -> None:
    assert resolve_htest_config(samples=5, temperature=0.7).samples == 5
    with pytest.raises(ValueError, match=r"samples=5: at temperature 0"):
        resolve_htest_config(samples=5)


def test_what_the_kit_tells_a_template_cannot_be_told_otherwise() -> None:
    assert resolve_htest_config(template_arguments={"enable_thinking": False}).template_arguments
    with pytest.raises(ValueError, match="add_generation_prompt cannot be given"):
        resolve_htest_config(template_arguments={"add_generation_prompt": False})
