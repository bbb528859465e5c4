import dataclasses
import math
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from saelib.htest.ablations.fine_tuning import check_items, fine_tune
from saelib.htest.ablations.letter_training import encode, fit
from saelib.htest.ablations.tuned_folder import CURVE, DESCRIPTION, check_whole
from saelib.htest.asking.encoded import first_token_text
from saelib.htest.config import FineTuning
from saelib.htest.items.item import Item
from saelib.language.loading import load_language_model
from saelib.run.reading import DamagedFileError, read_json
from tests.helpers.framed_tokenizers import BOS, framed_tokenizer, random_model, save

RECIPE = FineTuning(items=48, epochs=6, batch_size=8, learning_rate=1e-2, evaluations_per_epoch=2)


def marked_items(split: str, count: int, first: int = 0) -> list[Item]:
    """An easy rule: A where the text ends in an exclamation mark."""
    return [
        Item("end_punctuation", split, row, f"text {row} here" + "!?"[row % 2], "AB"[row % 2], ("A", "B"), 0, "toy")
        for row in range(first, first + count)
    ]


TRAIN, PROBES = marked_items("train", 48), {"held out": marked_items("test", 20, first=100)}


@pytest.fixture(scope="module")
def tuned(random_model_folder, tmp_path_factory) -> tuple[Path, pd.DataFrame]:
    folder = tmp_path_factory.mktemp("tuned") / "model"
    return folder, fine_tune(str(random_model_folder), None, TRAIN, PROBES, RECIPE, folder, "cpu")


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(load_language_model(str(folder), "cpu").hugging_face.state_dict())


def test_an_easy_rule_is_learnt_and_holds_for_new_texts(tuned):
    curve = tuned[1][tuned[1].probe == "held out"]
    assert curve.loss.iloc[0] > 3  # a random model spreads its guess over 320 tokens
    assert curve.loss.iloc[-1] < math.log(2)  # less than of a coin between the two letters
    assert curve.accuracy.iloc[-1] == 1.0


def test_the_curve_has_a_row_for_each_evaluated_step_and_probe(tuned):
    held_out, training = (tuned[1][tuned[1].probe == probe] for probe in ("held out", "training"))
    assert held_out.step.tolist() == list(range(0, 37, 3))
    assert held_out.items_seen.tolist() == [8 * step for step in held_out.step]
    assert training.step.tolist() == held_out.step.tolist()[1:]
    assert training.loss.iloc[-1] < training.loss.iloc[0]


def test_the_training_rows_are_means_of_the_batches_since_the_row_before(tuned, random_model_folder):
    base = load_language_model(str(random_model_folder), "cpu")
    losses = [step.scores.loss for step in fit(base.hugging_face, encode(TRAIN, base), RECIPE)]
    training = tuned[1][tuned[1].probe == "training"]
    assert training.loss.tolist() == pytest.approx(np.mean(np.reshape(losses, (-1, 3)), axis=1))


def test_the_saved_folder_gives_the_last_scores_of_the_curve(tuned):
    folder, curve = tuned
    model = load_language_model(str(folder), "cpu")
    letters = [model.tokenizer(letter)["input_ids"][0] for letter in "AB"]
    losses = []
    for item in PROBES["held out"]:
        prompt = torch.tensor([model.tokenizer(f"{item.text}\n")["input_ids"]])
        with torch.no_grad():
            chances = model.hugging_face(prompt).logits[0, -1].log_softmax(-1)
        losses.append(-chances[letters["AB".index(item.label)]].item())
    last = curve[(curve.probe == "held out") & (curve.step == 36)]
    assert sum(losses) / len(losses) == pytest.approx(last.loss.item(), rel=1e-4)


def test_a_finished_folder_is_read_and_not_trained_again(tuned, random_model_folder):
    folder, curve = tuned
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    again = fine_tune(str(random_model_folder), None, TRAIN, PROBES, RECIPE, folder, "cpu")
    pd.testing.assert_frame_equal(again, curve)
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_the_folder_says_what_it_was_made_of(tuned, random_model_folder):
    manifest = read_json(tuned[0] / DESCRIPTION)
    assert manifest["inputs"]["recipe"] == {
        "items": 48,
        "epochs": 6,
        "batch_size": 8,
        "learning_rate": 1e-2,
        "warm_up": 0.1,
        "weight_decay": 0.0,
        "evaluations_per_epoch": 2,
        "seed": 0,
    }  # as earlier releases wrote it
    assert manifest["inputs"]["base_revision"] == load_language_model(str(random_model_folder), "cpu").revision
    assert manifest["weights"] == manifest["trained_weights"] > 0 and "versions" not in manifest
    assert (tuned[0] / CURVE).is_file()
    assert not list(tuned[0].parent.glob(".*"))  # nothing half-made is left beside it


@pytest.mark.parametrize(
    ("train", "probes", "recipe", "named"),
    [
        (TRAIN, PROBES, RECIPE.replace(learning_rate=1e-3), "another recipe"),
        (marked_items("train", 48, first=200), PROBES, RECIPE, "another training_items"),
        (TRAIN, {"held out": PROBES["held out"][:10]}, RECIPE, "another probes"),
    ],
)
def test_a_folder_of_other_inputs_is_refused(tuned, random_model_folder, train, probes, recipe, named):
    with pytest.raises(ValueError, match=named):
        fine_tune(str(random_model_folder), None, train, probes, recipe, tuned[0], "cpu")


