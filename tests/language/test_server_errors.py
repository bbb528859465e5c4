"""Errors of servers: which say that the account is spent, and what is shown of them."""

from types import SimpleNamespace

import pytest

from saelib.language.server_errors import is_spent, server_of, words_of


@pytest.mark.parametrize("said, spent", [
    ("Error code: 429 - {'error': {'code': 'insufficient_quota'}}", True),
    ("400: Your credit balance is too low to access the API", True),
    ("429: Rate limit reached for requests", False),
])  # fmt: skip
def test_a_spent_account_is_told_from_a_limit_of_rate(said: str, spent: bool) -> None:
    assert is_spent(RuntimeError(said)) is spent


class ServerError(Exception):
    def __init__(self, status: int | None = None, body: object = None) -> None:
        super().__init__("Error code")
        self.status_code, self.body = status, body


@pytest.mark.parametrize("status, body, words", [
    (401, {"message": "wrong key"}, "401 wrong key"),
    (405, {"detail": "Method Not Allowed"}, "405 {'detail': 'Method Not Allowed'}"),
    (502, "<html><title>502</title><style>p {}</style><h1>502 Bad Gateway</h1><script>x()</script>", "502 Bad Gateway"),
    (500, "a\n\tb\x1b[31mred\x07", "500 a b\\x1b[31mred\\x07"),
    (500, "x" * 600, f"500 {'x' * 500}..."),
    (None, None, "Error code"),
])  # fmt: skip
def test_words_of_a_server_are_one_short_line(status: int | None, body: object, words: str) -> None:
    assert words_of(ServerError(status, body)) == words


def test_words_name_what_cut_the_connection() -> None:
    error = RuntimeError("Connection error.")
    error.__cause__ = ConnectionRefusedError(111, "Connection refused")
    assert words_of(error) == "Connection error. (ConnectionRefusedError: [Errno 111] Connection refused)"


@pytest.mark.parametrize("address, shown", [
    ("http://127.0.0.1:80/v1", " at http://127.0.0.1:80/v1"),
    ("https://user:password@host/v1?key=abc", " at https://host/v1"),
    (None, ""),
])  # fmt: skip
def test_a_server_is_named_without_what_is_secret_in_its_address(address: str | None, shown: str) -> None:
    class Model:
        api = SimpleNamespace(base_url=address)

        def __str__(self) -> str:
            return "openai/a"

    assert server_of(Model()) == f"api:openai/a{shown}"  # type: ignore[arg-type]
