"""Circuits as stages of a run: what is made, found again, left out and refused."""

import dataclasses
import itertools
import shutil
import warnings
from collections.abc import Iterator
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from saelib.interpret import parts
from saelib.interpret.circuits import asking, reference, study
from saelib.interpret.circuits.asking import Asker, Finder, rows_beginning
from saelib.interpret.circuits.facts import Questions
from saelib.interpret.circuits.tables import attribution_curves, circuit_scores
from saelib.interpret.circuits.tasks import accuracy, library
from saelib.interpret.circuits.tasks.prompts import TaskError
from saelib.interpret.interpretation import Interpretation
from saelib.run.reading import DamagedFileError
from tests.helpers.prompt_pairs import any_tokens
from tests.interpret.conftest import CopyInterpretation

PROMPTS = 12
CHANGES: MappingProxyType[str, Any] = MappingProxyType({
    "circuit_tasks": ["repeats", "ioi"], "circuit_prompts": PROMPTS, "circuit_layers": [1, 2], "feature_layers": [1, 2],
    "feature_arms": ["forward", "backward_affine"], "faithfulness_shares": [0.1, 0.5], "completeness_shares": [0.05],
    "patching_features": 6, "facts": 5,
})  # fmt: skip


@pytest.fixture
def small(copy_interpretation: CopyInterpretation, monkeypatch: pytest.MonkeyPatch) -> Interpretation:
    """A run whose random model "does" a task of random tokens, and "knows" five facts."""
    monkeypatch.setitem(library.TASKS, "repeats", library.Task("any tokens", any_tokens))
    monkeypatch.setattr(accuracy, "LEAST", 0.0)
    monkeypatch.setattr(accuracy, "LEAST_FALL", -np.inf)
    random = np.random.default_rng(0)
    prompts = tuple(tuple(random.integers(300, size=length).tolist()) for length in (9, 7, 9, 8, 7))
    known = Questions("facts", prompts, np.arange(5), np.arange(5) + 10, 1.0, 8)
    monkeypatch.setattr(asking, "questions_for", lambda *arguments: known)
    return copy_interpretation(**CHANGES)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Names of the parts that are made, in their order."""
    names: list[str] = []
    plain = parts.make_parts

    def noting(interpretation: Interpretation, name: str, asked: Any, make: Any, *others: Any) -> pd.DataFrame:
        def noted(part: str) -> pd.DataFrame:
            names.append(f"{name}/{part}")
            return make(part)

        return plain(interpretation, name, asked, noted, *others)

    monkeypatch.setattr(study, "make_parts", noting)
    yield names


def test_attribution_has_every_checkpoint_of_transfers_and_scratch_of_their_layers(small: Interpretation) -> None:
    table = study.run_attribution(small)
    saes = table[["arm", "act_layer", "tokens"]].drop_duplicates()
    # Forward has layers 1 and 2; backward, of layers 1 and 2, has 1 alone; scratch both: 5 SAEs at 3 checkpoints.
    assert len(saes) == 15
    assert {tuple(key) for key in saes[["arm", "act_layer"]].to_numpy()} == {
        ("forward", 1), ("forward", 2), ("backward_affine", 1), ("scratch", 1), ("scratch", 2)
    }  # fmt: skip
    assert set(saes["tokens"]) == {0, 1024, 2048}
    assert (table.groupby(["arm", "act_layer", "tokens"])["prompt"].nunique() == 5).all()
    assert set(table["kind"]) == {"facts"}
    assert set(table["wanted"]) == {5} and set(table["tried"]) == {8}
    assert {"sae_sha256", "config_sha256", "commit"} <= set(table)


def test_attribution_is_the_largest_product_of_a_plain_loop(small: Interpretation) -> None:
    table = study.run_attribution(small)
    subject = small.lineages()[0].transferred
    rows = table[(table["arm"] == subject.arm) & (table["tokens"] == subject.tokens)
                 & (table["act_layer"] == subject.act_layer)]  # fmt: skip
    asked, model, sae = Asker(small).questions, small.model.bridge, small.sae(subject)
    for row in rows.itertuples():
        tokens = torch.tensor([asked.prompts[row.prompt]])
        _, cache = model.run_with_cache(tokens)
        name = f"blocks.{subject.act_layer}.hook_resid_post"
        stream = cache[name].detach().requires_grad_()
        logits = model.run_with_hooks(tokens, fwd_hooks=[(name, lambda found, hook, stream=stream: stream)])[0, -1]
        (logits[asked.right[row.prompt]] - logits[asked.wrong[row.prompt]]).backward()
        assert stream.grad is not None
        products = sae.encode(stream[0]) * (stream.grad[0] @ sae.W_dec.T)
        assert row.score == pytest.approx(products[small.skipped :].max().item(), rel=1e-3, abs=1e-5)


def test_circuits_have_every_sae_that_reads_a_layer_and_every_size_and_choice(small: Interpretation) -> None:
    tables = study.run_circuits(small)
    assert tables.tasks["task"].tolist() == ["repeats", "ioi"]
    assert tables.tasks["scored"].tolist() == [True, False]
    assert "first names are one token" in tables.tasks["reason"][1]
    found = tables.faithfulness
    # Layer 1: scratch, forward, backward_affine, zero-shot from 0 and from 2; layer 2: scratch, forward, zero-shot.
    saes = found[["arm", "sae_layer", "act_layer"]].drop_duplicates()
    assert len(saes) == 8
    assert (found.groupby(["arm", "sae_layer", "act_layer"]).size() == 3 * (2 + 1)).all()
    assert set(found["task"]) == {"repeats"}
    assert set(found["choice"]) == {"attribution", "random", "top_activation"}
    assert found.loc[found["share"] == 0.5, "k"].unique().tolist() == [32]  # of 64 features
    patched = tables.patching
    assert set(patched["arm"]) == {"scratch"} and set(patched["act_layer"]) == {1, 2}
    assert patched.groupby("act_layer").size().max() <= 6


def test_scores_follow_from_the_blocks_that_are_kept(small: Interpretation) -> None:
    found = study.run_circuits(small).faithfulness
    for row in found[found["reason"] == ""].itertuples():
        assert len(row.circuit) == len(row.empty) == len(row.model) == PROMPTS  # a prompt is a block here
        score = (sum(row.circuit) - sum(row.empty)) / (sum(row.model) - sum(row.empty))
        assert row.score == pytest.approx(score, rel=1e-3)
    assert (found[found["reason"] != ""]["score"].isna()).all()


def test_prompts_begin_with_no_text_of_the_rows(small: Interpretation) -> None:
    corpus = small.experiment.corpus
    one_row = dataclasses.replace(corpus, held_out=corpus.held_out[:1])  # it shares all its tokens with all rows
    run: Any = SimpleNamespace(experiment=SimpleNamespace(corpus=one_row), model=small.model)
    assert rows_beginning(run) == rows_beginning(small)
    assert len(rows_beginning(run)) == 1


def test_prompts_of_effects_and_of_scores_are_others(small: Interpretation) -> None:
    train, _, test = Finder(small).read("repeats", 1)
    assert len(train) == len(test) == PROMPTS
    assert not {tuple(row) for row in train.tokens.tolist()} & {tuple(row) for row in test.tokens.tolist()}
    assert train.tokens[:, : len(rows_beginning(small))].tolist() == [rows_beginning(small)] * PROMPTS


def test_what_is_there_is_not_made_again(small: Interpretation, made: list[str]) -> None:
    first = study.run_attribution(small), *study.run_circuits(small)
    count = len(made)
    assert count == len(set(made)) == 5 + 2 + 8 + 2
    again = study.run_attribution(small), *study.run_circuits(small)
    assert len(made) == count
    for one, other in zip(first, again, strict=True):
        pd.testing.assert_frame_equal(one, other)
    small.table(study.FAITHFULNESS).place("repeats-scratch-L1-seed0-2048-at1").unlink()
    after = study.run_circuits(small)
    assert made[count:] == ["faithfulness/repeats-scratch-L1-seed0-2048-at1"]
    pd.testing.assert_frame_equal(after.faithfulness, first[2])
    assert "found, finished" in study.circuits_state(small)
    assert "found, finished" in study.attribution_state(small)


def test_stored_results_are_read_from_the_joined_tables_alone(
    small: Interpretation, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = study.run_attribution(small), *study.run_circuits(small)
    for folder in [path for path in small.interpret_folder.iterdir() if path.is_dir()]:
        shutil.rmtree(folder)
    monkeypatch.setattr(small, "config", small.config.replace(stored=True))
    monkeypatch.setattr(Interpretation, "check", lambda run: None)  # that the repository keeps them
    count = len(made)
    found = study.run_attribution(small), *study.run_circuits(small)
    assert len(made) == count
    for one, other in zip(first, found, strict=True):
        pd.testing.assert_frame_equal(one, other)
    assert study.attribution_state(small) == "Attribution over checkpoints: stored results."
    assert study.circuits_state(small) == "Tasks: stored results."


def test_a_part_of_another_sae_is_refused(small: Interpretation) -> None:
    study.run_attribution(small)
    table = small.table(study.ATTRIBUTION)
    part = table.parts[0]
    table.write(part, table.read(part).assign(sae_sha256="of another one"))
    with pytest.raises(ValueError, match="was made of another SAE"):
        study.run_attribution(small)
    table.place(part).write_bytes(b"damaged")
    with pytest.raises(DamagedFileError):
        study.run_attribution(small)


def test_states_say_what_is_missing(small: Interpretation) -> None:
    assert study.attribution_state(small) == "Attribution over checkpoints: 5 of 5 parts are made now."
    assert study.circuits_state(small) == "Tasks: 2 of 2 parts are made now."


def test_a_model_that_can_do_nothing_has_no_circuits(small: Interpretation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accuracy, "LEAST", 1.0)
    tables = study.run_circuits(small)
    assert tables.tasks["reason"][0].startswith("near chance: right on ")
    assert tables.faithfulness.empty and tables.patching.empty
    assert circuit_scores(tables.faithfulness).empty


def test_a_model_that_is_sure_of_nothing_has_no_attribution(
    small: Interpretation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any) -> Questions:
        raise TaskError("it is sure of nothing")

    monkeypatch.setattr(asking, "questions_for", refuse)
    with pytest.warns(UserWarning, match="no attribution: it is sure of nothing"):
        table = study.run_attribution(small)
    assert attribution_curves(table).empty
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study.run_circuits(small)


@pytest.mark.parametrize("change", [{"ablation": "patch"}, {"signed": False}, {"summed": True}, {"integrated_steps": 3},
                                    {"baselines": ["random"]}])  # fmt: skip
def test_each_option_reaches_the_circuits(
    small: Interpretation, change: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    finder, subject = Finder(small), small.circuit_lineages()[0].scratch
    plain = finder.curves("repeats", subject)
    monkeypatch.setattr(small, "config", small.config.replace(**change))
    other = Finder(small).curves("repeats", subject)
    if "baselines" in change:
        assert set(other["choice"]) == {"attribution", "random"}
    else:
        assert not np.allclose(plain["score"], other["score"], equal_nan=True)


def test_other_ways_to_the_same_numbers(small: Interpretation) -> None:
    subject = small.circuit_lineages()[0].transferred
    both = reference.attribution_by_differences(small, subject)
    assert both.ours == pytest.approx(both.other, rel=0.02, abs=1e-4)
    assert reference.whole_circuit_error(small, "repeats", subject) < 1e-4


def test_replicates_have_parts_of_their_own(
    small: Interpretation, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    study.run_attribution(small)
    monkeypatch.setattr(small, "config", small.config.replace(feature_seeds=2))
    before = len(made)
    table = study.run_attribution(small)
    seeds = small.experiment.config.seeds
    assert all(f"seed{seeds[1]}" in part for part in made[before:]) and len(made) == 2 * before
    assert set(table["seed"]) == set(seeds)
    keys = table.groupby(["arm", "act_layer", "seed", "tokens"]).size()
    assert len(keys) == len(list(itertools.product(range(5), range(2), range(3))))


def test_a_task_whose_prompts_no_sae_reads_has_a_reason_and_no_score(
    small: Interpretation, monkeypatch: pytest.MonkeyPatch
) -> None:
    length = 6 + len(rows_beginning(small))
    monkeypatch.setattr(Interpretation, "skipped", length - 1)
    assert Finder(small).prompts("repeats").clean.shape[1] == length
    monkeypatch.setattr(Interpretation, "skipped", length)
    (line,) = Finder(small).accuracy("repeats").to_dict("records")
    assert not line["scored"]
    assert line["reason"] == f"its prompts have {length} tokens, and no SAE of this run reads the first {length}"


def test_a_task_longer_than_the_models_context_has_a_reason_and_no_score(
    small: Interpretation, monkeypatch: pytest.MonkeyPatch
) -> None:
    length = 6 + len(rows_beginning(small))
    monkeypatch.setattr(small.model, "n_ctx", length - 1)
    (line,) = Finder(small).accuracy("repeats").to_dict("records")
    assert line["reason"] == f"its prompts have {length} tokens, and the model reads {length - 1} at most"
