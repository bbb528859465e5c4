"""A real OpenAI-compatible server on loopback that serves the embedded model: `transformers serve`, as a fixture."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from saelib.language.embedded import EMBEDDED_FOLDER

MODEL = "served"  # what the server calls its model: the folder's name, seen from where it was started
PLAIN_TEMPLATE = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}"
SECONDS_TO_START = 180


def save_chat_model(folder: Path) -> None:
    """The embedded model, with a chat template that adds a line break and nothing else."""
    shutil.copytree(EMBEDDED_FOLDER, folder)
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(config | {"chat_template": PLAIN_TEMPLATE}), encoding="utf-8")


def free_port() -> int:
    try:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])
    except OSError as error:
        pytest.skip(f"127.0.0.1 cannot be bound ({error}): this test needs a server on loopback")


@pytest.fixture(scope="session")
def local_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the server; it ends with the session."""
    folder = tmp_path_factory.mktemp("server")
    save_chat_model(folder / MODEL)
    port = free_port()
    program = Path(sys.executable).with_name("transformers")
    command = [str(program), "serve", MODEL, "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    with (folder / "server.log").open("w") as log:
        environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=environment)
        try:
            _wait(server, port, folder / "server.log")
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()
            try:
                server.wait(timeout=20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError(f"transformers serve did not start:\n{log.read_text()[-3000:]}")
