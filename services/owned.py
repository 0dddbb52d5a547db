"""Processes that end with the one that started them, however that ends."""

import ctypes
import os
import shutil
import signal
import sys

PR_SET_PDEATHSIG = 1


def ends_with_us() -> list[str]:
    """A prefix that ends a program when the thread that starts it is gone; where there is none it is ended only in
    order. So a program is started by a thread that lives as long as it is wanted."""
    setpriv = shutil.which("setpriv")
    # Whoever is gone before that was said is seen by the shell, which becomes the program.
    alive = '[ "$PPID" = "$0" ] || exit 1; exec "$@"'
    return [setpriv, "--pdeathsig", "KILL", "sh", "-c", alive, str(os.getpid())] if setpriv else []


def end_with(parent: int) -> None:
    """From now on this process is killed when `parent`, its parent, dies; at once where it is dead already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
