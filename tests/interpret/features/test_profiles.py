"""Profiles of a small trained run: what is in them, what a killed run keeps, what is found again."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from saelib.interpret.features import profiles
from saelib.interpret.features.chosen import best_matches, shown_features
from saelib.interpret.features.frames import feature_frame
from saelib.interpret.features.neighbours import nearest_rows
from saelib.interpret.features.profiles import has_profile, make_profiles, read_profile, source_sample
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
        found = best_matches(made, lineage, sample).indices.flatten().tolist()
        assert found == cosines.argmax(1).tolist()
        assert read_profile(made, lineage.scratch).features.loc[found, "shown"].all()
        source = made.sae(lineage.source).W_dec[sample]
        for subject in (lineage.transferred, lineage.scratch):  # where the source's features may have moved to
            moved = nearest_rows(source, made.sae(subject).W_dec).indices.flatten().tolist()
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
