"""Cards of a real run say what its profiles and decoders say, panel by panel."""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from saelib.interpret.dashboard import page as pages
from saelib.interpret.dashboard.lineages import SILENT, chosen_lineage, lineage_cards
from saelib.interpret.dashboard.page import page_cards, write_dashboard
from saelib.interpret.dashboard.wording import cards_table
from saelib.interpret.features.profiles import living_features, make_profiles, read_profile, source_sample
from saelib.interpret.interpretation import Interpretation
from tests.helpers.dead_features import mark_dead
from tests.interpret.conftest import CopyInterpretation


def unit(rows):
    rows = rows.numpy().astype(float)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_a_panel_says_what_the_profile_says(profiled: Interpretation) -> None:
    lineage = chosen_lineage(profiled, arm="forward")
    cards = lineage_cards(profiled, lineage)
    assert [card.feature for card in cards] == source_sample(profiled, lineage.source).tolist()
    for place, subject in enumerate((lineage.source, lineage.zero_shot, lineage.transferred, lineage.scratch)):
        profile = read_profile(profiled, subject)
        for card in cards:
            panel = card.panels[place]
            line = profile.features.loc[panel.feature]
            assert place == 3 or panel.feature == card.feature
            assert panel.raised == tuple(line["top_tokens"])
            assert panel.density == line["density"]
            assert sum(panel.histogram) == sum(line["histogram"])
            rows = profile.contexts[profile.contexts["feature"] == panel.feature].sort_values("rank")
            assert [context.activations[context.peak] for context in panel.contexts] == rows["activation"].tolist()
            assert [context.texts for context in panel.contexts] == [tuple(texts) for texts in rows["texts"]]


def test_the_fourth_panel_is_the_nearest_decoder_row_of_scratch(profiled: Interpretation) -> None:
    lineage = chosen_lineage(profiled, arm="backward_affine")
    source, transferred, scratch = (
        unit(profiled.sae(one).W_dec) for one in (lineage.source, lineage.transferred, lineage.scratch)
    )
    for card in lineage_cards(profiled, lineage):
        cosines = np.where(living_features(profiled, lineage.scratch), scratch @ transferred[card.feature], -2)
        summary = dict(card.summary)
        assert card.panels[3].feature == cosines.argmax()
        assert summary["cosine with scratch's match"] == f"{cosines.max():.2f}"
        kept = source[card.feature] @ transferred[card.feature]
        assert math.isclose(float(summary["cosine with source"]), kept, abs_tol=0.006)


def test_a_dead_feature_of_scratch_stands_in_no_fourth_panel(copy_interpretation: CopyInterpretation) -> None:
    copy = copy_interpretation(feature_arms=["forward"], feature_layers=[1])
    make_profiles(copy)
    (lineage,) = copy.lineages()
    before = {card.panels[3].feature for card in lineage_cards(copy, lineage)}
    assert None not in before
    mark_dead(copy, lineage.scratch, [feature for feature in before if feature is not None])
    after = {card.panels[3].feature for card in lineage_cards(copy, lineage)}
    assert after and not after & before


def test_shared_tokens_are_counted_as_sets(profiled: Interpretation) -> None:
    lineage = chosen_lineage(profiled)
    source, transferred = (read_profile(profiled, one) for one in (lineage.source, lineage.transferred))

    def tokens(profile, feature):
        rows = profile.contexts[profile.contexts["feature"] == feature]
        peaks = {ids[peak] for ids, peak in zip(rows["token_ids"], rows["peak"], strict=True)}
        line = profile.features.loc[feature]
        return set(line["top_ids"]), set(line["bottom_ids"]), peaks

    for card in lineage_cards(profiled, lineage, count=4):
        pairs = zip(tokens(source, card.feature), tokens(transferred, card.feature), strict=True)
        assert dict(card.summary)["tokens shared with source"] == str(sum(len(one & other) for one, other in pairs))


def test_a_feature_that_is_dead_elsewhere_says_so(profiled: Interpretation) -> None:
    panels = [panel for lineage in profiled.lineages() for card in lineage_cards(profiled, lineage)
              for panel in card.panels]  # fmt: skip
    assert {panel.note for panel in panels} <= {"", SILENT}
    for panel in panels:
        assert ("dead" in panel.flags) == (panel.density == 0) == (panel.note == SILENT) == (not panel.contexts)
        assert panel.about and ("reads layer" in panel.about) == (panel.title == "source at the new layer")


