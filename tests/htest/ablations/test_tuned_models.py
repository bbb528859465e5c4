"""Fine-tuning inside a study: nothing that is tested was trained on, and tuned models are asked like any other."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from saelib.htest.ablations.tuned_models import (
    FRESH_WORDS,
    SEEN_WORDS,
    TEST,
    ask_tuned,
    budget_table,
    probe_items,
    training_items,
    tune_all,
    tune_task,
    tuned_folder,
    tuned_table,
)
from saelib.htest.config import TUNED, resolve_htest_config
from saelib.htest.items.generators import fresh_items
from saelib.htest.items.item import Item
from saelib.htest.items.words import Vocabulary, split_vocabulary
from saelib.htest.respondents import Respondent, local_respondent
from saelib.htest.scoring.accuracy import accuracies_of
from saelib.htest.scoring.names import shown_items
from saelib.htest.scoring.readings import readings_of
from saelib.htest.scoring.stored import score_study
from saelib.htest.stages import stored_count, stored_replies
from saelib.htest.study import Study
from saelib.htest.tasks import TASKS
from saelib.language.loading import load_language_model
from saelib.results.values import record_values
from tests.helpers.made_items import VOCABULARY, letter_tokenizer
from tests.helpers.small_studies import TEST_ITEMS, few_items, small_study
from tests.helpers.small_world import files_below
from tests.htest.items.test_words import HOLDS_TOGETHER

RECIPE = {"items": 8, "epochs": 1, "batch_size": 4, "evaluations_per_epoch": 1}
SHOTS = (2, 4)


def words_in(texts: list[str]) -> set[str]:
    return {word for text in texts for word in re.findall(r"[a-z0-9-]*[a-z0-9]|[^\w\s.,!?()']", text.lower())}


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model with room for shots, whose tokenizer knows the letters with and without a blank."""
    folder = tmp_path_factory.mktemp("with_letters")
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = GPTNeoXConfig(**sizes, vocab_size=VOCABULARY, max_position_embeddings=1024, eos_token_id=0, bos_token_id=0)
    GPTNeoXForCausalLM(config).save_pretrained(folder)
    letter_tokenizer().save_pretrained(folder)
    return folder


def open_tuning(runs: Path, folder: Path, patch: pytest.MonkeyPatch, **changes: Any) -> Study:
    named: dict[str, Any] = {"fine_tuning_model": str(folder), "fine_tuning": RECIPE, "shots": SHOTS, "device": "cpu"}
    return small_study(runs, patch, **(named | changes))


@pytest.fixture(scope="module")
def tuned(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Study, pd.DataFrame]]:
    """A study in which the model is tuned on all ten tasks, and the learning curves."""
    with pytest.MonkeyPatch.context() as patch:
        study = open_tuning(tmp_path_factory.mktemp("runs"), model_folder, patch)
        yield study, tune_all(study)


@pytest.fixture(scope="module")
def untuned(model_folder: Path) -> Respondent:
    return local_respondent(load_language_model(str(model_folder), "cpu"), str(model_folder))


@pytest.fixture(scope="module")
def large() -> Study:
    """A study as large as the paper's: 1,000 training items and 200 test items; its items are made in memory."""
    study = Study(resolve_htest_config(preset="tiny", official="none", run="large"))
    study.__dict__["items"] = fresh_items(0, test=200)
    return study


@pytest.mark.parametrize("task", TASKS)
def test_training_texts_are_in_no_probe_and_no_shot(large: Study, task: str) -> None:
    probes = probe_items(large, task)
    train = training_items(large, task, probes)
    assert len(train) == 1000
    assert {(item.split, item.task) for item in train} == {("train", task)}
    assert [len(items) for items in probes.values()] == [200, 200, 200]
    trained = {without_case_and_order(item) for item in train}
    tested = [item for items in probes.values() for item in items]
    shots = [item for item in large.items if item.task == task and item.split == "dev"]
    assert not trained & {without_case_and_order(item) for item in [*tested, *shots]}


