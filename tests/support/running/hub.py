"""A model hub for tests: a real HTTP server that supports Range and, on request, breaks off, lies or fails."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hub:
    """The files that it serves, by path, and its behaviour. `asked` keeps (method, path, Range) of every request."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, str, str]] = []
        self.url = ""
        self.break_after: list[int] = []  # bytes after which the next answers break off, one entry each
        self.stumbles = 0  # number of next requests that are answered with 503
        self.ranges = True
        self.hashes = True  # whether it sends the SHA-256 of its files
        self.claims: int | None = None  # a wrong length that it claims
        self.swapped: dict[str, bytes] = {}  # bytes sent in place of the file
        self.away = ""  # address to which requests for every file are redirected

    def add(self, repository: str, name: str, content: bytes) -> None:
        self.files[f"/{repository}/resolve/main/{name}"] = content

    def gets(self) -> list[tuple[str, str, str]]:
        return [each for each in self.asked if each[0] == "GET"]


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        hub = self.hub
        asked = self.headers.get("Range", "")
        hub.asked.append((self.command, self.path, asked))
        self.close_connection = True
        stored = self.path.removeprefix("/stored")
        if hub.stumbles:
            hub.stumbles -= 1
            return self._head(503, {})
        if stored not in hub.files:
            return self._head(404, {})
        content = hub.files[stored]
        about = {"X-Repo-Commit": "c0ffee", "X-Linked-Size": str(hub.claims or len(content))}
        if hub.hashes:
            about["X-Linked-ETag"] = f'"{hashlib.sha256(content).hexdigest()}"'
        if hub.away or stored == self.path:
            return self._head(302, about | {"Location": hub.away or f"/stored{self.path}"})
        return self._body(hub.swapped.get(stored, content), asked)

    def _body(self, content: bytes, asked: str) -> None:
        hub, start = self.hub, 0
        if asked and hub.ranges:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                return self._head(416, {})
        head = {"Content-Length": str((hub.claims or len(content)) - start), "ETag": f'"{len(content)}"'}
        if start:
            head["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._head(206 if start else 200, head)
        if self.command == "GET":
            end = start + hub.break_after.pop(0) if hub.break_after else len(content)
            self.wfile.write(content[start:end])
        return None

    def _head(self, code: int, head: dict[str, str]) -> None:
        self.send_response(code)
        for name, value in ({"Content-Length": "0", "Connection": "close"} | head).items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def running_hub() -> Iterator[Hub]:
    """Run a hub on a port that the system chooses."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Answer", (_Answer,), {"hub": hub}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
