"""Maps from sums: what a fit on whole streams gives, whatever the parts."""

import pytest
import torch

from saelib.sae.mapping import fit_map, fit_pairs, fitted_tokens, pairs_of
from saelib.sae.saved_maps import load_map
from saelib.transfer.depth import maps
from saelib.transfer.depth.maps import _Sums, fit_depth_maps
from saelib.transfer.experiment import Experiment
from saelib.transfer.maps import NeededMap
from saelib.transfer.stages import train_phase
from tests.transfer.conftest import OpenSmall
from tests.transfer.depth.conftest import ASKED


@pytest.mark.parametrize("sizes", [(100,), (30, 30, 30, 10), (75, 25), (1, 98, 1)])
def test_sums_by_parts_give_the_map_of_the_whole(sizes: tuple[int, ...]) -> None:
    """Parts end before, at and behind the border of the tokens that are fitted."""
    source = torch.randn(100, 6) * torch.arange(1, 7) + 5
    target = source @ torch.randn(6, 6) + 0.1 * torch.randn(100, 6) - 3
    sums, at, first = _Sums(), 0, fitted_tokens(100)
    for x, y in zip(source.split(sizes), target.split(sizes), strict=True):
        sums.add(x, y, known=first - at)
        at += len(x)
    known, rest = sums.halves
    assert (known.tokens, rest.tokens) == (75, 25)
    found, wanted = fit_pairs("affine", known, rest), fit_map("affine", source, target)
    for name in ("matrix", "offset", "back_matrix", "back_offset"):
        torch.testing.assert_close(getattr(found, name), getattr(wanted, name), rtol=1e-5, atol=1e-5)
    assert (found.tokens, found.ridge, found.ridge_back) == (100, wanted.ridge, wanted.ridge_back)
    assert found.r2 == pytest.approx(wanted.r2, abs=1e-9)


def test_pairs_know_means_and_spreads() -> None:
    pairs = pairs_of(torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0, 5.0], [1.0, 9.0]]))
    assert [mean.tolist() for mean in pairs.means] == [[1.0], [1.0, 7.0]]
    assert [float(spread) for spread in pairs.spreads] == [1.0, 4.0]


def test_a_map_that_is_there_is_not_fitted_again(deep: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("fitted again")

    monkeypatch.setattr(maps, "fit_pairs", never)
    assert len(fit_depth_maps(deep)) == 6


@pytest.mark.usefixtures("empty_runs")
def test_a_damaged_map_is_fitted_again_to_the_bit(open_small: OpenSmall, monkeypatch: pytest.MonkeyPatch) -> None:
    """From that layer's streams alone, and with parts of another number of rows side by side."""
    experiment = open_small(run="deep", **ASKED)
    train_phase(experiment, "scratch")
    fit_depth_maps(experiment)
    folder = experiment.folder / "depth_maps" / "affine-L0-L2-data1"
    before = load_map(folder)
    (folder / "map.json").write_text("{")
    monkeypatch.setattr(maps, "AT_ONCE", 5)
    with pytest.warns(UserWarning, match="it is fitted again"):
        fit_depth_maps(experiment)
    assert torch.equal(load_map(folder).matrix, before.matrix)


@pytest.mark.parametrize(("stream", "message"), [(torch.full((8, 3), 2.5), "is the same at all"),
                                                 (torch.full((8, 3), torch.inf), "is not finite")])  # fmt: skip
def test_streams_from_which_nothing_is_fitted_are_named(stream: torch.Tensor, message: str) -> None:
    one = NeededMap(0, 4, 7, "affine")
    with pytest.raises(ValueError, match=f"layer 7 of gpt {message}"):
        maps._check(pairs_of(torch.randn(8, 3), stream), one, "gpt")
