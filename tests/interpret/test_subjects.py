"""Names of SAEs in files, and which stand side by side."""

from saelib.interpret.subjects import Lineage, Subject

MAPPED = Subject("forward_affine", 3, 3, 0, 524288)


def test_a_part_is_named_after_its_subject() -> None:
    assert MAPPED.part == "forward_affine-L3-seed0-524288-at3"
    assert MAPPED.at(5).part == "forward_affine-L3-seed0-524288-at5"


def test_a_sentence_says_when_an_sae_reads_a_layer_that_it_did_not_learn() -> None:
    assert str(MAPPED) == "forward_affine L3 seed 0, 524,288 tokens"
    assert str(MAPPED.at(4)) == "forward_affine L3 seed 0, 524,288 tokens, reading layer 4"
    assert MAPPED.at(4).is_zero_shot and not MAPPED.is_zero_shot


def test_a_lineage_names_each_of_its_saes_once() -> None:
    source, own = Subject("scratch", 2, 2, 0, 64), Subject("scratch", 3, 3, 0, 64)
    lineage = Lineage(source, source.at(3), MAPPED, own, own)
    assert [*lineage] == [source, source.at(3), MAPPED, own]
    assert (lineage.arm, lineage.act_layer, lineage.seed) == ("forward_affine", 3, 0)
    earlier = Subject("scratch", 3, 3, 0, 32)
    assert [*Lineage(source, source.at(3), MAPPED, own, earlier)][-1] == earlier
    assert len([*Lineage(source, source.at(3), MAPPED, own, None)]) == 4