def without_case_and_order(item: Item) -> str:
    """A text; that of two words to rhyme in alphabetical order."""
    text = item.text.casefold()
    return " ".join(sorted(text.split())) if item.task == "rhyme" else text


@pytest.mark.parametrize("task", TASKS)
def test_fresh_words_were_not_seen_in_training(large: Study, task: str) -> None:
    probes = probe_items(large, task)
    trained = words_in([item.text for item in training_items(large, task, probes)])
    seen, fresh = (words_in([item.text for item in probes[name]]) for name in (SEEN_WORDS, FRESH_WORDS))
    assert fresh & trained <= HOLDS_TOGETHER
    assert len(fresh - HOLDS_TOGETHER) > 20
    if task != "palindrome":  # its words are made up: none comes twice
        assert len(seen & trained - HOLDS_TOGETHER) > 20


def test_only_the_tasks_that_are_named_are_tuned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path))
    some = Study(resolve_htest_config(preset="smoke", run="some", tasks=["uppercase", "rhyme"],
                                      fine_tuning_tasks=["rhyme", "palindrome"]))  # fmt: skip
    assert some.tuned_tasks == ("rhyme",)
    monkeypatch.setattr(
        "saelib.htest.ablations.tuned_models.tune_task", lambda study, task: pd.DataFrame({"task": [task]})
    )
    assert tune_all(some)["task"].tolist() == ["rhyme"]
    monkeypatch.setattr(Study, "main_tasks", ("uppercase",))
    with pytest.raises(ValueError, match=r"fine_tuning_tasks=\['palindrome', 'rhyme'\]: the set fresh-2 has none"):
        tune_all(some)


def test_probes_say_where_they_come_from(large: Study) -> None:
    probes = probe_items(large, "rhyme")
    assert list(probes) == [SEEN_WORDS, FRESH_WORDS, TEST]
    item_sets = {name: {item.item_set for item in items} for name, items in probes.items()}
    assert item_sets == {SEEN_WORDS: {"fresh-2-seen-words"}, FRESH_WORDS: {"fresh-2-fresh-words"}, TEST: {"fresh-2"}}
    keys = [item.key for items in probes.values() for item in items]
    assert len(set(keys)) == len(keys)
    assert probes[TEST] == [item for item in large.items if (item.task, item.split) == ("rhyme", "test")]
    assert all(sum(item.label == "A" for item in items) == 100 for items in probes.values())


