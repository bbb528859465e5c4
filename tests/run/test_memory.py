"""Work that does not fit is cut, and nothing else is."""

import pytest
import torch

from saelib.run.memory import halving


def test_rows_are_halved_until_they_fit_and_the_result_stays() -> None:
    tried: list[int] = []

    def work(rows: int) -> float:
        tried.append(rows)
        if rows > 3:
            raise torch.OutOfMemoryError("made up")
        return sum(sum(part) for part in torch.arange(24.0).split(rows))

    assert halving(24, work) == (276.0, 3)
    assert tried == [24, 12, 6, 3]
    with pytest.raises(torch.OutOfMemoryError):
        halving(4, lambda rows: work(rows + 100))


def test_other_errors_are_not_caught() -> None:
    def fail(rows: int) -> None:
        raise ValueError(rows)

    with pytest.raises(ValueError, match="^8$"):
        halving(8, fail)


@pytest.mark.cuda
def test_a_gpu_that_is_really_full_is_asked_for_less() -> None:
    part = torch.cuda.mem_get_info()[1] // 60  # 64 of them are more than there is, 32 about half

    def fill(rows: int) -> int:
        return torch.empty(rows, part, dtype=torch.uint8, device="cuda").shape[0]

    assert halving(64, fill) == (32, 32)
    torch.cuda.empty_cache()
