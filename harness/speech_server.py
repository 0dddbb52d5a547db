"""A test server with OpenAI's speech API whose voice is a tone; it can stream, stall, fail and answer late."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

RATE_HZ = 24_000
SECONDS_A_CHARACTER = 0.05
BLOCK_BYTES = RATE_HZ // 5  # a tenth of a second
KEY = "sk-secret-of-the-tests"


def speech(text: str) -> bytes:
    """Return the speech for a text, s16 at 24 kHz: a tone whose duration and pitch depend on the text's length."""
    time = np.arange(int(RATE_HZ * SECONDS_A_CHARACTER * len(text))) / RATE_HZ
    return (np.sin(2 * np.pi * (200 + 10 * (len(text) % 40)) * time) * 9000).astype("<i2").tobytes()


class StandInServer:
    """Base class of test servers: HTTP on a free loopback port; POST requests are answered in a thread each.

    heard: event that `answer` sets when a request has arrived. release: event set by the test, for which `wait` blocks
    a response. closed: event set when a client disconnects before its response is complete.
    """

    def __init__(self) -> None:
        self.heard, self.release, self.closed = threading.Event(), threading.Event(), threading.Event()
        server = self

        class StandInHandler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.close_connection = True
                try:
                    body = self.rfile.read(length := int(self.headers["content-length"]))
                    if len(body) < length:
                        raise ConnectionResetError
                    server.answer(self, body)
                except OSError:
                    server.closed.set()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), StandInHandler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def answer(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        """Answer one request. Raises OSError when the client has disconnected."""
        raise NotImplementedError

    def send_whole(
        self, request: BaseHTTPRequestHandler, status: int, body: bytes, kind: str = "application/json"
    ) -> None:
        """Send a complete response with a content length."""
        request.send_response(status)
        request.send_header("content-type", kind)
        request.send_header("content-length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def begin_stream(self, request: BaseHTTPRequestHandler, kind: str) -> None:
        """Send the status line and headers of a chunked response."""
        request.send_response(200)
        request.send_header("content-type", kind)
        request.send_header("transfer-encoding", "chunked")
        request.end_headers()

    def send_block(self, request: BaseHTTPRequestHandler, block: bytes) -> None:
        """Send one chunk of a chunked response; an empty chunk ends it."""
        request.wfile.write(f"{len(block):x}\r\n".encode() + block + b"\r\n")
        request.wfile.flush()

    def wait(self, request: BaseHTTPRequestHandler) -> None:
        """Wait until `release` is set. Raises OSError when the client disconnects meanwhile."""
        request.connection.settimeout(0.02)
        while not self.release.is_set():
            try:
                if request.connection.recv(1) == b"":
                    raise ConnectionResetError
            except TimeoutError:
                continue
        request.connection.settimeout(10)

    def close(self) -> None:
        """Stop serving."""
        self.release.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class SpeechServer(StandInServer):
    """Speech server whose `mode` selects how it responds.

    mode: "stream", "late" (sends headers only when `release` is set), "stall" (one block, then the others when
    `release` is set), "refuse" (401), "fail" (500 with the key in its message), "json", "mp3", "wav", "silent" (no
    bytes), "break" (the connection closes in the middle), "endless". endless: speech for a sentence that contains this
    text does not end in any mode; "" for none. asked: bodies of the requests, with their path and authorization.
    """

    def __init__(self) -> None:
        self.mode = "stream"
        self.endless = ""
        self.asked: list[dict[str, Any]] = []
        super().__init__()

    def answer(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        """Answer one request."""
        asked = json.loads(body)
        self.asked.append(asked | {"authorization": request.headers.get("authorization", ""), "path": request.path})
        self.heard.set()
        if self.mode in ("refuse", "fail"):
            status = 401 if self.mode == "refuse" else 500
            self.send_whole(request, status, json.dumps({"error": {"message": f"the key {KEY} is of no use"}}).encode())
            return
        if self.mode == "json":
            self.send_whole(request, 200, b'{"audio": "none"}')
            return
        if self.mode == "late":
            self.wait(request)
        self._stream(request, asked["input"])

    def _stream(self, request: BaseHTTPRequestHandler, text: str) -> None:
        self.begin_stream(request, "audio/mpeg" if self.mode == "mp3" else "audio/pcm")
        sound = speech(text)
        if self.mode == "wav":
            form = b"fmt " + (16).to_bytes(4, "little") + bytes.fromhex("01000100") + RATE_HZ.to_bytes(4, "little")
            form += (2 * RATE_HZ).to_bytes(4, "little") + bytes.fromhex("02001000")
            sound = b"RIFF" + b"\xff" * 4 + b"WAVE" + form + b"data" + b"\xff" * 4 + sound
        elif self.mode == "mp3":
            sound = b"ID3" + sound
        elif self.mode == "silent":
            sound = b""
        blocks = [sound[at : at + BLOCK_BYTES] for at in range(0, len(sound), BLOCK_BYTES)]
        for number, block in enumerate(blocks):
            if self.mode == "stall" and number == 1:
                self.wait(request)
            if self.mode == "break" and number == 2:
                return
            self.send_block(request, block)
        while self.mode == "endless" or (self.endless and self.endless in text):
            self.send_block(request, blocks[0])
        self.send_block(request, b"")


@contextmanager
def speech_server() -> Iterator[SpeechServer]:
    """Run a speech server while the context is open."""
    server = SpeechServer()
    try:
        yield server
    finally:
        server.close()