def test_a_folder_with_other_things_in_it_is_left_alone(random_model_folder, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="choose another folder"):
        fine_tune(str(random_model_folder), None, TRAIN, PROBES, RECIPE, tmp_path, "cpu")
    assert (tmp_path / "thesis.txt").is_file()


def test_the_seed_decides_the_weights_to_the_bit(tuned, random_model_folder, tmp_path):
    torch.rand(3)  # what was drawn before is no part of it
    for seed in (0, 1):
        recipe = RECIPE.replace(seed=seed)
        fine_tune(str(random_model_folder), None, TRAIN, PROBES, recipe, tmp_path / str(seed), "cpu")
    first, same, other = weights(tuned[0]), weights(tmp_path / "0"), weights(tmp_path / "1")
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize(("trained", "tested"), [("Text!", "TEXT!"), ("TEXT!", "text!"), ("text!", "text!")])
def test_a_training_text_in_a_probe_is_refused_whatever_its_case(trained, tested):
    train = [*TRAIN[:-1], dataclasses.replace(TRAIN[-1], text=trained)]
    probe = [dataclasses.replace(TRAIN[-1], split="test", text=tested)]
    with pytest.raises(ValueError, match=f"'{tested}' of the probe 'leak'"):
        check_items(train, {"leak": probe}, RECIPE)


@pytest.mark.parametrize(
    ("train", "probes", "message"),
    [
        (TRAIN[:-1], PROBES, "47 training items were given and the recipe says 48"),
        ([*TRAIN[:-1], dataclasses.replace(TRAIN[-1], split="test")], PROBES, "test/47 is no training item"),
        ([*TRAIN[:-1], dataclasses.replace(TRAIN[-1], task="rhyme")], PROBES, "rhyme/train/47 is no training item"),
        (TRAIN, {"nothing": []}, "probe 'nothing' with 0 items"),
        (TRAIN, {"training": PROBES["held out"]}, "another name than training"),
    ],
)
def test_items_that_do_not_fit_are_refused(train, probes, message):
    with pytest.raises(ValueError, match=message):
        check_items(train, probes, RECIPE)


def test_another_first_token_is_another_model_and_a_saved_one_keeps_it(tmp_path):
    base, folder = save(random_model(framed_tokenizer()), tmp_path / "base"), tmp_path / "tuned"
    first = fine_tune(str(base), None, TRAIN, PROBES, RECIPE, folder, "cpu")
    assert fine_tune(str(base), None, TRAIN, PROBES, RECIPE, folder, "cpu").equals(first)
    assert first_token_text(load_language_model(str(folder), "cpu").tokenizer) == BOS
    with pytest.raises(ValueError, match="another first_token"):
        fine_tune(str(base), None, TRAIN, PROBES, RECIPE, folder, "cpu", "none")
    assert not fine_tune(str(base), None, TRAIN, PROBES, RECIPE, tmp_path / "none", "cpu", "none").equals(first)


def spoilt(tuned: tuple[Path, pd.DataFrame], folder: Path) -> Path:
    return Path(shutil.copytree(tuned[0], folder))


@pytest.mark.parametrize("name", ["model.safetensors", CURVE, DESCRIPTION, "config.json", "manifest.json"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "absent", "empty"])
def test_a_tuned_model_of_which_a_file_is_damaged_is_refused(tuned, random_model_folder, tmp_path, name, damage):
    folder = spoilt(tuned, tmp_path / "model")
    path = folder / name
    content = path.read_bytes()
    middle = len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    path.write_bytes({"cut": content[:middle], "empty": b"", "absent": b"", "flipped": flipped}[damage])
    if damage == "absent":
        path.unlink()
        if name in ("manifest.json", DESCRIPTION):  # an earlier release had no manifest; and what is this folder?
            return
    with pytest.raises(DamagedFileError, match=rf"{name}.*delete that folder, and the model is tuned again"):
        fine_tune(str(random_model_folder), None, TRAIN, PROBES, RECIPE, folder, "cpu")


def test_weights_of_another_tuned_model_are_refused(tuned, random_model_folder, tmp_path):
    folder = spoilt(tuned, tmp_path / "model")
    shutil.copyfile(random_model_folder / "model.safetensors", folder / "model.safetensors")
    with pytest.raises(DamagedFileError, match=r"model\.safetensors is not what manifest\.json says"):
        check_whole(folder)


def test_tasks_of_one_recipe_are_tuned_by_one_library(tuned, random_model_folder, tmp_path, monkeypatch):
    spoilt(tuned, tmp_path / "rhyme")
    monkeypatch.setattr("saelib.htest.ablations.fine_tuning.code_digest", lambda *rooms: "f" * 64)
    asked = (str(random_model_folder), None, TRAIN, PROBES)
    with pytest.raises(FileExistsError, match=r"rhyme was tuned by another version .*is f{12}\).*delete that folder"):
        fine_tune(*asked, RECIPE, tmp_path / "uppercase", "cpu")
    assert not (tmp_path / "uppercase").exists()
    fine_tune(*asked, RECIPE, tmp_path / "rhyme", "cpu")  # what is finished is read
    fine_tune(*asked, RECIPE.replace(epochs=1), tmp_path / "other", "cpu")  # another recipe is another comparison
