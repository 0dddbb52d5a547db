"""A complete channel in a child process, started with `studio live` as by a user, and readers of its streams."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import zmq

from shared.wire.bus import Reader, endpoint
from shared.wire.message import Message

URL = re.compile(r"(http://[^/\s]+)/#token=(\S+)")
PATIENCE_S = 180.0  # timeout of a wait: a long one costs nothing when the test passes, and a slow machine needs it
NOTHING: Mapping[str, str] = {}
SERVICES = ("capture", "generator", "compositor", "gateway")


def wait_for(condition: Callable[[], Any], seconds: float = PATIENCE_S, what: str = "", every: float = 0.02) -> Any:
    """Poll a condition and return its first true value; raises AssertionError after `seconds`.

    what: name of the condition in the error. every: seconds between two polls.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(every)
    raise AssertionError(f"did not happen within {seconds} s: {what or condition}")


class Studio:
    """`studio live` in a child process, with its API and its streams."""

    def __init__(
        self,
        home: Path,
        run_root: Path,
        *arguments: str,
        channel: str = "main",
        engines: Mapping[str, str] | None = None,  # the setting of that name
        environment: Mapping[str, str] = NOTHING,  # further settings
    ) -> None:
        self.home, self.run_dir, self.channel = home, run_root / channel, channel
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("STUDIO_")}
        environment = (
            inherited
            | dict(environment)
            | {"STUDIO_HOME": str(home), "STUDIO_RUN_ROOT": str(run_root), "PYTHONUNBUFFERED": "1"}
        )
        environment |= {"STUDIO_ENGINES": json.dumps(engines or {})}
        self.log = run_root.parent / f"{channel}.log"
        with self.log.open("w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cli.app", "live", "--no-open", "--channel", channel, *arguments],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        # One client for all requests, as `state` is polled and making a client takes as long as forty requests. Each
        # has its own connection, so that a gateway that was restarted answers the next one.
        self._http = httpx2.Client(
            timeout=PATIENCE_S, trust_env=False, limits=httpx2.Limits(max_keepalive_connections=0)
        )
        self._context: zmq.Context[Any] = zmq.Context()
        self._readers: list[Reader] = []

    def console(self) -> "Studio":
        """Wait until the console's address is in the log, and store it as `base` and `token`."""
        wait_for(
            lambda: URL.search(self.log.read_text(encoding="utf-8")) or self.process.poll() is not None,
            what="console address",
        )
        found = URL.search(self.log.read_text(encoding="utf-8"))
        assert found, self.log.read_text(encoding="utf-8")
        self.base, self.token = found.groups()
        return self

    def on_air(self) -> "Studio":
        """Wait until the program shows a driven face."""
        self.console()
        wait_for(
            lambda: self.state().get("on_air_state") == "ON AIR", what=f"on air\n{self.log.read_text(encoding='utf-8')}"
        )
        return self

    def state(self) -> dict[str, Any]:
        """Return the channel's state from the API, {} while the gateway cannot answer."""
        try:
            answer = self._http.get(f"{self.base}/api/v1/channels/{self.channel}", headers=self._auth)
            return dict(answer.json()) if answer.status_code == 200 else {}
        except httpx2.HTTPError:
            return {}

    def patch(self, **changes: object) -> httpx2.Response:
        """Change the scene's fields to these values and return the API's response."""
        url = f"{self.base}/api/v1/channels/{self.channel}/scene"
        return self._http.patch(url, json=changes, headers=self._auth)

    @property
    def _auth(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def pids(self) -> dict[str, int]:
        """Return the process id of each running service, read from /proc."""
        found = {}
        for pid in children(self.process.pid):
            words = command(pid)
            name = next((w.removeprefix("services.") for w in words if w.startswith("services.")), "")
            if name in SERVICES:
                found[name] = pid
        return found

    def read(self, stream: str, *, newest: bool = False) -> Reader:
        """Open another reader of a stream; `close` closes it."""
        reader = Reader(self._context, endpoint(self.run_dir, stream), stream, self.channel, newest=newest)
        self._readers.append(reader)
        return reader

    def collect_messages(self, stream: str, seconds: float) -> list[tuple[float, Message]]:
        """Read a stream for some seconds and return (monotonic seconds of arrival, message) of every message."""
        reader, got = self.read(stream), []
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            if reader.socket.poll(20):
                got += [(time.monotonic(), m) for m in reader.read()]
        reader.close()
        self._readers.remove(reader)
        return got

    def end(self, number: int = signal.SIGINT, seconds: float = PATIENCE_S) -> int:
        """Send a signal, wait until the process has ended and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def close(self) -> None:
        """Close the readers and kill the processes that still run."""
        for reader in self._readers:
            reader.close()
        self._http.close()
        self._context.term()
        left = [self.process.pid, *children(self.process.pid)] if self.process.poll() is None else []
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()


@contextmanager
def studio(
    home: Path,
    run_root: Path,
    *arguments: str,
    channel: str = "main",
    engines: Mapping[str, str] | None = None,
    environment: Mapping[str, str] = NOTHING,
) -> Iterator[Studio]:
    """Run a channel for the length of a test; see `Studio` for the arguments."""
    run_root.mkdir(mode=0o700, exist_ok=True)
    started = Studio(home, run_root, *arguments, channel=channel, engines=engines, environment=environment)
    try:
        yield started
    finally:
        started.close()


@contextmanager
def sample_channel(
    *arguments: str, engines: Mapping[str, str] | None = None, environment: Mapping[str, str] = NOTHING
) -> Iterator[tuple[Studio, float]]:
    """Run a channel with the sample avatar in a temporary home, and yield it once it is on air.

    The second value is the time in seconds from the command to a driven face.
    """
    from services.local.samples import ensure_samples

    with tempfile.TemporaryDirectory(prefix="studio-", dir="/tmp") as folder:
        home = Path(folder) / "home"
        ensure_samples(home, lambda stage, done: None)
        started = time.monotonic()
        with studio(
            home, Path(folder) / "run", "--port", "0", *arguments, engines=engines, environment=environment
        ) as run:
            run.on_air()
            yield run, time.monotonic() - started
            run.end()


def children(pid: int) -> list[int]:
    """Return the process ids of a process's children, [] if the process has ended."""
    try:
        return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def command(pid: int) -> list[str]:
    """Return a process's command line, [] if the process has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return []


def resident_bytes(pid: int) -> int:
    """Return a process's resident memory in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def longest_gap(frames: list[tuple[float, Message]], watched: float = 0.0) -> float:
    """Return the longest time between two consecutive arrivals, in seconds; infinite for fewer than two frames.

    watched: seconds for which the stream was read. Its part before the first and after the last arrival together counts
    as one gap.
    """
    at = [arrival for arrival, _ in frames]
    return max(watched - (at[-1] - at[0]), *(b - a for a, b in pairwise(at))) if len(at) > 1 else float("inf")
