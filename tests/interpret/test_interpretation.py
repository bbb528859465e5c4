"""Which SAEs of a run stand side by side, what they read, and when a folder is another one's."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from saelib.interpret.interpretation import Interpretation, open_interpretation
from saelib.interpret.lineages import check_looked_at
from saelib.interpret.same_saes import check_same_saes
from saelib.interpret.subjects import OWN, Lineage, Subject
from saelib.language.corpus.rows import ShuffledRows
from saelib.results.values import read_values, record_values
from saelib.run.files import write_json
from saelib.run.lock import writing
from saelib.run.reading import read_json
from saelib.sae.training.divergence import note_divergence
from saelib.transfer.plans import scratch_plans
from tests.helpers.small_interpretations import BUDGETS, CONTEXT, D_SAE, HELD_OUT

Copy = Callable[..., Interpretation]
END = BUDGETS[-1]


def named(lineages: list[Lineage]) -> set[tuple[str, int, int]]:
    return {(lineage.arm, lineage.act_layer, lineage.seed) for lineage in lineages}


def test_opening_writes_nothing(interpretation: Interpretation, copy_interpretation: Copy) -> None:
    copy = copy_interpretation()
    assert not copy.interpret_folder.exists()
    assert copy.folder.name == interpretation.folder.name
    assert "12 features of each SAE" in repr(copy)


def test_every_transfer_from_a_neighbour_stands_beside_its_source_and_its_layers_own(
    interpretation: Interpretation,
) -> None:
    found = {(one.arm, one.act_layer): one for one in interpretation.lineages()}
    ways = [(way, layer) for way, layers in (("forward", (1, 2)), ("backward", (0, 1))) for layer in layers]
    assert {*found} == {(f"{way}{start}", layer) for way, layer in ways for start in ("", "_affine")}
    mapped = found["backward_affine", 1]
    source, own = Subject("scratch", 2, 2, 0, END), Subject("scratch", 1, 1, 0, END)
    assert mapped == Lineage(source, source.at(1), Subject("backward_affine", 1, 1, 0, END), own, own)


def test_layers_arms_and_replicates_are_those_that_are_asked_for(copy_interpretation: Copy) -> None:
    copy = copy_interpretation(
        feature_layers=[1], circuit_layers=[0, 2], feature_arms=["forward", "backward"], circuit_seeds=2
    )
    assert named(copy.lineages()) == {("forward", 1, 0), ("backward", 1, 0)}
    assert named(copy.circuit_lineages()) == {("forward", 2, 0), ("forward", 2, 1), ("backward", 0, 0),
                                              ("backward", 0, 1)}  # fmt: skip
    ways = (("forward", 1), ("forward", 2), ("backward", 0), ("backward", 1))
    assert named(copy.all_lineages()) == {(*way, seed) for way in ways for seed in (0, 1)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"feature_layers": [1, 7]}, r"feature_layers=\[1, 7\]: the run has no transfers of \[7\]; choose from \[0, 1"),
        ({"circuit_layers": [3]}, r"circuit_layers=\[3\]: the run has no transfers of \[3\]"),
        ({"feature_arms": ["forward_2"]}, r"feature_arms=\['forward_2'\]: .*choose from \['forward', 'forward_affine'"),
        ({"feature_seeds": 3}, "feature_seeds=3: the run has 2 replicates"),
    ],
)
def test_what_the_run_does_not_have_is_named(copy_interpretation: Copy, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        copy_interpretation(**changes).lineages()


def diverge(copy: Interpretation, subject: Subject, from_tokens: int) -> None:
    folder = copy.folder_of(subject)
    lineage = {"arm": subject.arm, "sae_layer": subject.sae_layer, "seed": subject.seed}
    note_divergence(folder.parent, lineage, 3, from_tokens)


def test_where_one_diverged_the_lineage_is_left_out(copy_interpretation: Copy) -> None:
    copy = copy_interpretation(feature_arms=["forward", "backward"], feature_seeds=2)
    second = {("forward", 1, 1), ("forward", 2, 1), ("backward", 0, 1), ("backward", 1, 1)}
    diverge(copy, Subject("scratch", 0, 0, 0, END), END)  # forward at 1 starts from it, backward at 0 is compared
    assert named(copy.lineages()) == {("forward", 2, 0), ("backward", 1, 0)} | second
    diverge(copy, Subject("forward", 2, 2, 0, END), END)
    assert named(copy.lineages()) == {("backward", 1, 0)} | second
    assert copy.at_checkpoints(Subject("forward", 2, 2, 0, END)) == [
        Subject("forward", 2, 2, 0, tokens) for tokens in BUDGETS[:-1]
    ]


def test_every_checkpoint_of_a_training_is_a_subject(interpretation: Interpretation) -> None:
    one = Subject("backward", 1, 0, 1, END)
    assert [found.tokens for found in interpretation.at_checkpoints(one)] == BUDGETS
    assert {found.at(1) for found in interpretation.at_checkpoints(one)} == {
        Subject("backward", 1, 1, 1, tokens) for tokens in BUDGETS
    }


def test_saes_are_read_with_decoder_rows_of_unit_norm_and_without_gradients(interpretation: Interpretation) -> None:
    for subject in interpretation.lineages()[0]:
        sae = interpretation.sae(subject)
        assert sae.d_sae == D_SAE and not sae.W_dec.requires_grad
        torch.testing.assert_close(sae.W_dec.norm(dim=1), torch.ones(D_SAE))
        assert sae.lineage["arm"] == subject.arm


def test_held_out_rows_come_first_and_rows_of_the_training_text_behind_them(interpretation: Interpretation) -> None:
    rows, corpus = interpretation.rows(), interpretation.experiment.corpus
    assert rows.shape == (HELD_OUT + interpretation.config.text_rows, CONTEXT)
    assert interpretation.held_out_count == HELD_OUT
    np.testing.assert_array_equal(rows[:HELD_OUT], corpus.held_out)
    np.testing.assert_array_equal(rows[HELD_OUT:], corpus.train.take(0, len(rows) - HELD_OUT))
    assert interpretation.skipped == 0


def test_the_hash_of_several_saes_is_one_and_depends_on_each(interpretation: Interpretation) -> None:
    first, second, *_ = interpretation.lineages()[-1]  # the source twice
    own = interpretation.lineages()[-1].scratch
    assert interpretation.sha256(first) == interpretation.sha256(second)  # one SAE, whatever it reads
    assert len({interpretation.sha256(first), interpretation.sha256(own), interpretation.sha256(first, own),
                interpretation.sha256(own, first)}) == 4  # fmt: skip


def test_a_part_of_another_sae_is_refused_and_one_of_a_deleted_sae_is_not(copy_interpretation: Copy) -> None:
    copy = copy_interpretation()
    subject, other = Subject("scratch", 0, 0, 0, END), Subject("scratch", 1, 1, 0, END)
    part = pd.DataFrame({"value": [1.0, 2.0]}).assign(sae_sha256=copy.sha256(subject))
    check_same_saes(copy, part, Path("x.parquet"), subject)
    with pytest.raises(ValueError, match=r"x\.parquet was made of another SAE than scratch L1 seed 0, 2,048 tokens as"):
        check_same_saes(copy, part, Path("x.parquet"), other)
    copy.folder_of(other).rename(copy.folder_of(other).with_name("moved"))
    check_same_saes(copy, part, Path("x.parquet"), other)


def test_results_claim_the_folder_for_their_config_and_inputs(copy_interpretation: Copy) -> None:
    copy = copy_interpretation()
    with writing(copy):
        copy.table("likeness").write("one", pd.DataFrame({"value": [1.0]}).assign(**copy.origin()))
    kept = read_json(copy.interpret_folder / "config.json")
    assert kept["features"] == 12
    assert kept["inputs"]["experiment"] == copy.experiment.config.sha256()
    assert kept["inputs"].keys() >= {"language_model", "corpus", "library"}
    record_values(copy, "20_features", {"mmcs": []})
    assert read_values(copy, "20_features") == {"mmcs": []}


def parameters(copy: Interpretation) -> dict[str, Any]:
    config = copy.experiment.config
    return {"preset": "smoke", "run": config.run, "language_model": config.language_model, "corpus": config.corpus,
            "layers": [0, 1, 2], "scratch": {"checkpoints": BUDGETS}, "transfer": {"checkpoints": BUDGETS},
            "feature_layers": None, "circuit_layers": None}  # fmt: skip


def test_another_config_is_refused_unless_only_more_is_asked_for(copy_interpretation: Copy) -> None:
    copy = copy_interpretation()
    with writing(copy):
        pass
    with pytest.raises(
        FileExistsError, match=r"features was 12, is None.*or delete .*interpret, and all in it is made"
    ):
        open_interpretation(**parameters(copy) | {"features": None})
    more = open_interpretation(**parameters(copy) | {"feature_seeds": 2, "circuit_tasks": ["ioi"]})
    with writing(more):
        pass
    assert read_json(copy.interpret_folder / "config.json")["feature_seeds"] == 2


def test_a_folder_whose_saes_were_trained_otherwise_is_refused(copy_interpretation: Copy) -> None:
    copy = copy_interpretation()
    with writing(copy):
        pass
    path = copy.interpret_folder / "config.json"
    content = read_json(path)
    write_json(path, content | {"inputs": content["inputs"] | {"experiment": "f" * 64}})
    with pytest.raises(FileExistsError, match="made from another content"):
        open_interpretation(**parameters(copy))


def test_a_parameter_that_no_config_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="featurs"):
        open_interpretation(preset="smoke", featurs=3)


def test_a_source_from_elsewhere_is_the_source_of_every_transfer(
    interpretation: Interpretation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = interpretation.folder_of(Subject("scratch", 1, 1, 0, END))
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path))
    own = open_interpretation(**parameters(interpretation) | {"run": "own", "source": str(folder)})
    found = {(one.arm, one.act_layer): one for one in own.lineages()}
    assert {*found} == {("forward", 2), ("forward_affine", 2), ("backward", 0), ("backward_affine", 0)}
    source = found["forward", 2].source
    assert source == Subject(OWN, 1, 1, 0, END) and own.folder_of(source) == folder
    torch.testing.assert_close(own.sae(source).W_dec, interpretation.sae(Subject("scratch", 1, 1, 0, END)).W_dec)
    assert own.at_checkpoints(source) == [source]


def test_a_run_of_one_layer_is_told_that_it_has_no_transfers() -> None:
    one = open_interpretation(preset="smoke", run="one", layers=[1], feature_layers=None, circuit_layers=None)
    with pytest.raises(ValueError, match="this run has scratch SAEs only: name two layers or more"):
        check_looked_at(one.config, [])
    with pytest.raises(ValueError, match="this run has scratch SAEs only"):
        check_looked_at(one.config, scratch_plans([1], one.experiment.config))


def test_a_replicate_that_diverged_gives_its_place_to_a_sound_one(copy_interpretation: Copy) -> None:
    copy = copy_interpretation(feature_arms=["forward", "backward"])
    diverge(copy, Subject("backward", 0, 0, 0, END), END)
    ways = (("forward", 1), ("forward", 2), ("backward", 0), ("backward", 1))
    assert named(copy.lineages()) == {(*way, 1) for way in ways}  # whole: arms are compared within a replicate
    both = copy_interpretation_of(copy, feature_seeds=2)
    assert named(both.lineages()) == {(*way, seed) for way in ways for seed in (0, 1)} - {("backward", 0, 0)}


def copy_interpretation_of(copy: Interpretation, **changes: Any) -> Interpretation:
    return Interpretation(copy.config.replace(**changes), copy.experiment)


def test_more_text_than_there_is_is_read_once(copy_interpretation: Copy) -> None:
    copy = copy_interpretation(text_rows=10**6)
    train = copy.experiment.corpus.train
    assert isinstance(train, ShuffledRows)
    assert sorted(map(bytes, copy.rows()[HELD_OUT:])) == sorted(map(bytes, train.rows))


def test_parts_whose_config_is_gone_are_not_added_to(copy_interpretation: Copy) -> None:
    copy = copy_interpretation()
    with writing(copy):
        copy.table("likeness").write("one", pd.DataFrame({"value": [1.0]}))
    (copy.interpret_folder / "config.json").unlink()
    with pytest.raises(FileExistsError, match=r"config\.json is gone, .* parts of likeness .*or delete .*interpret,"):
        copy.claim()
    copy.interpret_folder.rename(copy.folder / "elsewhere")
    copy.claim()


def test_a_file_in_place_of_the_folder_is_named(copy_interpretation: Copy) -> None:
    copy = copy_interpretation()
    copy.interpret_folder.write_text("mine")
    with pytest.raises(FileExistsError, match="interpret is a file, and results go into a folder of that name"):
        copy.claim()


def test_stored_results_are_those_of_presets_that_keep_some_of_this_room(
    copy_interpretation: Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = copy_interpretation(stored=False)
    monkeypatch.setattr("saelib.run.stored.RESULTS", tmp_path)
    stored = Interpretation(copy.config.replace(stored=True), copy.experiment)
    (tmp_path / "tiny" / "values").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="the repository keeps none; leave out stored"):
        stored.check()
    (tmp_path / "smollm2" / "interpret").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="keeps those of the preset smollm2 as it is; leave out stored"):
        stored.check()
