"""Saved values are those of plain calls."""

import pytest
import torch

from saelib.sae.training.resume_writer import PinnedCopies, ResumeWriter


def test_copies_hold_the_values_of_the_moment_in_buffers_that_are_kept() -> None:
    copies, weight, other = PinnedCopies(), torch.zeros(3), torch.ones(2, 2).T
    assert copies.start({"weight": weight, "other": other}) is None
    first = copies.tensors()
    weight.add_(1)
    assert first["weight"].tolist() == [0.0, 0.0, 0.0]
    assert torch.equal(first["other"], other) and first["other"].is_contiguous()
    copies.start({"weight": weight, "other": torch.zeros(5)})
    second = copies.tensors()
    assert second["weight"] is first["weight"] and second["weight"].tolist() == [1.0, 1.0, 1.0]
    assert second["other"].shape == (5,)


def test_on_the_cpu_the_writer_saves_at_once_and_copies_nothing() -> None:
    weight = torch.zeros(3)
    saved: list[dict[str, torch.Tensor]] = []
    with ResumeWriter() as writer:
        writer.save({"weight": weight}, saved.append)
        assert saved[0]["weight"] is weight


def test_the_writer_passes_on_what_went_wrong_on_the_cpu() -> None:
    def fail(_: object) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), ResumeWriter() as writer:
        writer.save({"weight": torch.zeros(3)}, fail)


class OnAnotherDevice(torch.Tensor):
    """A tensor that says it is on a GPU, so that the thread runs here too."""

    is_cuda = True


class Arrived:
    """An event that has come already."""

    def record(self) -> None:
        """Nothing to wait for."""

    def synchronize(self) -> None:
        """Nothing to wait for."""


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> torch.Tensor:
    monkeypatch.setattr(torch.cuda, "Event", Arrived)
    plain = torch.empty
    monkeypatch.setattr(torch, "empty", lambda *sizes, pin_memory=False, **options: plain(*sizes, **options))
    return torch.zeros(3).as_subclass(OnAnotherDevice)


def test_the_thread_saves_the_values_of_the_moment(pretended: torch.Tensor) -> None:
    saved: list[list[float]] = []
    with ResumeWriter() as writer:
        for _ in range(3):
            writer.save({"weight": pretended}, lambda tensors: saved.append(tensors["weight"].tolist()))
            pretended.add_(1)
    assert saved == [[0.0] * 3, [1.0] * 3, [2.0] * 3]


def test_the_thread_s_error_comes_with_the_next_save_or_at_the_end(pretended: torch.Tensor) -> None:
    def fail(_: object) -> None:
        raise OSError("disk full")

    writer = ResumeWriter()
    writer.save({"weight": pretended}, fail)
    with pytest.raises(OSError, match="disk full"):
        writer.save({"weight": pretended}, fail)
    writer.wait()  # it is told once
    with pytest.raises(OSError, match="disk full"), writer:
        writer.save({"weight": pretended}, fail)


@pytest.mark.cuda
def test_on_cuda_a_resume_point_holds_the_values_of_the_moment() -> None:
    weight = torch.zeros(1_000_000, device="cuda")
    saved: list[list[float]] = []
    with ResumeWriter() as writer:
        for _ in range(3):
            writer.save({"weight": weight}, lambda tensors: saved.append(tensors["weight"].unique().tolist()))
            weight.add_(1)
    assert saved == [[0.0], [1.0], [2.0]]


@pytest.mark.cuda
def test_on_cuda_copying_does_not_wait_for_the_device() -> None:
    copies, table = PinnedCopies(), torch.randn(64, 8, device="cuda")
    copies.start({"table": table})
    torch.cuda.set_sync_debug_mode("error")
    try:
        copies.start({"table": table})
    finally:
        torch.cuda.set_sync_debug_mode("default")
