"""A Hugging Face Hub on loopback that makes repositories, takes commits of small files, and gives them again."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from tests.helpers.loopback import LoopbackServer, running

RESOLVE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
API = re.compile(r"/api/models/([^/]+/[^/]+)/?(\w*)")


class ReleaseHub(LoopbackServer):
    """Repositories of files; whoever has not the token may not write."""

    def __init__(self, token: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.token = token
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.commits: list[str] = []
        self.sent: list[list[str]] = []
        """Files of each commit."""
        self.closing = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    server: ReleaseHub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._give(with_content=False)

    def do_GET(self) -> None:
        if found := API.match(self.path):
            repository = found[1]
            known = repository in self.server.repositories
            self._json({"id": repository, "sha": self.server.commits[-1]} if known else {}, 200 if known else 404)
        else:
            self._give(with_content=True)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        hub, path = self.server, self.path.partition("?")[0]
        if self.headers.get("Authorization") != f"Bearer {hub.token}":
            self._json({"error": f"not with {self.headers.get('Authorization')}"}, 403)
        elif path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else f"me/{asked['name']}"
            there = name in hub.repositories
            if not there:
                hub.repositories[name] = {}
                hub.private[name] = asked.get("private", asked.get("visibility") == "private")
            self._json({"url": f"{hub.address}/{name}", "name": name}, 409 if there else 200)
        elif path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif found := API.match(path):
            self._preupload(found[1], body) if found[2] == "preupload" else self._commit(found[1], body)

    def _preupload(self, repository: str, body: bytes) -> None:
        files = [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False,
                  "oid": _git_oid(self.server.repositories[repository].get(file["path"]))}
                 for file in json.loads(body)["files"]]  # fmt: skip
        self._json({"files": files})

    def _commit(self, repository: str, body: bytes) -> None:
        hub = self.server
        lines = [json.loads(line) for line in body.splitlines()]
        files = {line["value"]["path"]: base64.b64decode(line["value"]["content"])
                 for line in lines if line["key"] == "file"}  # fmt: skip
        hub.repositories[repository] |= files
        hub.sent.append(list(files))
        hub.commits.append(hashlib.sha1(body).hexdigest())  # as git names commits
        self._json({"commitUrl": f"{hub.address}/{repository}/commit/{hub.commits[-1]}", "commitOid": hub.commits[-1]})

    def _give(self, with_content: bool) -> None:
        found = RESOLVE.fullmatch(self.path)
        content = self.server.repositories.get(found[1], {}).get(found[3]) if found else None
        self.send_response(200 if content is not None else 404)
        if content is None:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.send_header("Content-Length", str(len(content or b"")))
        self.send_header("ETag", f'"{_git_oid(content)}"')
        self.send_header("X-Repo-Commit", self.server.commits[-1] if self.server.commits else "0" * 40)
        self.end_headers()
        if with_content:
            self.wfile.write(content or b"")

    def _json(self, value: Any, status: int = 200) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        if status == 404:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


def _git_oid(content: bytes | None) -> str | None:
    if content is None:
        return None
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def serve_releases(cache: Path, patch: pytest.MonkeyPatch, token: str = "hf_secret0123456789") -> Iterator[ReleaseHub]:
    """A running hub, which the hub's library takes for the hub; `cache` is where it keeps what it fetches.

    The library's constants are `patch`ed until the test ends: two patches of one name that end in another order than
    they began would leave a dead hub's address to the tests that follow.
    """
    with running(lambda: ReleaseHub(token)) as hub:
        constants = huggingface_hub.constants
        patch.setattr(constants, "ENDPOINT", hub.address)
        template = hub.address + "/{repo_id}/resolve/{revision}/{filename}"
        patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        patch.setattr(constants, "HF_HUB_CACHE", str(cache))
        patch.setattr(constants, "HF_HUB_OFFLINE", False)
        patch.setenv("HF_TOKEN", token)
        huggingface_hub.close_session()
        try:
            yield hub
        finally:
            huggingface_hub.close_session()
