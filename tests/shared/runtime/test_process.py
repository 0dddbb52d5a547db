"""Processes that end with their parent, and servers that are restarted."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.channel import wait_for
from shared.errors import StudioError
from shared.runtime.process import RESTART_S, OwnedServer, end_with, ends_with_us
from shared.runtime.restart import RestartPolicy

pytestmark = pytest.mark.apart

SLEEPS = "print('ready', flush=True); import time; time.sleep(60)"
# A parent that starts a child, prints the child's process id and waits for its own end.
BY_PREFIX = f"""
import subprocess, sys, time
from shared.runtime.process import ends_with_us
child = subprocess.Popen([*ends_with_us(), sys.executable, "-c", {SLEEPS!r}], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""
BY_CALL = f"""
import os, subprocess, sys, time
code = "import os, sys; from shared.runtime.process import end_with; end_with(int(sys.argv[1])); " + {SLEEPS!r}
child = subprocess.Popen([sys.executable, "-c", code, str(os.getpid())], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
@pytest.mark.parametrize("code", [BY_PREFIX, BY_CALL], ids=["ends_with_us", "end_with"])
def test_a_child_dies_with_its_parent(code: str) -> None:
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = Path(f"/proc/{int(parent.stdout.readline())}")
        assert is_running(child)
        parent.kill()
        parent.wait()
        wait_for(lambda: not is_running(child), what="end of the child")


def test_a_child_whose_parent_is_gone_already_ends_at_once() -> None:
    code = f"from {end_with.__module__} import end_with; end_with(1 << 30); print('runs on')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert (ended.returncode, ended.stdout) == (1, b"")


def test_the_prefix_refuses_a_parent_that_is_gone_already() -> None:
    prefix = ends_with_us()
    if not prefix:
        pytest.skip("no setpriv")
    ended = subprocess.run([*prefix[:-1], str(1 << 30), "echo", "runs on"], capture_output=True)
    assert (ended.returncode, ended.stdout) == (1, b"")


class SleepingServer(OwnedServer):
    """A server that answers while `answers` is True."""

    title = "the test's server"

    def __init__(self, log_file: Path, clock: Callable[[], float]) -> None:
        self.answers, self.starts, self._log_file = True, 0, log_file
        self.__dict__["_restart"] = RestartPolicy(RESTART_S, clock)  # replaces the policy that uses the real clock
        self.start()

    def start(self) -> None:
        self.starts += 1
        command = [sys.executable, "-c", "import time; time.sleep(60)"]
        if not self._run(command, self._log_file, lambda: self.answers, {}):
            raise StudioError("The test's server does not answer.")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[SleepingServer, list[float]]]:
    """A running server, and a list that holds its clock, in seconds, for the test to set."""
    now_s = [100.0]
    started = SleepingServer(tmp_path / "log", lambda: now_s[0])
    yield started, now_s
    started.kill()


def test_a_server_that_dies_is_started_at_once_and_then_after_a_second(
    server: tuple[SleepingServer, list[float]],
) -> None:
    own, now_s = server
    own.restart_if_dead()
    assert own.starts == 1, "it runs"
    own.kill()
    own.restart_if_dead()
    assert own.starts == 2 and own.process.poll() is None
    own.kill()
    own.restart_if_dead()
    now_s[0] += 0.9
    own.restart_if_dead()
    assert own.starts == 2
    now_s[0] += 0.2
    own.restart_if_dead()
    assert own.starts == 3 and own.process.poll() is None


def test_a_server_that_does_not_answer_is_killed_and_tried_again(
    server: tuple[SleepingServer, list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    own, now_s = server
    monkeypatch.setattr("shared.runtime.process.READY_WAIT_S", 0.1)
    own.answers = False
    own.kill()
    own.restart_if_dead()  # its StudioError is logged, not raised
    assert own.starts == 2 and own.process.poll() is not None
    own.answers = True
    own.restart_if_dead()
    now_s[0] += 1.1
    own.restart_if_dead()
    assert own.starts == 3 and own.process.poll() is None


def is_running(process: Path) -> bool:
    """Return whether a process, given by its folder in /proc, has not ended; a zombie has."""
    try:
        return "State:\tZ" not in (process / "status").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
