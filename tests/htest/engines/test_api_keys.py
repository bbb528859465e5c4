"""A server that repeats the key wherever it can: in no file of the run, of the home folder or of the temporary one."""

import base64
import json
import os
import subprocess
import sys
import zipfile
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import inspect_ai.log  # noqa: F401 (teaches zipfile the compression of its logs)
import pytest

from saelib.run.files import PROJECT
from saelib.run.secrets import without_keys
from tests.helpers.broken_replies import BROKEN, WHOLE, Broken, http_reply
from tests.helpers.faulty_proxy import serve

KEY = "sk-Secret/0123456789+abc="
ENCODED = base64.b64encode(f"user:{KEY}".encode()).decode()
FORMS = [KEY, quote(KEY, safe=""), quote(KEY), json.dumps(KEY).replace("/", "\\/")[1:-1], ENCODED]
SAID = " and ".join(FORMS)
ERROR = json.dumps({"error": {"message": f"wrong key {SAID}", "code": KEY, "param": {"key": KEY}}}).encode()
HEADERS = (f"x-request-id: {KEY}", f"WWW-Authenticate: Bearer {KEY}", f"Set-Cookie: key={quote(KEY)}")
ECHO = {
    "words": WHOLE.replace(b'"A"', json.dumps(f"A, says {SAID}").encode()),
    "everywhere": WHOLE.replace(b'"1"', json.dumps(KEY).encode()).replace(b"served-1", f"served {KEY}".encode()),
    "error in 200": ERROR,
    "half": ERROR[:-9],
    "page": f"<html>{SAID}</html>".encode(),
}
ASK = """
import os, sys, traceback
from pathlib import Path
from saelib.htest.asking.replies import write_replies
from saelib.htest.engines.api import ask_api
from saelib.language.request_budget import RequestBudget
from tests.helpers.asked import asked
import saelib.language.api
from inspect_ai.model import ModelAPI
from tenacity import wait_fixed
ModelAPI.retry_wait = lambda self: wait_fixed(0.01)
saelib.language.api.RETRIES = 2
for place, address in enumerate(sys.argv[2:]):
    os.environ["LOOPBACK_BASE_URL"] = address
    folder = Path(sys.argv[1]) / str(place)
    budget = RequestBudget(999, folder / "requests.jsonl")
    call = asked("api:openai-api/loopback/served-1", count=4)
    try:
        replies = ask_api(*call, folder / "logs", log_probabilities=True, budget=budget)
        write_replies(folder / "replies.jsonl", replies)
    except Exception:
        traceback.print_exc()
"""


def echo(name: str, status: str) -> Broken:
    kind = "text/html" if name == "page" else "application/json"
    return Broken([http_reply(f"{status} {KEY}", kind, ECHO[name], *HEADERS)])


@pytest.fixture
def homes(tmp_path: Path) -> dict[str, str]:
    """An environment whose every folder is below `tmp_path`, and whose keys are known."""
    names = ("HOME", "TMPDIR", "XDG_DATA_HOME", "XDG_CACHE_HOME", "SAELIB_RUNS")
    places = {name: str(tmp_path / name) for name in names}
    for place in places.values():
        Path(place).mkdir()
    return os.environ | places | {"LOOPBACK_API_KEY": KEY, "PYTHONPATH": str(PROJECT), "INSPECT_LOG_LEVEL": "http"}


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, and every member of its zip files."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            found[str(path)] = path.read_bytes()
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as members:
                    found |= {f"{path}: {name}": members.read(name) for name in members.namelist()}
    return found


CASES = [
    ("words", "200 OK"), ("everywhere", "200 OK"), ("error in 200", "200 OK"), ("half", "200 OK"), ("page", "200 OK"),
    ("error in 200", "400 Bad"), ("error in 200", "401 No"), ("error in 200", "429 Slow"), ("page", "502 Bad"),
]  # fmt: skip


QUICK = [("everywhere", "200 OK"), ("error in 200", "401 No"), ("page", "502 Bad")]


@pytest.mark.enable_socket
@pytest.mark.parametrize("cases", [QUICK, pytest.param(CASES, marks=pytest.mark.faults)], ids=["quick", "all"])
def test_a_key_that_a_server_repeats_is_nowhere(
    tmp_path: Path, homes: dict[str, str], monkeypatch: pytest.MonkeyPatch, cases: list[tuple[str, str]]
) -> None:
    """Whether every request is answered so, or only the first ones; all cases in one process, for its start is slow."""
    with ExitStack() as stack:
        servers = []
        for number, (name, status) in enumerate(cases):
            monkeypatch.setitem(BROKEN, f"echo {number}", echo(name, status))
            faults = [[f"echo {number}"] * 99, [f"echo {number}"]]
            servers.append(stack.enter_context(serve(lambda prompt: "A", faults=faults)))
        command = [sys.executable, "-c", ASK, str(tmp_path / "run"), *(server.address for server in servers)]
        told = subprocess.run(command, env=homes, cwd=PROJECT, capture_output=True, timeout=300)
        assert {key for server in servers for key in server.keys} == {f"Bearer {KEY}"}, "the key was sent"
    found = contents(tmp_path) | {"output": told.stdout, "errors": told.stderr}
    assert [where for where, content in found.items() if any(form.encode() in content for form in FORMS)] == []
    for place in range(len(cases)):
        kept = [content for where, content in found.items() if f"/run/{place}/" in where]
        assert any(b"[key]" in content for content in kept), f"what was said is kept without the key: {cases[place]}"
    assert any("traces" in where for where in found), "Inspect's trace folder was looked at"
    monkeypatch.setenv("LOOPBACK_API_KEY", KEY)
    assert [where for where, content in found.items() if without_keys(content) != content] == []
