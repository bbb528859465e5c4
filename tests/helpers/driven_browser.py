"""A headless browser that is driven as a reader would: keys, clicks and pictures, over a pipe and without a network.

`--remote-debugging-pipe` takes DevTools messages on descriptor 3 and answers on 4; keys that come this way are real
ones, so a page's own policy and its default actions stay in force.
"""

import base64
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.helpers.browser import BROWSER

NAMED_KEYS = {"Enter": ("\r", 13), "Escape": ("", 27), "Tab": ("", 9)}
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run",
           "--disable-extensions", "--disable-background-networking", "--force-color-profile=srgb")  # fmt: skip


class Page:
    """One open page."""

    def __init__(self, writes: int, reads: int) -> None:
        self._writes, self._reads, self._count, self._session = writes, reads, 0, ""
        self._left = b""
        self.requests: list[str] = []
        """Addresses that were asked for since the browser was started."""
        self.problems: list[str] = []
        """Errors of the page's script, and what its policy forbade."""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._call(f"{domain}.enable")

    def open(self, address: str, width: int = 1400, height: int = 1000) -> None:
        """Load an address, in a window of this size, and wait until it is there."""
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self._call("Page.navigate", url=address)
        self.value("new Promise(done => document.readyState === 'complete' ? done() : addEventListener('load', done))")

    def value(self, expression: str) -> Any:
        """What an expression of JavaScript is in the page."""
        found = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def press(self, *keys: str) -> None:
        """Press keys one after the other: "j", "/", "Enter"."""
        for key in keys:
            text, code = NAMED_KEYS[key] if key in NAMED_KEYS else (key, ord(key.upper()))
            about = {"key": key, "windowsVirtualKeyCode": code}
            self._call("Input.dispatchKeyEvent", type="keyDown", **about, **({"text": text} if text else {}))
            self._call("Input.dispatchKeyEvent", type="keyUp", **about)
        self.value("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        self.press(*text)

    def picture(self, path: Path) -> Path:
        """Keep what is in the window as a PNG."""
        path.write_bytes(base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"]))
        return path

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        self._count += 1
        about = {"sessionId": self._session} if self._session else {}
        message = {"id": self._count, "method": method, "params": params, **about}
        os.write(self._writes, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                return dict(answer["result"])
            self._note(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._left:
            read = os.read(self._reads, 1 << 20)
            assert read, "the browser has gone"
            self._left += read
        whole, _, self._left = self._left.partition(b"\0")
        return dict(json.loads(whole))

    def _note(self, event: dict[str, Any]) -> None:
        params = event.get("params", {})
        if event.get("method") == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        if event.get("method") == "Runtime.exceptionThrown":
            self.problems.append(str(params["exceptionDetails"]))
        if event.get("method") == "Log.entryAdded":
            self.problems.append(params["entry"]["text"])


@contextmanager
def browser_page() -> Iterator[Page]:
    """A page of a browser of its own, which ends with the block."""
    assert BROWSER is not None
    ours_reads, theirs_writes = os.pipe()
    theirs_reads, ours_writes = os.pipe()
    with tempfile.TemporaryDirectory() as profile:
        # The browser looks at descriptors 3 and 4, which only a shell can give without touching this process's own.
        command = f'exec 3<&{theirs_reads} 4>&{theirs_writes}; exec "$0" "$@"'
        browser = subprocess.Popen(
            ["bash", "-c", command, BROWSER, *OPTIONS, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(theirs_reads, theirs_writes),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_reads)
        os.close(theirs_writes)
        try:
            yield Page(ours_writes, ours_reads)
        finally:
            os.close(ours_writes)
            browser.terminate()
            browser.wait(timeout=30)
            os.close(ours_reads)
