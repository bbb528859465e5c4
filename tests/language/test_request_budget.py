"""The account of requests: what is allowed is never passed, whoever writes in the same file."""

import threading
from pathlib import Path

import pytest

from saelib.language.request_budget import RequestBudget, RequestsSpentError

FULL = Path("/dev/full")


def test_every_request_is_taken_before_it_leaves(tmp_path: Path) -> None:
    budget = RequestBudget(2, tmp_path / "requests.jsonl")
    budget.take("a")
    budget.take("b")
    with pytest.raises(RequestsSpentError, match="2 of 2 allowed requests were sent; c gets no other"):
        budget.take("c")
    assert (budget.sent, budget.left) == (2, 0)


def test_the_account_is_in_the_file_whoever_opens_it(tmp_path: Path) -> None:
    first, second = (RequestBudget(3, tmp_path / "htest" / "requests.jsonl") for _ in range(2))
    first.take("a")
    second.take("a")
    first.note_tokens("a", 7, 2)
    assert second.usage == first.usage == {"a": {"requests": 2, "input_tokens": 7, "output_tokens": 2}}
    first.take("a")
    with pytest.raises(RequestsSpentError):
        second.take("a")
    more = RequestBudget(5, tmp_path / "htest" / "requests.jsonl")
    assert more.left == 2


def test_to_look_at_it_writes_nothing(tmp_path: Path) -> None:
    budget = RequestBudget(3, tmp_path / "htest" / "requests.jsonl")
    assert (budget.left, budget.usage) == (3, {})
    assert not list(tmp_path.iterdir())


def test_a_line_that_a_kill_cut_counts_as_a_request(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    RequestBudget(9, path).take("a")
    path.write_text(path.read_text() + '{"model": "a", "se')
    budget = RequestBudget(9, path)
    assert budget.sent == 2
    budget.take("a")
    assert budget.sent == RequestBudget(9, path).sent == 3


def test_many_at_once_take_no_more_than_is_there(tmp_path: Path) -> None:
    budgets = [RequestBudget(20, tmp_path / "requests.jsonl") for _ in range(4)]
    refused: list[int] = []

    def take(budget: RequestBudget) -> None:
        for _ in range(10):
            try:
                budget.take("a")
            except RequestsSpentError:
                refused.append(1)

    threads = [threading.Thread(target=take, args=[budget]) for budget in budgets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 20
    assert RequestBudget(20, tmp_path / "requests.jsonl").sent == 20


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full, which is a disk without space")
def test_on_a_full_disk_no_request_leaves(tmp_path: Path) -> None:
    account = tmp_path / "account.jsonl"
    account.symlink_to(FULL)
    with pytest.raises(OSError, match=r"free some space and run again, .*account\.jsonl"):
        RequestBudget(2, account).take("m")
