"""A stand-in for the Duix-Avatar service: its HTTP contract, with knobs for all failures of the real one.

It does one task at a time. The result is on disk before a query reports the end, which a single query does. The
resulting video is the film of the task, with the speech as its sound.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import av

STAGES = (0, 5, 20, 40, 60, 80)  # percent, one after the other, before 100
REQUIRED = ("audio_url", "video_url", "code")


@dataclass
class Knobs:
    """Failures to produce.

    fail_at, hang_at, lose_at: percent at which the task fails, stops advancing, or is forgotten. status: a failure's
    status. keep_file: the file of a forgotten task is written all the same. drop_result: no file is written. late:
    seconds until the file appears. prefix, name: the reported result's. shorter: frames left out at its end. cut:
    bytes that are kept of it. unknown: number of queries that do not find a new task. submits, queries: codes, HTTP
    statuses as negative numbers, or "garbage", with which the next requests are answered in place of the right answers.
    before, after: called with "submit" or "query" when a request has arrived, and when it has taken effect but is not
    answered yet.
    """

    fail_at: int | None = None
    hang_at: int | None = None
    lose_at: int | None = None
    status: int = 3
    keep_file: bool = False
    drop_result: bool = False
    late: float = 0.0
    prefix: str = ""
    name: str = "{}-r.mp4"
    shorter: int = 0
    cut: int | None = None
    unknown: int = 0
    submits: list[int | str] = field(default_factory=list)
    queries: list[int | str] = field(default_factory=list)
    before: Callable[[str], None] = lambda what: None
    after: Callable[[str], None] = lambda what: None


@dataclass
class AcceptedTask:
    """A task that was accepted. told: number of its queries."""

    code: str
    audio: Path
    video: Path
    begun: float
    told: int = 0
    written: bool = False


class DuixStandIn:
    """The service behind an address.

    data: the folder that it mounts. seconds: duration of a task by `clock`. later: calls a function after so many
    seconds of that clock.
    """

    def __init__(
        self, data: Path, seconds: float = 12.0, clock: Callable[[], float] = time.monotonic,
        later: Callable[[float, Callable[[], None]], None] = lambda seconds, do: threading.Timer(seconds, do).start(),
    ) -> None:  # fmt: skip
        self._later = later
        self.data, self.temp, self.seconds, self.clock = data, data / "temp", seconds, clock
        self.knobs = Knobs()
        self.taken: list[str] = []  # codes, each as often as it was accepted
        self.bodies: list[dict[str, Any]] = []  # of all submits
        self.times: list[float] = []  # of all submits
        self.asked: list[str] = []  # codes of all queries
        self.ends: list[str] = []  # codes whose end was reported
        self._task: AcceptedTask | None = None
        self._lock = threading.Lock()
        self.url = ""

    def restart(self) -> None:
        """Forget the current task, as a restart of the container does."""
        self._task = None

    @property
    def busy(self) -> bool:
        """Whether it works on a task."""
        return self._task is not None

    @contextmanager
    def serving(self, port: int = 0) -> Iterator["DuixStandIn"]:
        """Answer requests on loopback."""
        (self.temp).mkdir(parents=True, exist_ok=True)
        server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def submit(self, body: Any) -> dict[str, Any]:
        """Return the answer to a POST."""
        with self._lock:
            self.bodies.append(body)
            self.times.append(self.clock())
            if missing := [name for name in REQUIRED if not isinstance(body, dict) or not body.get(name)]:
                return _answer(10002, f"{missing[0]} missing", success=False)
            if self._task is not None:
                return _answer(10001, "busy", success=False)
            self._task = AcceptedTask(
                body["code"], self._path(body["audio_url"]), self._path(body["video_url"]), self.clock()
            )
            self.taken.append(body["code"])
            for name in ("_format.wav", "_format.mp4"):
                (self.temp / f"{body['code']}{name}").write_bytes(b"its own")
            return _answer(10000, "success")

    def query(self, code: str) -> dict[str, Any]:
        """Return the answer to a GET."""
        with self._lock:
            self.asked.append(code)
            knobs, task = self.knobs, self._task
            if task is None or task.code != code:
                return _answer(10004, "no such task")
            task.told += 1
            if task.told <= knobs.unknown:
                return _answer(10004, "no such task")
            share = (self.clock() - task.begun) / self.seconds
            progress = 100 if share >= 1 else STAGES[int(share * len(STAGES))]
            if knobs.hang_at is not None:
                progress = min(progress, knobs.hang_at)
            if knobs.lose_at is not None and progress >= knobs.lose_at:
                if knobs.keep_file:
                    self._write(task)
                self._task = None
                return _answer(10004, "no such task")
            if knobs.fail_at is not None and progress >= knobs.fail_at:
                return self._end(task, {"status": knobs.status, "progress": progress, "msg": "no\nface", "result": ""})
            if progress < 100:
                return _answer(
                    10000, "", data={"code": code, "status": 1, "progress": progress, "msg": "", "result": ""}
                )
            self._finish(task)
            name = f"{knobs.prefix}{knobs.name.format(code)}"
            return self._end(task, {"status": 2, "progress": 100, "msg": "done", "result": name, "size": 1})

    def _end(self, task: AcceptedTask, data: dict[str, Any]) -> dict[str, Any]:
        self._task = None
        self.ends.append(task.code)
        return _answer(10000, "", data=data | {"code": task.code})

    def _finish(self, task: AcceptedTask) -> None:
        if self.knobs.drop_result:
            return
        if self.knobs.late:
            self._later(self.knobs.late, lambda: self._write(task))
        else:
            self._write(task)

    def _write(self, task: AcceptedTask) -> None:
        made = self.temp / f"{task.code}-t.mp4"
        mux(task.video, task.audio, made, self.knobs.shorter)
        if self.knobs.cut is not None:
            made.write_bytes(made.read_bytes()[: self.knobs.cut])
        made.rename(self.temp / f"{task.code}-r.mp4")

    def _path(self, named: str) -> Path:
        return self.temp / named.removeprefix("/code/data/temp/")


def mux(video: Path, audio: Path, out: Path, shorter: int = 0) -> None:
    """Write a video's frames unchanged, with a sound as AAC. shorter: frames left out at the end."""
    with av.open(str(video)) as film, av.open(str(audio)) as sound, av.open(str(out), "w") as made:
        frames = made.add_stream_from_template(film.streams.video[0])
        voice = made.add_stream("aac", rate=48_000, layout="mono")
        packets = [packet for packet in film.demux(film.streams.video[0]) if packet.size]
        for packet in packets[: len(packets) - shorter]:
            packet.stream = frames
            made.mux(packet)
        for frame in sound.decode(audio=0):
            made.mux(voice.encode(frame))
        made.mux(voice.encode(None))


