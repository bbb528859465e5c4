"""Profiles of a small trained run: what is in them, what a killed run keeps, what is found again."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from saelib.interpret.features import profiles
from saelib.interpret.features.chosen import scratch_matches, shown_features
from saelib.interpret.features.frames import feature_frame
from saelib.interpret.features.neighbours import nearest_rows
from saelib.interpret.features.profiles import (
    has_profile,
    living_features,
    make_profiles,
    read_profile,
    source_sample,
)
from saelib.interpret.features.rounds import SAES_AT_ONCE, rounds
from saelib.interpret.features.survey import Survey, survey
from saelib.interpret.interpretation import Interpretation
from saelib.interpret.subjects import Subject
from tests.interpret.conftest import CopyInterpretation


@pytest.fixture(scope="module")
def made(interpretation: Interpretation) -> Interpretation:
    make_profiles(interpretation)
    return interpretation


def one_of(interpretation: Interpretation) -> Subject:
    return interpretation.lineages()[0].transferred


def features_of_rows(interpretation: Interpretation, subject: Subject) -> np.ndarray:
    """Of all rows, by a plain pass; skipped positions are 0."""
    tokens = torch.from_numpy(interpretation.rows()).long()
    stream = interpretation.model.residual_streams(tokens, [subject.act_layer])[0]
    features = interpretation.sae(subject).encode(stream)
    features[:, : interpretation.skipped] = 0
    return features.numpy()


def test_every_sae_of_the_lineages_has_a_profile(made: Interpretation) -> None:
    lineages = made.lineages()
    assert lineages
    for subject in {one for lineage in lineages for one in lineage}:
        profile = read_profile(made, subject)
        assert profile.features.index.tolist() == list(range(64))
        assert set(profile.features["sae_sha256"]) == set(profile.contexts["sae_sha256"]) == {made.sha256(subject)}
        assert profile.features["config_sha256"].nunique() == 1


def test_a_lineage_shows_the_same_indices_and_scratch_the_best_matches(made: Interpretation) -> None:
    for lineage in made.lineages():
        sample = source_sample(made, lineage.source)
        assert len(sample) == made.config.features
        for subject in (lineage.source, lineage.zero_shot, lineage.transferred):
            assert read_profile(made, subject).features.loc[sample, "shown"].all()
        own, others = made.sae(lineage.transferred).W_dec[sample], made.sae(lineage.scratch).W_dec
        cosines = torch.nn.functional.cosine_similarity(own.unsqueeze(1), others.unsqueeze(0), dim=-1)
        alive = living_features(made, lineage.scratch)
        found = scratch_matches(made, lineage, sample, partial(living_features, made)).indices.flatten().tolist()
        assert found == cosines.masked_fill(~torch.from_numpy(alive), -2).argmax(1).tolist()
        assert read_profile(made, lineage.scratch).features.loc[found, "shown"].all()
        source = made.sae(lineage.source).W_dec[sample]
        for subject in (lineage.transferred, lineage.scratch):  # where the source's features may have moved to
            alive = living_features(made, subject)
            moved = nearest_rows(source, made.sae(subject).W_dec, alive=alive).indices.flatten().tolist()
            assert read_profile(made, subject).features.loc[moved, "shown"].all()


def test_contexts_are_those_of_a_naive_sort_of_the_runs_text(made: Interpretation) -> None:
    subject = made.lineages()[-1].zero_shot
    profile, features = read_profile(made, subject), features_of_rows(made, subject)
    counted = features[:, made.skipped :].reshape(-1, 64)
    assert np.allclose(profile.features["density"], (counted > 0).mean(0))
    for feature in profile.features.index[profile.features["shown"]]:
        peaks = features[:, :, feature].max(1)
        order = [row for row in np.argsort(-peaks, kind="stable")[: made.config.top_contexts] if peaks[row] > 0]
        contexts = profile.contexts_of(feature)
        assert contexts["row"].tolist() == order
        assert np.allclose(contexts["activation"], peaks[order], rtol=1e-5)
        for line in contexts.to_dict("records"):
            first = line["position"] - line["peak"]
            ids = made.rows()[line["row"], first : first + len(line["token_ids"])]
            assert line["token_ids"].tolist() == ids.tolist()
            assert line["held_out"] == (line["row"] < made.held_out_count)


def test_a_feature_that_is_not_shown_has_no_contexts(made: Interpretation) -> None:
    profile = read_profile(made, made.lineages()[0].zero_shot)
    hidden = profile.features.index[~profile.features["shown"]]
    assert len(hidden)
    assert profile.contexts_of(int(hidden[0])).empty


def test_what_is_there_is_not_made_again(made: Interpretation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "survey", lambda *arguments: pytest.fail("the text was read again"))
    make_profiles(made)


def test_a_run_that_is_killed_goes_on_with_what_it_lacks(
    copy_interpretation: CopyInterpretation, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = copy_interpretation()
    written: list[str] = []

    def dies_at_the_third(*arguments):
        written.append("")
        if len(written) == 3:
            raise KeyboardInterrupt
        return feature_frame(*arguments)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(profiles, "feature_frame", dies_at_the_third)
        make_profiles(killed)
    subjects = list(dict.fromkeys(one for lineage in killed.lineages() for one in lineage))
    there = [one for one in subjects if has_profile(killed, one)]
    assert len(there) == 2
    before = {one: killed.table("features").place(one.part).read_bytes() for one in there}
    make_profiles(killed)
    assert all(has_profile(killed, one) for one in subjects)
    assert {one: killed.table("features").place(one.part).read_bytes() for one in there} == before


def test_a_run_that_is_killed_while_it_reads_keeps_the_layers_that_it_has_read(
    made: Interpretation, copy_interpretation: CopyInterpretation, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed, read = copy_interpretation(), list[int]()

    def dies_at_the_last(*arguments: Any) -> list[Survey]:
        read.append(arguments[1][0][1])
        if len(read) == 3:
            raise KeyboardInterrupt
        return survey(*arguments)

    monkeypatch.setattr(profiles, "rounds", partial(rounds, least=1))
    monkeypatch.setattr(profiles, "survey", dies_at_the_last)
    with pytest.raises(KeyboardInterrupt):
        make_profiles(killed)
    subjects = list(dict.fromkeys(one for lineage in killed.lineages() for one in lineage))
    there = {one for one in subjects if has_profile(killed, one)}
    # Layers 0 and 1 were read. At layer 0 all is written, at 1 what has its source at 0; the rest waits for layer 2.
    assert read == [0, 1, 2]
    assert {one for one in subjects if one.act_layer == 0} < there
    assert {(one.arm, one.sae_layer) for one in there if one.act_layer == 1} >= {("forward", 1), ("scratch", 0)}
    make_profiles(killed)
    assert read == [0, 1, 2, 1, 2]
    for one in subjects:
        again, whole = read_profile(killed, one), read_profile(made, one)
        unlike = ["shown", "config_sha256"]  # what other tests have shown beside is shown in the whole one
        pd.testing.assert_frame_equal(again.features.drop(columns=unlike), whole.features.drop(columns=unlike))
        assert set(shown(killed, one)) <= set(shown(made, one))
        for feature in shown(killed, one):
            assert again.contexts_of(feature)["position"].tolist() == whole.contexts_of(feature)["position"].tolist()
    for lineage in killed.lineages():
        for one, features in shown_features(killed, [lineage], partial(living_features, killed)).items():
            assert set(features) <= set(shown(killed, one))


def test_layers_are_read_together_until_there_are_enough_and_a_source_of_all_first() -> None:
    ones = [Subject("scratch", layer, layer, seed, 8) for seed in (0, 1, 2) for layer in (2, 0, 1)]
    found = [[one.act_layer for one in group] for group in rounds(ones, least=4)]
    assert found == [[0, 0, 0, 1, 1, 1], [2, 2, 2]]
    elsewhere = Subject("source", 2, 2, 0, 8)
    assert next(rounds([*ones, elsewhere], least=1)) == [elsewhere]
    assert [*rounds(ones)] == [sorted(ones, key=lambda one: one.act_layer)] and len(ones) < SAES_AT_ONCE
    assert [*rounds([])] == []


def test_features_that_are_asked_for_later_join_those_that_are_shown(copy_interpretation: CopyInterpretation) -> None:
    interpretation = copy_interpretation()
    subject = one_of(interpretation)
    make_profiles(interpretation, [subject], {subject: np.array([3, 5])})
    assert shown(interpretation, subject) == [3, 5]
    assert repr(read_profile(interpretation, subject)) == f"Profile({subject}; 64 features, 2 with contexts)"
    make_profiles(interpretation, [subject], {subject: np.array([5, 9])})
    assert shown(interpretation, subject) == [3, 5, 9]
    first = read_profile(interpretation, subject).features.drop(columns="shown")
    make_profiles(interpretation)
    assert {3, 5, 9} < set(shown(interpretation, subject))
    assert first["density"].equals(read_profile(interpretation, subject).features["density"])


def shown(interpretation: Interpretation, subject: Subject) -> list[int]:
    table = read_profile(interpretation, subject).features
    return table.index[table["shown"]].tolist()


def test_dead_features_are_shown_as_nobodys_match(made: Interpretation) -> None:
    lineage = made.lineages()[0]
    last = np.arange(64) >= 32  # as if the first half were dead

    def alive(subject: Subject) -> np.ndarray:
        return last

    found = shown_features(made, [lineage], alive)
    sample = found[lineage.source]
    assert (sample >= 32).all() and (found[lineage.transferred] >= 32).all() and (found[lineage.scratch] >= 32).all()
    assert (scratch_matches(made, lineage, sample, alive).indices >= 32).all()
    assert [*shown_features(made, [lineage], alive, [lineage.scratch])] == [lineage.scratch]


def test_all_features_are_shown_where_none_is_drawn(copy_interpretation: CopyInterpretation) -> None:
    interpretation = copy_interpretation(features=None)
    lineages = interpretation.lineages()[:1]
    make_profiles(interpretation, [lineages[0].source], shown_features(interpretation, lineages, all_alive))
    assert len(shown(interpretation, lineages[0].source)) == 64


def all_alive(subject: Subject) -> np.ndarray:
    return np.ones(64, bool)


def test_profiles_of_an_sae_that_has_changed_are_refused(copy_interpretation: CopyInterpretation) -> None:
    interpretation = copy_interpretation()
    subject = one_of(interpretation)
    make_profiles(interpretation, [subject], {subject: np.array([1])})
    table = interpretation.table("features")
    table.write(subject.part, table.read(subject.part).assign(sae_sha256="another"))
    with pytest.raises(ValueError, match="was made of another SAE than"):
        read_profile(interpretation, subject)
    with pytest.raises(ValueError, match="was made of another SAE than"):
        make_profiles(interpretation)


def test_a_profile_that_is_not_there_says_how_to_have_it(copy_interpretation: CopyInterpretation) -> None:
    interpretation = copy_interpretation()
    assert not has_profile(interpretation, one_of(interpretation))
    with pytest.raises(FileNotFoundError, match="no profile of .* is there; call make_profiles"):
        read_profile(interpretation, one_of(interpretation))


def test_a_model_whose_head_is_no_matrix_has_profiles_without_logit_tokens(
    copy_interpretation: CopyInterpretation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(model: object) -> torch.Tensor:
        raise ValueError("a head that is not one matrix")

    monkeypatch.setattr(profiles, "unembedding", refused)
    interpretation = copy_interpretation()
    subject = one_of(interpretation)
    with pytest.warns(UserWarning, match="not one matrix"):
        make_profiles(interpretation, [subject], {subject: np.array([1])})
    assert all(len(ids) == 0 for ids in read_profile(interpretation, subject).features["top_ids"])


def test_logit_tokens_and_neighbours_are_those_of_the_decoder(made: Interpretation) -> None:
    from saelib.language.unembedding import unembedding

    subject = one_of(made)
    decoder, table = made.sae(subject).W_dec, read_profile(made, subject).features
    logits = decoder @ unembedding(made.model)
    assert as_lists(table["top_ids"]) == logits.argsort(1, descending=True)[:, : made.config.logit_tokens].tolist()
    assert as_lists(table["bottom_ids"]) == logits.argsort(1)[:, : made.config.logit_tokens].tolist()
    near = nearest_rows(decoder, decoder, made.config.neighbours + 1).indices[:, 1:]
    assert as_lists(table["neighbours"]) == near.tolist()


def as_lists(column: Sequence[np.ndarray]) -> list[list[int]]:
    return [line.tolist() for line in column]


def test_more_logit_tokens_than_the_vocabulary_has_are_refused_before_the_text_is_read(
    copy_interpretation: CopyInterpretation, monkeypatch: pytest.MonkeyPatch
) -> None:
    interpretation = copy_interpretation(logit_tokens=1000)
    interpretation.rows()
    monkeypatch.setattr(interpretation.model, "vocabulary", 999)
    with pytest.raises(ValueError, match="logit_tokens=1000: the vocabulary has 999 tokens; take as many at most"):
        make_profiles(interpretation)
    assert not interpretation.interpret_folder.exists()  # no config is noted, so another may be given


def test_a_feature_that_no_sae_has_is_refused_before_the_text_is_read(copy_interpretation: CopyInterpretation) -> None:
    interpretation = copy_interpretation()
    subject = one_of(interpretation)
    for wrong in (64, -1):
        with pytest.raises(ValueError, match=rf"features=\[{wrong}\]: {subject} has features 0 to 63"):
            make_profiles(interpretation, [subject], {subject: np.array([3, wrong])})
    assert not interpretation.interpret_folder.exists()


def test_profiles_of_saes_that_were_deleted_since_are_taken_as_they_are(
    copy_interpretation: CopyInterpretation,
) -> None:
    interpretation = copy_interpretation(feature_layers=[1], feature_arms=["forward"])
    make_profiles(interpretation)
    subject = one_of(interpretation)
    before = shown(interpretation, subject)
    (interpretation.folder / "saes").rename(interpretation.folder / "deleted")
    make_profiles(interpretation)
    assert shown(interpretation, subject) == before