def test_the_seed_of_the_run_decides_probes_and_training_items(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = []
    for run, seed in (("one", 0), ("same", 0), ("two", 1)):
        study = open_tuning(tmp_path, model_folder, monkeypatch, run=run, seed=seed)
        probes = probe_items(study, "rhyme")
        texts.append([item.text for item in [*training_items(study, "rhyme", probes), *probes[FRESH_WORDS]]])
    assert texts[0] == texts[1] != texts[2]


def test_each_task_has_a_model_and_a_learning_curve(tuned: tuple[Study, pd.DataFrame]) -> None:
    study, curves = tuned
    assert list(dict.fromkeys(curves["task"])) == list(TASKS)
    assert sorted(path.name for path in (study.folder / "htest" / "tuned").iterdir()) == sorted(TASKS)
    (curve,) = [group for task, group in curves.groupby("task") if task == "rhyme"]
    assert set(curve["probe"]) == {SEEN_WORDS, FRESH_WORDS, TEST, "training"}
    assert set(curve["items_seen"]) == {0, 8}
    assert curve.groupby("probe")["loss"].nunique().drop("training").eq(2).all()  # something was learnt


def test_the_budget_says_what_was_spent_and_an_earlier_release_did_not_note_all(
    tuned: tuple[Study, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    study, _ = tuned
    (line,) = [line for line in budget_table(study).to_dict("records") if line["task"] == "end ly"]
    recipe = study.config.fine_tuning
    steps = recipe.epochs * -(-recipe.items // recipe.batch_size)
    assert (line["items"], line["epochs"], line["steps"]) == (recipe.items, recipe.epochs, steps)
    assert line["learns, of all weights"] == "100.00%"
    assert float(line["minutes, probes scored"]) >= 0
    monkeypatch.setattr("saelib.htest.ablations.tuned_models.read_description", lambda folder: {"seconds": 90})
    assert set(budget_table(study)["learns, of all weights"]) == {"-"}
    assert set(budget_table(study)["minutes, probes scored"]) == {"1.5"}


def test_what_is_tuned_is_not_tuned_again(tuned: tuple[Study, pd.DataFrame]) -> None:
    study, curves = tuned
    weights = study.folder / "htest" / "tuned" / "rhyme" / "model.safetensors"
    before = weights.stat().st_mtime_ns
    again = tune_task(study, "rhyme")
    pd.testing.assert_frame_equal(again, curves[curves["task"] == "rhyme"].reset_index(drop=True))
    assert weights.stat().st_mtime_ns == before


def test_another_recipe_is_tuned_beside_the_first_and_each_is_found_again(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that has grown, and one that goes back."""
    first = open_tuning(tmp_path, model_folder, monkeypatch, tasks=["rhyme"])
    other = Study(first.config.replace(fine_tuning={"learning_rate": 0.01}))
    curves = [tune_task(study, "rhyme") for study in (first, other)]
    folders = [tuned_folder(study, "rhyme") for study in (first, other)]
    assert folders[0].name == "rhyme" != folders[1].name
    before = [files_below(folder) for folder in folders]
    for study, curve in zip((first, other), curves, strict=True):
        pd.testing.assert_frame_equal(tune_task(study, "rhyme"), curve)
    assert [files_below(folder) for folder in folders] == before
    assert len({content["model.safetensors"] for content in before}) == 2

    replies = [ask_tuned(study, study.respondent(str(model_folder))) for study in (first, other)]
    revisions = [
        {reply.condition.revision for reply in told if reply.condition.model.startswith(TUNED)} for told in replies
    ]
    assert len(revisions[0]) == len(revisions[1]) == 1 and revisions[0] != revisions[1]
    table = score_study(other)
    tuned = table[table["model"].str.startswith(TUNED)]
    assert set(tuned["revision"]) == revisions[0] | revisions[1]
    assert set(tuned["items"]) == {TEST_ITEMS}  # each scored by itself


def test_a_model_that_changed_after_it_was_tuned_is_refused(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = Path(shutil.copytree(model_folder, tmp_path / "mine"))
    study = open_tuning(tmp_path, mine, monkeypatch, tasks=["rhyme", "uppercase"])
    tune_task(study, "rhyme")
    record_values(study, "34_htest_fine_tuning", {})
    weights = load_file(mine / "model.safetensors")
    save_file({name: weight + 1 for name, weight in weights.items()}, mine / "model.safetensors", {"format": "pt"})
    for task in ("rhyme", "uppercase"):
        with pytest.raises(FileExistsError, match=rf"model {mine} was .*, is .*: put the old content back"):
            tune_task(Study(study.config), task)
    with pytest.raises(FileExistsError, match=f"model {mine} was"):
        Study(study.config).respondent(str(mine))
    assert [path.name for path in tuned_folder(study, "rhyme").parent.iterdir()] == ["rhyme"]


def test_tuned_and_untuned_are_asked_bare_on_all_probes_and_with_shots_on_the_test(
    tuned: tuple[Study, pd.DataFrame], untuned: Respondent
) -> None:
    study = tuned[0]
    replies = ask_tuned(study, untuned)
    asked = pd.DataFrame(
        [(reply.condition.model, reply.condition.form, reply.condition.k, reply.item.item_set, reply.item.task)
         for reply in replies],
        columns=["model", "form", "k", "item_set", "task"],
    ).value_counts()  # fmt: skip
    ways = [("bare", 0, f"fresh-2-{words}-words") for words in ("seen", "fresh")]
    ways += [("bare", 0, "fresh-2"), ("completion", max(SHOTS), "fresh-2")]
    models = (untuned.name, TUNED + str(study.config.fine_tuning_model))
    wanted = [(model, *way, task) for model in models for way in ways for task in TASKS]
    assert asked.to_dict() == dict.fromkeys(wanted, TEST_ITEMS)
    assert sorted(reply.item.key for reply in stored_replies(study)) == sorted(reply.item.key for reply in replies)
    assert ask_tuned(study, Respondent(untuned.name, untuned.revision, untuned.form, refuse)) == replies


def refuse(*_: object) -> list:
    raise AssertionError("everything is stored")


def test_each_task_is_answered_by_the_model_that_was_tuned_on_it(
    tuned: tuple[Study, pd.DataFrame], untuned: Respondent
) -> None:
    study, curves = tuned
    replies = [reply for reply in ask_tuned(study, untuned) if reply.condition.form == "bare"]
    last = curves[curves["items_seen"] == 8].set_index(["task", "probe"])["loss"]
    first = curves[curves["items_seen"] == 0].set_index(["task", "probe"])["loss"]
    for task in TASKS:
        for name, losses in ((TUNED, last), (str(study.config.fine_tuning_model), first)):
            mine = [r for r in replies if r.item.task == task and r.item.item_set == "fresh-2"]
            told = [r for r in mine if r.condition.model.startswith(name)]
            assert len(told) == TEST_ITEMS
            loss = -sum((r.log_probabilities or {})[r.item.label] for r in told) / TEST_ITEMS
            assert loss == pytest.approx(losses[task, TEST], abs=1e-4)


def test_with_shots_stand_dev_items_of_the_main_table(tuned: tuple[Study, pd.DataFrame], untuned: Respondent) -> None:
    replies = ask_tuned(tuned[0], untuned)
    shots = [item.text for item in few_items() if item.task == "rhyme" and item.split == "dev"][: max(SHOTS)]
    prompts = [r.prompt for r in replies if r.item.task == "rhyme" and r.condition.form == "completion"]
    assert all(re.findall(r'Input: "(.*?)" Label: [AB]', prompt) == shots for prompt in prompts)


def test_tuned_beside_untuned(tuned: tuple[Study, pd.DataFrame], untuned: Respondent) -> None:
    study = tuned[0]
    accuracies = accuracies_of(readings_of(ask_tuned(study, untuned)))
    table = tuned_table(accuracies, untuned.name)
    assert table[["prompt", "items"]].values.tolist() == [
        ["bare text", "fresh items, seen words"],
        ["bare text", "fresh items, fresh words"],
        ["bare text", "fresh items"],
        ["4 shots", "fresh items"],
    ]
    likelier = accuracies[accuracies["reader"] == "likelier"]
    for line in table.to_dict("records"):
        form = "bare" if line["prompt"] == "bare text" else "completion"
        rows = likelier[(likelier["form"] == form) & (likelier["item_set"].map(shown_items) == line["items"])]
        for column, name in (("untuned", untuned.name), ("tuned", TUNED + untuned.name)):
            mean = rows.loc[rows["model"] == name, "accuracy"].mean()
            assert line[column].startswith(f"{mean:.3f} (")


def test_stored_counts_know_the_probes(tuned: tuple[Study, pd.DataFrame], untuned: Respondent) -> None:
    replies = ask_tuned(tuned[0], untuned)
    bare = next(reply.condition for reply in replies if reply.condition.form == "bare")
    assert stored_count(tuned[0], bare, "fresh-2-seen-words", "uppercase") == TEST_ITEMS


def test_probes_take_their_words_from_the_halves_of_the_vocabulary(large: Study) -> None:
    first, second = split_vocabulary()
    for name, half, other in ((SEEN_WORDS, first, second), (FRESH_WORDS, second, first)):
        words = words_in([item.text for item in probe_items(large, "end_ly")[name]])
        assert words & adverbs(half)
        assert not words & adverbs(other)


def adverbs(half: Vocabulary) -> set[str]:
    return {form for adverb in half.flat_adverbs for form in (adverb, f"{adverb}ly")}
