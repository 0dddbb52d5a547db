"""Child processes that end with the process that started them, even if that is killed."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path

from shared.errors import StudioError
from shared.runtime.logs import get_logger
from shared.runtime.restart import RestartPolicy

log = get_logger()
READY_WAIT_S = 10.0  # seconds until a server must answer
RESTART_S = (0.0, 1.0)
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def signal_on_parent_death(number: signal.Signals) -> None:
    """Have the kernel send this signal to this process when the thread that started it ends. Only on Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def ends_with_us() -> list[str]:
    """Return a command prefix that makes the kernel kill the program when the thread that starts it ends.

    The starting thread must therefore run for as long as the program is needed. Empty where `setpriv` is not installed:
    the program then ends only when its owner stops it.
    """
    setpriv = shutil.which("setpriv")
    # This process may end before setpriv has asked for the signal, so the shell checks its parent before the exec.
    alive = '[ "$PPID" = "$0" ] || exit 1; exec "$@"'
    return [setpriv, "--pdeathsig", "KILL", "sh", "-c", alive, str(os.getpid())] if setpriv else []


def end_with(parent: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Have this process receive a signal when its parent process `parent` ends; exit now if it has already ended."""
    signal_on_parent_death(number)
    if os.getppid() != parent:
        os._exit(1)


class OwnedServer(ABC):
    """A server program that runs as long as its owner, and is restarted when it dies."""

    title: str
    process: subprocess.Popen[bytes]
    _ended = False

    @cached_property
    def _restart(self) -> RestartPolicy:
        return RestartPolicy(RESTART_S)

    @abstractmethod
    def start(self) -> None:
        """Start the process and wait until it answers. Raises StudioError."""

    def restart_if_dead(self) -> None:
        """Start the process again if it has died and its restart is due; call regularly."""
        if self.process.poll() is None:
            return
        if not self._ended:
            self._ended = True
            again_in_s = self._restart.died()
            log.warning("process_ended", title=self.title, code=self.process.returncode, again_in_s=again_in_s)
        if self._restart.is_due():
            self._ended = False
            try:
                self.start()
            except StudioError as error:
                log.warning("process_not_started", title=self.title, why=str(error))

    def kill(self) -> None:
        """Kill the process and wait for its end."""
        self.process.kill()
        self.process.wait()

    def _run(
        self,
        command: list[str],
        log_file: Path,
        answers: Callable[[], bool],
        variables: Mapping[str, str],
        stdin: Path | None = None,
    ) -> bool:
        """Start the program and return whether it answers within READY_WAIT_S; kill it if it does not.

        answers: whether the program is ready, polled meanwhile. variables: its environment besides PATH. stdin: file
        that it reads as standard input.
        """
        started = time.monotonic()
        with log_file.open("ab") as file, (stdin or Path(os.devnull)).open("rb") as read:
            self.process = subprocess.Popen(
                [*ends_with_us(), *command],
                env={"PATH": os.environ.get("PATH", ""), **variables},
                stdin=read, stdout=file, stderr=file, start_new_session=True,
            )  # fmt: skip
        while time.monotonic() - started < READY_WAIT_S and self.process.poll() is None:
            if answers():
                return True
            time.sleep(0.03)
        self.kill()
        return False
