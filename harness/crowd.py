"""Many viewers that come and go, in a process of their own."""

import subprocess
import sys

VIEWERS = 200
SOCKETS = ("preview?mode=roi", "preview?mode=full", "preview?mode=roi", "state")  # what an open page has, and a switch


class Crowd:
    """The viewers, in a process of their own until `leave`."""

    def __init__(self, base: str, token: str, channel: str, count: int = VIEWERS) -> None:
        sockets = f"{base.replace('http', 'ws', 1)}/api/v1/channels/{channel}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.system.viewers", "--crowd", sockets, str(count)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8",
        )  # fmt: skip
        assert self._process.stdin
        self._process.stdin.write(token + "\n")
        self._process.stdin.flush()

    def leave(self, after: int = 0) -> int:
        """All go once there were so many visits; how many there were."""
        said, _ = self._process.communicate(f"{after}\n", timeout=120)
        return int(said)

    def __enter__(self) -> "Crowd":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
