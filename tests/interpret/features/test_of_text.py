"""The features of a sentence, token by token."""

from typing import Any

import numpy as np
import pytest
import torch

from saelib.interpret.features import of_text
from saelib.interpret.features.of_text import COLUMNS, features_in, features_of, seen
from saelib.interpret.features.profiles import make_profiles, read_profile
from saelib.interpret.interpretation import Interpretation
from saelib.interpret.subjects import Subject
from tests.interpret.conftest import CopyInterpretation

TEXT = "Paragraph 3 tells of small things."


def test_each_token_has_its_strongest_features(interpretation: Interpretation) -> None:
    found = features_of(TEXT, interpretation, arm="forward", layer=2, top=3)
    assert "".join(found.tokens) == TEXT
    assert found.table.columns.tolist() == list(COLUMNS)
    ids = interpretation.model.tokenizer.encode(TEXT, add_special_tokens=False)
    stream = interpretation.model.residual_streams(torch.tensor([ids]), [2])[0][0]
    activations = interpretation.experiment.sae("forward", 2).encode(stream).numpy()
    for place, token in enumerate(found.tokens):
        rows = found.table[found.table["position"] == place]
        order = [feature for feature in np.argsort(-activations[place])[:3] if activations[place, feature] > 0]
        assert rows["feature"].tolist() == order
        assert np.allclose(rows["activation"], activations[place, order], rtol=1e-4)
        assert set(rows["token"]) <= {token}


def test_each_feature_says_what_it_raises_and_shows_its_best_context(interpretation: Interpretation) -> None:
    make_profiles(interpretation)
    (lineage, *_) = interpretation.lineages()
    subject = lineage.transferred
    profile = read_profile(interpretation, subject)
    table = features_of(TEXT, interpretation, subject.arm, subject.act_layer, top=64).table
    shown = profile.features["shown"]
    assert {True, False} == set(shown[table["feature"]])  # of those whose contexts are not kept, too
    for line in table.to_dict("records"):
        known = profile.features.loc[line["feature"]]
        assert line["raises"] == known["top_tokens"][:3].tolist()
        assert line["example"] == known["example"]
        if len(contexts := profile.contexts_of(line["feature"])):
            best = contexts.iloc[0]
            assert line["example"].replace("«", "").replace("»", "") == "".join(best["texts"])
            assert f"«{best['texts'][best['peak']]}»" in line["example"]


def test_it_works_before_any_profile_is_made(copy_interpretation: CopyInterpretation) -> None:
    interpretation = copy_interpretation()
    found = features_of(TEXT, interpretation)
    assert set(found.table["example"]) == {""}
    assert set(map(len, found.table["raises"])) == {3}
    make_profiles(interpretation, [Subject("scratch", 1, 1, 0, 2048)], {})
    again = features_of(TEXT, interpretation)
    assert again.table["raises"].tolist() == found.table["raises"].tolist()
    assert (again.table["example"] != "").any()
    assert repr(found).startswith("scratch L1 seed 0, 2,048 tokens\n")  # the middle of three layers


def test_where_the_head_is_not_one_matrix_nothing_is_raised(
    copy_interpretation: CopyInterpretation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(model: object) -> torch.Tensor:
        raise ValueError("a head that is not one matrix")

    monkeypatch.setattr(of_text, "unembedding", refused)
    assert set(map(len, features_of(TEXT, copy_interpretation()).table["raises"])) == {0}


def test_what_a_notebook_shows_is_text_alone(interpretation: Interpretation) -> None:
    shown = features_of("<script>alert('x')</script> <img onerror=1>", interpretation)._repr_html_()
    assert "<script" not in shown
    assert "<img" not in shown
    assert "&lt;" in shown


def test_an_sae_of_somebody_else_needs_no_run(interpretation: Interpretation) -> None:
    sae = interpretation.experiment.sae("scratch", 0)
    whole = features_in(TEXT, sae, interpretation.model, 0)
    behind = features_in(TEXT, sae, interpretation.model, 0, beginning=[5], skipped=1)
    assert whole.tokens == behind.tokens
    assert behind.table["position"].min() == 1
    assert features_in("a", sae, interpretation.model, 0, beginning=[5], skipped=2).tokens == ["a"]


def test_an_empty_text_and_an_sae_that_is_not_there_are_refused(interpretation: Interpretation) -> None:
    with pytest.raises(ValueError, match="text='' has no token: write some words"):
        features_of("", interpretation)
    with pytest.raises(ValueError, match="arm='sideways': this run has arm scratch"):
        features_of(TEXT, interpretation, arm="sideways")
    with pytest.raises(ValueError, match="layer=7: the SAEs of the arm scratch have layer 0, 1, 2"):
        features_of(TEXT, interpretation, layer=7)
    with pytest.raises(ValueError, match="text has 2,803 tokens with .* reads at most 128: give a shorter one"):
        features_of("small things " * 400, interpretation)


def test_a_text_begins_as_the_runs_rows_do(
    copy_interpretation: CopyInterpretation, monkeypatch: pytest.MonkeyPatch
) -> None:
    interpretation = copy_interpretation()
    sae, model, layer = interpretation.experiment.sae("scratch", 1), interpretation.model, 1
    monkeypatch.setattr(of_text, "row_beginning", lambda corpus, tokenizer: [7, 0])
    found = features_of(TEXT, interpretation).table
    expected = features_in(TEXT, sae, model, layer, beginning=[7, 0], skipped=interpretation.skipped).table
    assert found["feature"].tolist() == expected["feature"].tolist()
    assert np.allclose(found["activation"], expected["activation"], rtol=1e-4)
    assert found["position"].min() == 2


@pytest.mark.parametrize(
    ("piece", "shown"), [(" list", "␣list"), ("a b ", "a b␣"), ("  ", "␣␣"), ("\n", "↵"), ("\u202e", "\\u202e")]
)
def test_blanks_and_signs_that_nobody_sees_are_seen(piece: str, shown: str) -> None:
    assert seen(piece) == shown


def test_what_no_tokenizer_takes_is_refused_by_name(interpretation: Interpretation) -> None:
    wrong: list[tuple[Any, Any, str]] = [
        (None, 5, "text=None: should be a text"),
        ("so \ud83d", 5, r"text='so \\ud83d': half of a sign stands at 3; write the whole one"),
        (TEXT, 0, "top=0: should be 1 or more features at a token"),
        (TEXT, -1, "top=-1: should be 1 or more"),
        (TEXT, 2.5, "top=2.5: should be 1 or more"),
        (TEXT, True, "top=True: should be 1 or more"),
        (TEXT, "5", "top='5': should be 1 or more"),
        (TEXT, None, "top=None: should be 1 or more"),
    ]
    sae = interpretation.experiment.sae("scratch", 0)
    for text, top, message in wrong:
        with pytest.raises(ValueError, match=message):
            features_of(text, interpretation, top=top)
        with pytest.raises(ValueError, match=message):
            features_in(text, sae, interpretation.model, 0, top)


def test_no_formula_is_set_of_a_text(interpretation: Interpretation) -> None:
    shown = features_of("It costs $5 and $6.", interpretation)._repr_html_()
    assert "$" in shown and "$" not in shown.replace("<span>$</span>", "")


def test_another_replicate_may_read_the_text(interpretation: Interpretation) -> None:
    found = features_of(TEXT, interpretation, layer=1, seed=1)
    assert found.source == "scratch L1 seed 1, 2,048 tokens"
    expected = features_in(TEXT, interpretation.experiment.sae("scratch", 1, 1), interpretation.model, 1)
    assert found.table["feature"].tolist() == expected.table["feature"].tolist()
