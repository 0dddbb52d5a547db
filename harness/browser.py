"""A headless Chromium with a debugging connection only while an expression is evaluated.

A browser automation tool subscribes to all network traffic of a page, which costs as much as drawing the preview. An
operator's browser has no such cost, so measurements use this one.
"""

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
from websockets.sync.client import connect

NAMES = ("chromium", "google-chrome", "chromium-browser")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=1280,720",
)


def installed() -> str | None:
    """Return the path of a Chromium on this machine, None if there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Page:
    """One open page of a browser."""

    def __init__(self, port: int) -> None:
        targets = httpx2.get(f"http://127.0.0.1:{port}/json", trust_env=False).json()
        self._url = next(t["webSocketDebuggerUrl"] for t in targets if t["type"] == "page")

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression in the page; None while the page loads."""
        with connect(self._url, max_size=None, compression=None, open_timeout=10) as socket:
            question = {"expression": expression, "returnByValue": True, "awaitPromise": True}
            socket.send(json.dumps({"id": 1, "method": "Runtime.evaluate", "params": question}))
            while True:
                answer = json.loads(socket.recv(30))
                if answer.get("id") == 1:
                    return answer.get("result", {}).get("result", {}).get("value")


@contextmanager
def page(url: str) -> Iterator[Page]:
    """Run a headless browser that shows this page; it ends with the context."""
    path = installed()
    assert path is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = [path, *FLAGS, f"--user-data-dir={folder}", "--remote-debugging-port=0", url]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                port = Path(folder) / "DevToolsActivePort"
                deadline = time.monotonic() + 30
                while not port.exists() and time.monotonic() < deadline:
                    time.sleep(0.05)
                time.sleep(0.5)
                yield Page(int(port.read_text(encoding="utf-8").split()[0]))
            finally:
                process.terminate()
