"""Who is compared with whom where a run is not as usual: no second replicate, a control, a source from elsewhere."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from saelib.interpret.interpretation import Interpretation, open_interpretation
from saelib.interpret.likeness.partners import CONTROL, groups_of, references
from saelib.interpret.subjects import OWN, Lineage, Subject
from tests.helpers.small_interpretations import small_parameters

OpenOther = Callable[..., Interpretation]


@pytest.fixture
def opened(interpretation: Interpretation) -> OpenOther:
    """Opens others on the same model and text; nothing is trained."""
    config = interpretation.experiment.config

    def open_other(**changes: Any) -> Interpretation:
        parameters = small_parameters(Path(config.corpus), Path(config.language_model))
        return open_interpretation(**parameters | {"run": "not_trained"} | changes)

    return open_other


def first(interpretation: Interpretation) -> Lineage:
    return interpretation.all_lineages()[0]


def test_one_replicate_has_no_other(opened: OpenOther) -> None:
    alone = opened(sae_seeds=1)
    assert [*references(alone, first(alone))] == ["scratch_equal", "scratch_end"]
    assert references(alone, first(alone).scratch) == {}


def test_by_the_papers_schedule_there_is_a_control(opened: OpenOther) -> None:
    found = references(other := opened(schedule="paper"), first(other))
    assert found[CONTROL] == Subject(CONTROL, 1, 1, 0, 2048)
    assert Subject(CONTROL, 1, 1, 0, 2048) in groups_of(other)["forward-L1"].subjects


def test_scratch_of_as_many_tokens_and_finished_are_two_where_transfers_are_shorter(opened: OpenOther) -> None:
    short = opened(transfer={"checkpoints": [0, 1024]})
    found = references(short, first(short))
    assert found["scratch_equal"].tokens == 1024 and found["scratch_end"].tokens == 2048


def test_what_diverged_is_nobodys_partner(opened: OpenOther, monkeypatch: pytest.MonkeyPatch) -> None:
    other = opened()
    gone = Subject("scratch", 1, 1, 1, 2048)
    monkeypatch.setattr(Interpretation, "has_diverged", lambda _, subject: subject == gone)
    assert "scratch_other" not in references(other, first(other))
    groups = groups_of(other)
    assert {one.seed for one in groups["forward-L1"].lineages} == {0}
    assert {one.seed for one in groups["scratch-L1"].scratch} == {0}
    assert {one.seed for one in groups["scratch-L2"].scratch} == {0, 1}


def test_a_group_reads_its_layer_and_those_of_its_sources(interpretation: Interpretation) -> None:
    groups = groups_of(interpretation)
    assert groups["backward-L1"].layers == {1, 2} and groups["scratch-L1"].layers == {1}
    assert {one.seed for one in groups["backward-L1"].lineages} == {0, 1}
    assert {one.arm for one in groups["backward-L1"].subjects} == {"backward", "scratch"}


def test_a_source_from_elsewhere_has_its_own_name(interpretation: Interpretation, opened: OpenOther) -> None:
    place = interpretation.folder_of(Subject("scratch", 1, 1, 0, 2048))
    other = opened(run="from_elsewhere", source=str(place))
    groups = groups_of(other)
    assert {part for part in groups if part.startswith("forward")} == {"forward-L2", "forward_affine-L2"}
    assert {one.arm for one in groups["forward-L2"].subjects} == {OWN, "forward", "scratch"}
