"""Starts, watches and restarts the four processes of a channel."""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
import zmq

from shared.config.settings import PREFIX, Settings
from shared.errors import StudioError
from shared.wire.bus import Reader, endpoint
from shared.wire.message import WireError
from shared.wire.pulse import Pulse

log = structlog.get_logger()

SERVICES = ("gateway", "compositor", "generator", "capture")
TERM_WAIT = 1.2  # seconds a service has to end before it is killed; Ctrl-C is over within two
HUNG_AFTER = 30.0  # seconds without a pulse until a service counts as hung
BACKOFF = (0.0, 0.0, 0.1, 0.2, 0.5)  # seconds before a restart, by deaths in the last minute
PORTS_TRIED = 20
PRIORITY = -10  # nice value of the services


@dataclass(slots=True)
class Child:
    """One service's process."""

    service: str
    process: subprocess.Popen[bytes]
    pidfd: int
    heard: float = field(default_factory=time.monotonic)


class Supervisor:
    """One channel's processes. A context manager: leaving it leaves no process, socket file or lock behind."""

    def __init__(self, settings: Settings, *, port_asked: bool) -> None:
        self.settings = settings
        self.pulses: dict[str, Pulse] = {}
        self._children: dict[str, Child] = {}
        self._deaths: dict[str, list[float]] = {name: [] for name in SERVICES}
        self._due: dict[str, float] = {}
        self._lock = _claim(settings)
        try:
            self._listener = listen(settings.host, settings.port, asked=port_asked)
        except BaseException:
            self._release()
            raise
        self._context: zmq.Context[Any] = zmq.Context()
        self._watch = Reader(
            self._context, endpoint(settings.run_dir, "watch"), "pulse", settings.channel, newest=False, bind=True
        )
        self._poller = zmq.Poller()
        self._poller.register(self._watch.socket, zmq.POLLIN)

    @property
    def port(self) -> int:
        """The port the console listens on."""
        return int(self._listener.getsockname()[1])

    def start(self) -> None:
        """Start all services."""
        for name in SERVICES:
            self._spawn(name)

    def run(self, until: Callable[[], bool]) -> None:
        """Keep the services alive until `until()` says so; it is asked at least five times a second."""
        while not until():
            self.turn()

    def turn(self) -> None:
        """Wait up to 0.2 s for a pulse or a death and see to it."""
        ready = [fd for fd, _ in self._poller.poll(200)]
        for message in self._watch.read():
            try:
                pulse = Pulse.of(message.facts)
            except WireError:
                continue
            child = self._children.get(pulse.service)
            if child and child.process.pid == pulse.pid:
                child.heard = time.monotonic()
                self.pulses[pulse.service] = pulse
        for child in list(self._children.values()):
            if child.pidfd in ready:
                self._bury(child)
            elif time.monotonic() - child.heard > HUNG_AFTER:
                log.warning("no pulse, killing", which=child.service)
                child.process.kill()
        for name, due in list(self._due.items()):
            if time.monotonic() >= due:
                del self._due[name]
                self._spawn(name)

    def close(self) -> None:
        """End everything."""
        for child in self._children.values():
            child.process.terminate()
        deadline = time.monotonic() + TERM_WAIT
        for child in self._children.values():
            try:
                child.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
            os.close(child.pidfd)
        self._children.clear()
        self._listener.close()
        self._watch.close()
        self._context.term()
        self._release()

    def __enter__(self) -> "Supervisor":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _spawn(self, name: str) -> None:
        command = [sys.executable, "-m", f"services.{name}"]
        if name == "gateway":
            command += ["--fd", str(self._listener.fileno())]
        process = subprocess.Popen(
            command,
            # Only the gateway speaks to other machines; no other service is told its secrets.
            env=_without_studio(os.environ) | self.settings.environment(secrets=name == "gateway") | _ONE_THREAD,
            stdin=subprocess.DEVNULL,
            pass_fds=[self._listener.fileno()] if name == "gateway" else [],
            start_new_session=True,  # Ctrl-C is the supervisor's to pass on, once
        )
        _prefer(process.pid)
        child = Child(name, process, os.pidfd_open(process.pid))
        self._children[name] = child
        self._poller.register(child.pidfd, zmq.POLLIN)

    def _bury(self, child: Child) -> None:
        code = child.process.wait()
        self._poller.unregister(child.pidfd)
        os.close(child.pidfd)
        del self._children[child.service]
        self.pulses.pop(child.service, None)
        at = time.monotonic()
        recent = [death for death in self._deaths[child.service] if at - death < 60] + [at]
        self._deaths[child.service] = recent
        wait = BACKOFF[min(len(recent), len(BACKOFF)) - 1]
        log.warning("service ended", which=child.service, how=_how(code), again_in_s=wait)
        self._due[child.service] = at + wait

    def _release(self) -> None:
        shutil.rmtree(self.settings.run_dir, ignore_errors=True)
        os.close(self._lock)


# Each service has its own core to itself at best; thread pools of libraries only take it from the others.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def _prefer(pid: int) -> None:
    """Before the browser that only watches, where this user may: a late program is everybody's, a late preview one's own."""
    try:
        os.setpriority(os.PRIO_PROCESS, pid, PRIORITY)
    except OSError:
        pass  # without the right to it everyone is equal, which works too


def _without_studio(environment: Any) -> dict[str, str]:
    return {key: value for key, value in environment.items() if not key.startswith((PREFIX, "LIVEKIT_", "REDIS_"))}


def listen(host: str, port: int, *, asked: bool) -> socket.socket:
    """A listening socket that the gateway inherits, so that it keeps its port when it dies.

    A port that was not asked for gives way to the next free one. Raises StudioError when none can be had.
    """
    tried = range(port, port + 1) if asked or port == 0 else range(port, min(port + PORTS_TRIED, 65536))
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    reason = ""
    for number in tried:
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, number))
            listener.listen(128)
        except OSError as error:
            listener.close()
            reason = error.strerror or str(error)
            continue
        return listener
    raise StudioError(f"The console cannot listen on {host}:{port} ({reason}); choose another port with --port.")


def _claim(settings: Settings) -> int:
    """Make the channel's folder, which is ours alone, and hold its lock. Raises StudioError when another studio has it."""
    run_dir, root = settings.run_dir, settings.run_root
    longest = len(os.fsencode(endpoint(run_dir, "program")))
    if longest > 107 + len("ipc://"):
        raise StudioError(f"{root} is too long a path for sockets; set a shorter one with STUDIO_RUN_ROOT.")
    try:
        for folder in (root, run_dir):
            folder.mkdir(mode=0o700, parents=folder is root, exist_ok=True)
            status = folder.lstat()
            if folder.is_symlink() or status.st_uid != os.getuid() or status.st_mode & 0o077:
                raise StudioError(f"{folder} is not this user's alone; remove it or set STUDIO_RUN_ROOT.")
        lock = os.open(root / f".{settings.channel}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StudioError(
            f"{run_dir} cannot be made ({error.strerror}); set STUDIO_RUN_ROOT to a folder that can."
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise StudioError(
            f"Channel '{settings.channel}' is already running; stop it, or start another with --channel NAME."
        ) from None
    for left in run_dir.iterdir():  # of a studio that was killed
        left.unlink() if not left.is_dir() else shutil.rmtree(left)
    return lock


def _how(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit {code}"
