"""Where the authors' SAEs lie, by what people call them."""

import pytest

from saelib.sae.releases.layout import published_layers, published_sae, published_tokens


@pytest.mark.parametrize(
    ("asked", "folder", "tokens"),
    [
        # 24,415 steps of 4096 tokens are the first that reach 100 million: 100,003,840
        (("forward", 3, "100M"), "forward/L3/100M", 100_003_840),
        (("forward", 3, "500M"), "forward/L3/500M", 500_002_816),
        (("backward", 10), "backward/L10/500M", 500_002_816),
        (("scratch", 0, 900_000_000), "L0/900M", 900_001_792),
        # 244,140 steps, the most that fit into a billion tokens
        (("scratch", 11), "L11", 999_997_440),
        (("scratch", 11, "1b"), "L11", 999_997_440),
        (("backward", 0, 200_003_584), "backward/L0/200M", 200_003_584),
    ],
)
def test_a_released_sae_is_found_by_round_or_exact_numbers(asked, folder, tokens) -> None:
    one = published_sae(*asked)
    assert (one.folder, one.tokens) == (folder, tokens)


def test_all_that_was_released_has_a_folder_of_its_own() -> None:
    ones = [published_sae(arm, layer, tokens) for arm in ("scratch", "forward", "backward")
            for layer in published_layers(arm) for tokens in published_tokens(arm)]  # fmt: skip
    assert len({one.folder for one in ones}) == len(ones) == 12 * 10 + 11 * 5 + 11 * 5
    assert {one.lineage["source_layer"] for one in ones if one.arm == "forward"} == set(range(11))
    assert {one.lineage["source_layer"] for one in ones if one.arm == "backward"} == set(range(1, 12))


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (("sideways", 3), "arm='sideways': released are the arms scratch, forward, backward"),
        (("forward", 0), "layer=0: the arm forward was released for the layers 1 to 11"),
        (("backward", 11), "layer=11: the arm backward was released for the layers 0 to 10"),
        (("scratch", True), "layer=True"),
        (("forward", 3, "600M"), "tokens='600M': the arm forward was released after 100M, 200M, 300M, 400M, 500M"),
        (("scratch", 3, 5), "100M, .*, 900M, 1B tokens"),
    ],
)
def test_what_was_not_released_is_refused_with_what_was(asked, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        published_sae(*asked)
