"""Cards of a real run say what its profiles and decoders say, panel by panel."""

import math
import re

import numpy as np
import pytest

from saelib.interpret.dashboard.lineages import SILENT, chosen_lineage, lineage_cards
from saelib.interpret.dashboard.page import write_dashboard
from saelib.interpret.features.profiles import read_profile, source_sample
from saelib.interpret.interpretation import Interpretation
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
        cosines = scratch @ transferred[card.feature]
        summary = dict(card.summary)
        assert card.panels[3].feature == cosines.argmax()
        assert summary["cosine with scratch's match"] == f"{cosines.max():.2f}"
        kept = source[card.feature] @ transferred[card.feature]
        assert math.isclose(float(summary["cosine with source"]), kept, abs_tol=0.006)


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

    def test_of_another_lineage_under_its_name(self, profiled: Interpretation) -> None:
        lineage = chosen_lineage(profiled, arm="backward", layer=0)
        path = write_dashboard(profiled, count=2, lineage=lineage)
        assert path.name == f"dashboard-{lineage.transferred.part}.html"
        assert path.read_text(encoding="utf-8").count("<article") == 2

    def test_without_profiles_it_says_how_to_make_them(self, copy_interpretation: CopyInterpretation) -> None:
        with pytest.raises(FileNotFoundError, match=r"make_profiles\(interpretation\)"):
            write_dashboard(copy_interpretation())
