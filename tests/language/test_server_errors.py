"""Errors of servers: which say that the account is spent, and that none keeps a key."""

import pytest

from saelib.language.server_errors import is_spent, without_keys


@pytest.mark.parametrize("said, spent", [
    ("Error code: 429 - {'error': {'code': 'insufficient_quota'}}", True),
    ("400: Your credit balance is too low to access the API", True),
    ("429: Rate limit reached for requests", False),
])  # fmt: skip
def test_a_spent_account_is_told_from_a_limit_of_rate(said: str, spent: bool) -> None:
    assert is_spent(RuntimeError(said)) is spent


def test_secrets_of_the_environment_are_taken_out_wherever_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sk-0123456789")
    monkeypatch.setenv("HF_TOKEN", "hf_0123456789")
    monkeypatch.setenv("SHORT_KEY", "key")  # would be in any sentence
    found = without_keys({"error": ["wrong key sk-0123456789", ("hf_0123456789", 401)], "code": None})
    assert found == {"error": ["wrong key [key]", ("[key]", 401)], "code": None}
