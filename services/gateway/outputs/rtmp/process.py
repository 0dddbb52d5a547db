"""The gateway's side of an RTMP push: starts the child process, writes to it with bounded waits, detects stalls."""

import fcntl
import json
import os
import select
import subprocess
import sys
import time
from collections import deque

START_S = 20.0  # seconds that a busy machine may need to start the interpreter and parse the stream's beginning
ACCEPT_S = 7.0  # seconds that a receiver has to accept the stream
STALLED_S = 6.0  # seconds within which a receiver must acknowledge more data
GOODBYE_S = 0.3  # seconds that the process has to end the stream properly
POLL_S = 0.1
PIPE_BYTES = 1 << 20  # several seconds of FLV, which may wait while the process connects


class PushError(Exception):
    """Raised when a push has ended. kind: unreachable, refused, silent, stalled, closed or unstarted."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class PushProcess:
    """The child process of one connection. Write the address and a newline to it first, then FLV.

    Owned by one thread; other threads may call only `end`. live: the receiver has accepted the stream and acknowledged
    data of it.
    """

    def __init__(self) -> None:
        self.live = False
        self._ending = False
        self._state, self._since = "starting", time.monotonic()
        self._acked: deque[tuple[float, int]] = deque(maxlen=20)  # (time, bytes that the receiver has acknowledged)
        self._live_since = 0.0
        self._error = ""
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "services.gateway.outputs.rtmp.child"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        except OSError:
            raise PushError("unstarted") from None
        assert self._process.stdin and self._process.stdout
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        fcntl.fcntl(self._in, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        for fd in (self._in, self._out):
            os.set_blocking(fd, False)
        self._heard = b""

    def write(self, data: bytes | memoryview) -> int:
        """Write all of these bytes. Raises PushError if the process has died, is stuck, or was asked to end."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._in, rest) :]
            except BlockingIOError:
                select.select([], [self._in], [], POLL_S)
                self.check()
            except BrokenPipeError:
                self._process.wait()
                self.check()
                raise PushError("closed") from None
        return len(data)

    def check(self) -> None:
        """Process the child's reports. Raises PushError if the child has died, is stuck, or was asked to end."""
        if self._ending:
            raise PushError("closed")
        over = self._read_reports()
        at, quiet = time.monotonic(), time.monotonic() - self._since
        if over:
            raise PushError(self._error or "closed")
        if self._state == "starting" and quiet > START_S:
            raise PushError("silent")
        if self._state == "ready" and quiet > ACCEPT_S:
            raise PushError("silent")
        if self._state == "open" and at - self._acked[-1][0] > STALLED_S:
            raise PushError("stalled")

    def _read_reports(self) -> bool:
        """Read the child's report lines; returns whether its output has ended."""
        while True:
            try:
                got = os.read(self._out, 4096)
            except BlockingIOError:
                return False
            if not got:
                return True
            *lines, self._heard = (self._heard + got).split(b"\n")
            for line in lines:
                self._understand(json.loads(line))

    def _understand(self, words: dict[str, object]) -> None:
        at = time.monotonic()
        if "ready" in words:
            self._state, self._since = "ready", at
        elif "open" in words:
            self._state, self._since = "open", at
            self._acked.append((at, 0))
        elif "error" in words:
            self._error = str(words["error"])
        acked = words.get("acked")
        if self._state == "open" and type(acked) is int and acked > self._acked[-1][1]:
            if not self.live and len(self._acked) > 1:
                self.live, self._live_since = True, at
            self._acked.append((at, acked))

    @property
    def live_for(self) -> float:
        """Seconds since the push became live, 0 before."""
        return time.monotonic() - self._live_since if self.live else 0.0

    @property
    def kbps(self) -> float:
        """Bit rate that the receiver accepted over the last seconds, kbit/s."""
        (begin, first), (end, last) = self._acked[min(1, len(self._acked) - 1)], self._acked[-1]
        return (last - first) * 8 / 1000 / (end - begin) if end > begin else 0.0

    def end(self) -> None:
        """Make `write` and `check` raise PushError, so that no thread keeps waiting. May be called from any thread."""
        self._ending = True

    def close(self) -> None:
        """Close the stream, properly if that takes no longer than GOODBYE_S, and make sure that the process ends."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()  # the end of the stream
        try:
            self._process.wait(GOODBYE_S if self.live else 0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