class TestChosenLineage:
    def test_first_arm_and_middle_layer_unless_told(self, profiled: Interpretation) -> None:
        # forward transfers of three layers end at layers 1 and 2; the second of two is the middle
        assert (chosen_lineage(profiled).arm, chosen_lineage(profiled).act_layer) == ("forward", 2)
        told = chosen_lineage(profiled, arm="backward_affine", layer=0)
        assert (told.arm, told.act_layer, told.source.sae_layer) == ("backward_affine", 0, 1)

    def test_what_the_run_has_not_is_refused_by_name(self, profiled: Interpretation) -> None:
        with pytest.raises(ValueError, match=r"arm='sideways': this run has arm forward, "):
            chosen_lineage(profiled, arm="sideways")
        with pytest.raises(ValueError, match=r"layer=0: this run has layer 1, 2"):
            chosen_lineage(profiled, arm="forward", layer=0)


class TestWritten:
    def test_in_its_place(self, profiled: Interpretation) -> None:
        path = write_dashboard(profiled)
        assert path == profiled.interpret_folder / "dashboard.html"
        page = path.read_text(encoding="utf-8")
        lineage = chosen_lineage(profiled)
        sample = source_sample(profiled, lineage.source).tolist()
        assert re.findall(r'id="feature-(\d+)"', page) == [str(feature) for feature in sample]
        assert "layer 1 to layer 2, forward: copy" in page
        assert "8 held-out rows, and 8 of the training text" in page

    def test_a_page_that_holds_all_says_nothing_of_an_order(self, profiled: Interpretation) -> None:
        lineage = chosen_lineage(profiled)
        sample = source_sample(profiled, lineage.source)
        shown = page_cards(profiled)
        assert [card.feature for card in shown.cards] == sample.tolist() and shown.told == f"{len(sample)} features"
        page = write_dashboard(profiled).read_text(encoding="utf-8")
        assert f"{len(sample)} features, drawn among those that are active in the source" in page
        assert "by index)" not in page

    def test_one_that_is_cut_says_so_and_has_the_cards_that_are_told_beside_it(
        self, profiled: Interpretation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pages, "MOST_CARDS", 3)
        whole = source_sample(profiled, chosen_lineage(profiled).source).tolist()
        shown = page_cards(profiled)
        assert [card.feature for card in shown.cards] == whole[:3] and shown.of == len(whole) > 3
        page = write_dashboard(profiled, tmp_path / "a.html").read_text(encoding="utf-8")
        assert re.findall(r'id="(feature-\d+)"', page) == [card.anchor for card in shown.cards]
        linked = re.findall(r"a\.html#(feature-\d+)", cards_table(shown.cards, "a.html"))
        assert linked == [card.anchor for card in shown.cards]
        told = f"3 features (3 of {len(whole)}, by index)"
        assert shown.told == told
        assert f"{told}; the {len(whole)} were drawn among those that are active in the source" in page

    def test_of_another_lineage_under_its_name(self, profiled: Interpretation) -> None:
        lineage = chosen_lineage(profiled, arm="backward", layer=0)
        path = write_dashboard(profiled, count=2, lineage=lineage)
        assert path.name == f"dashboard-{lineage.transferred.part}.html"
        assert path.read_text(encoding="utf-8").count("<article") == 2

    def test_where_it_is_told_in_a_string(self, profiled: Interpretation, tmp_path: Path) -> None:
        path = write_dashboard(profiled, str(tmp_path / "a.html"), count=1)
        assert path == tmp_path / "a.html"
        assert path.read_text(encoding="utf-8").count("<article") == 1

    def test_a_folder_is_no_place_for_it(self, profiled: Interpretation, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=rf"path='{tmp_path}' is a folder; give the name of a file in it"):
            write_dashboard(profiled, tmp_path)

    @pytest.mark.parametrize("count", [-1, 0, 2.5, "3", True])
    def test_a_count_that_is_none_is_refused(self, profiled: Interpretation, tmp_path: Path, count: Any) -> None:
        with pytest.raises(ValueError, match=f"count={count!r}: give a whole number from 1 on, or leave it out"):
            write_dashboard(profiled, tmp_path / "a.html", count=count)
        assert not list(tmp_path.iterdir())

    def test_no_folder_of_this_machine_is_told(self, profiled: Interpretation, tmp_path: Path) -> None:
        page = write_dashboard(profiled, tmp_path / "a.html").read_text(encoding="utf-8")
        model = Path(profiled.experiment.config.language_model)
        assert model.is_absolute() and str(model.parent) not in page
        assert f"<p>Language model {model.name}. " in page

    def test_without_profiles_it_says_how_to_make_them(self, copy_interpretation: CopyInterpretation) -> None:
        with pytest.raises(FileNotFoundError, match=r"make_profiles\(interpretation\)"):
            write_dashboard(copy_interpretation())
