"""The hub stalls, cuts, or cannot be found: an end within the stated time, and the remedy in the message."""

import os
import socket
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import HfApi, hf_hub_download

from saelib.language import hub
from saelib.language.corpus.hub import HubRows
from saelib.language.hub import HubError, ask_hub, fetching
from saelib.language.loading import load_tokenizer
from tests.helpers.faulty_hub import serve_hub

CONTENT = bytes(range(256)) * 4000


@pytest.fixture(autouse=True)
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(hub, "SILENT_SECONDS", 0.5)
    monkeypatch.setattr("saelib.language.patience.SAID_EVERY", 0.2)
    monkeypatch.delenv("SAELIB_BATCH", raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.5)
    huggingface_hub.close_session()
    yield
    huggingface_hub.close_session()


def fetch(address: str, file: str = "a.parquet") -> Path:
    return Path(hf_hub_download("owner/data", file, repo_type="dataset", revision="main", endpoint=address))


@pytest.mark.enable_socket
def test_a_stalled_hub_is_an_error_soon_and_waiting_for_it_is_said(monkeypatch, capsys) -> None:
    with serve_hub(faults=["stall"] * 9) as stalled:
        monkeypatch.setattr(huggingface_hub, "resolve_revision", HfApi(endpoint=stalled.address).resolve_revision)
        began = time.monotonic()
        with pytest.raises(FileNotFoundError, match="language model owner/model: .*timed out.*hf download owner/model` "
                           "where there is a network, or give the path of a folder"):  # fmt: skip
            load_tokenizer("owner/model")
        assert time.monotonic() - began < 5
    assert "language model owner/model: waiting for the hub (" in capsys.readouterr().err


def test_an_answer_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "ANSWER_SECONDS", 0.2)
    with pytest.raises(HubError, match="the hub did not answer within 0 s"):
        ask_hub("a name", partial(time.sleep, 2))


def test_what_the_hub_gives_and_raises_arrives() -> None:
    assert ask_hub("a name", lambda: "commit") == "commit"
    with pytest.raises(KeyError, match="wrong"):
        ask_hub("a name", partial(os.environ.__getitem__, "wrong"))


@pytest.mark.enable_socket
def test_a_download_that_is_cut_or_stalls_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 1000)  # what is kept of a cut, else 10 MB
    with serve_hub(CONTENT, faults=["cut", "stall"]) as cutting, fetching("a file"):
        path = fetch(cutting.address)
    assert path.read_bytes() == CONTENT
    assert cutting.ranges == [None, f"bytes={len(CONTENT) // 2}-", f"bytes={len(CONTENT) // 2}-"]


@pytest.mark.enable_socket
def test_a_download_that_never_comes_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)
    with serve_hub(CONTENT, faults=["stall"] * 99) as stalled:
        rows = HubRows("owner/data", ["a.parquet"], partial(fetch, stalled.address), 64)
        with pytest.raises(FileNotFoundError, match="owner/data: a.parquet is not in the Hugging Face cache and cannot "
                           "be fetched .*timed out.*hf download owner/data a.parquet --repo-type dataset"):  # fmt: skip
            rows.take(0, 1)


@pytest.mark.enable_socket
def test_a_token_that_the_hub_repeats_is_in_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret0123456789")
    with serve_hub(CONTENT, faults=["echo"] * 9) as echoing:
        rows = HubRows("owner/data", ["a.parquet"], partial(fetch, echoing.address), 64)
        with pytest.raises(FileNotFoundError) as caught:
            rows.take(0, 1)
    shown = f"{caught.value}{caught.value.__cause__}{caught.value.__cause__!r}"
    assert "hf_secret" not in shown and "403" in shown


def test_a_name_that_does_not_resolve_is_found_in_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    api = HfApi(endpoint="http://no-such-host.invalid")
    monkeypatch.setattr(huggingface_hub, "resolve_revision", api.resolve_revision)
    began = time.monotonic()
    with pytest.raises(FileNotFoundError, match="owner/model: .*Name or service not known.*give the path of a folder"):
        load_tokenizer("owner/model")
    assert time.monotonic() - began < 5