def _answer(code: int, said: str, success: bool = True, data: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"code": code, "success": success, "msg": said, "data": data or {}}


def _handler(service: DuixStandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Paths and methods of the contract."""

        disable_nagle_algorithm = True  # the body is sent right after the head

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path != "/easy/submit":
                self._send(404, b"")
                return
            service.knobs.before("submit")
            self._answer("submit", service.knobs.submits, lambda: service.submit(body))

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path != "/easy/query":
                self._send(405 if parts.path == "/easy/submit" else 404, b"")
                return
            service.knobs.before("query")
            code = parse_qs(parts.query)["code"][0]
            self._answer("query", service.knobs.queries, lambda: service.query(code))

        def log_message(self, *said: object) -> None:
            pass

        def _answer(self, what: str, instead: list[int | str], right: Callable[[], dict[str, Any]]) -> None:
            wrong = instead.pop(0) if instead else None
            if isinstance(wrong, int) and wrong > 0:
                service.times.append(service.clock()) if what == "submit" else None
                self._send(200, json.dumps(_answer(wrong, "told to", success=False)).encode())
                return
            if isinstance(wrong, int):
                self._send(-wrong, b"an error page")
                return
            answer = right()
            service.knobs.after(what)
            self._send(200, b"<not json>" if wrong == "garbage" else json.dumps(answer).encode())

        def _send(self, status: int, content: bytes) -> None:
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            except OSError:
                pass  # the client is gone

    return Handler
