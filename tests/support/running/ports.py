"""Free ports of this machine."""

import fcntl
import os
import random
import socket
import tempfile
from functools import cache
from pathlib import Path

PORTS = range(20_000, 32_000)  # below the ephemeral ports of the system
_given: set[int] = set()


def free_port() -> int:
    """Return a port that nothing listens on, and that no other process of the tests gets before this one ends."""
    for port in random.SystemRandom().sample(PORTS, len(PORTS)):
        if port not in _given and _is_ours(port) and _is_free(port):
            _given.add(port)
            return port
    raise AssertionError("no port is free")


@cache
def _register() -> int:
    """Open the file in which each byte stands for a port and is locked by the process that has the port."""
    path = Path(tempfile.gettempdir()) / f"persona-studio-test-ports-{os.getuid()}"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _is_ours(port: int) -> bool:
    try:
        fcntl.lockf(_register(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
