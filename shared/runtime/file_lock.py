"""Advisory file locks (`flock`): held by one process and released by the kernel however that process ends."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path

POLL_S = 0.05


def open_lock(path: Path) -> int:
    """Return a descriptor of the lock file, which is created readable by this user alone. Raises OSError."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def try_lock(file: int | BufferedIOBase, wait_s: float = 0.0) -> bool:
    """Lock an open file exclusively; return False if another process still holds the lock after `wait_s`."""
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
        time.sleep(POLL_S)


@contextmanager
def one_at_a_time(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a lock for the block; call `waiting` before waiting for another process to release it. Raises OSError."""
    file = open_lock(path)
    try:
        if not try_lock(file):
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock. Safer than a saved process id: ids are reused, a lock ends with its holder."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two processes that check are not taken for holders
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False
