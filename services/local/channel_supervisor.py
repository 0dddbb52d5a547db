"""Starts, watches and restarts the processes of a channel, and those of its sessions."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import zmq

from shared.config.child_environment import child_environment
from shared.config.settings import Settings
from shared.errors import StudioError
from shared.runtime.file_lock import open_lock, try_lock
from shared.runtime.logs import get_logger
from shared.runtime.restart import RestartPolicy
from shared.wire.bus import Reader, endpoint
from shared.wire.message import WireError
from shared.wire.pulse import Pulse

log = get_logger()

SERVICES = ("gateway", "compositor", "generator", "capture")
# Run where sessions are allowed: the service of their rooms, and a generator for the faces of all of them.
SESSION_SERVICES = {"sessions": ("services.sessions",), "faces": ("services.generator", "--sessions")}
TERM_WAIT_S = 1.2  # time for a service to end before it is killed; Ctrl-C is to take less than two seconds
HUNG_AFTER_S = 30.0  # time without a pulse after which a service counts as hung
START_S = 180.0  # the same before its first pulse: a busy machine takes long to load the modules
RESTART_S = (0.0, 0.0, 0.1, 0.2, 0.5)
PORTS_TRIED = 20
PRIORITY = -10  # nice value of the services


@dataclass(slots=True)
class ServiceProcess:
    """A service's process. due: monotonic time at which it counts as hung, unless it sends a pulse before."""

    service: str
    process: subprocess.Popen[bytes]
    pidfd: int
    due: float


class Supervisor:
    """Supervises the processes of a channel. A context manager: on exit no process, socket file or lock remains."""

    def __init__(self, settings: Settings, *, port_asked: bool) -> None:
        self.settings = settings
        self.pulses: dict[str, Pulse] = {}
        self._children: dict[str, ServiceProcess] = {}
        self.services = (*SERVICES, *(SESSION_SERVICES if settings.sessions.allowed_livekit_urls else ()))
        self._restarts = {name: RestartPolicy(RESTART_S) for name in self.services}
        self._ended: set[str] = set()
        self._lock = _claim(settings)
        try:
            self._listener = listening_socket(settings.host, settings.port, asked=port_asked)
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
        """The port of the console."""
        return int(self._listener.getsockname()[1])

    def start(self) -> None:
        """Start all services."""
        for name in self.services:
            self._spawn(name)

    def run(self, until: Callable[[], bool]) -> None:
        """Keep the services running until `until()` is true; it is called at least five times a second."""
        while not until():
            self.turn()

    def turn(self) -> None:
        """Wait up to 0.2 s for pulses and ended processes; kill hung services and restart ended ones."""
        ready = [fd for fd, _ in self._poller.poll(200)]
        self._watch.keep_endpoint()
        for message in self._watch.read():
            try:
                pulse = Pulse.from_dict(message.facts)
            except WireError:
                continue
            child = self._children.get(pulse.service)
            if child and child.process.pid == pulse.pid:
                child.due = time.monotonic() + HUNG_AFTER_S
                self.pulses[pulse.service] = pulse
        for child in list(self._children.values()):
            if child.pidfd in ready:
                self._bury(child)
            elif time.monotonic() > child.due:
                log.warning("service_hung", which=child.service)
                child.process.kill()
        for name in sorted(self._ended):
            if self._restarts[name].is_due():
                self._ended.discard(name)
                self._spawn(name)

    def close(self) -> None:
        """Stop all services and release the port, the sockets and the channel's folder."""
        for child in self._children.values():
            child.process.terminate()
        deadline = time.monotonic() + TERM_WAIT_S
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
        command = [sys.executable, "-m", *SESSION_SERVICES.get(name, (f"services.{name}",))]
        if name == "gateway":
            command += ["--fd", str(self._listener.fileno())]
        process = subprocess.Popen(
            command,
            # Only the gateway talks to other machines, so no other service gets the secrets. One thread: a service has
            # one core at best, and a library's thread pool would only take time from the other services.
            env=child_environment(self.settings, secrets=name == "gateway", store=name == "gateway", threads=1),
            stdin=subprocess.DEVNULL,
            pass_fds=[self._listener.fileno()] if name == "gateway" else [],
            start_new_session=True,  # the terminal's Ctrl-C reaches the supervisor only, which stops the services
        )
        _prefer(process.pid)
        child = ServiceProcess(name, process, os.pidfd_open(process.pid), time.monotonic() + START_S)
        self._children[name] = child
        self._poller.register(child.pidfd, zmq.POLLIN)

    def _bury(self, child: ServiceProcess) -> None:
        code = child.process.wait()
        self._poller.unregister(child.pidfd)
        os.close(child.pidfd)
        del self._children[child.service]
        self.pulses.pop(child.service, None)
        again_in_s = self._restarts[child.service].died()
        log.warning("service_ended", which=child.service, how=_how(code), again_in_s=again_in_s)
        self._ended.add(child.service)

    def _release(self) -> None:
        shutil.rmtree(self.settings.run_dir, ignore_errors=True)
        os.close(self._lock)


def _prefer(pid: int) -> None:
    """Give a service priority over a browser on the same machine, if this user is permitted to.

    A late program affects all viewers, a late preview only the operator.
    """
    try:
        os.setpriority(os.PRIO_PROCESS, pid, PRIORITY)
    except OSError:
        pass  # not permitted: all processes then have the same priority, which works too


def listening_socket(host: str, port: int, *, asked: bool) -> socket.socket:
    """Open the console's listening socket. The gateway inherits it, so the port stays open when the gateway restarts.

    asked: whether the user chose the port; if not, the next free one may be used instead. Raises StudioError when none
    is free.
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
    """Make the channel's folder, accessible to this user only, and return the descriptor of its lock.

    Raises StudioError when another studio runs the channel, or the folder cannot be made or is not this user's alone.
    """
    run_dir, root = settings.run_dir, settings.run_root
    longest = len(os.fsencode(endpoint(run_dir, "program")))
    if longest > 107 + len("ipc://"):
        raise StudioError(f"{root} is too long a path for sockets; set a shorter one with STUDIO_RUN_ROOT.")
    try:
        for folder in (root, run_dir):
            folder.mkdir(mode=0o700, parents=folder is root, exist_ok=True)
            status = folder.lstat()
            if folder.is_symlink() or status.st_uid != os.getuid() or status.st_mode & 0o077:
                raise StudioError(f"{folder} is a link, or not private to this user; remove it or set STUDIO_RUN_ROOT.")
        lock = open_lock(root / f".{settings.channel}.lock")
    except OSError as error:
        raise StudioError(
            f"{run_dir} cannot be created ({error.strerror}); set STUDIO_RUN_ROOT to a writable folder."
        ) from None
    try:
        locked = try_lock(lock)
    except OSError:
        locked = False  # a file system without locks
    if not locked:
        os.close(lock)
        raise StudioError(
            f"Channel '{settings.channel}' is already running; stop it, or start another with --channel NAME."
        )
    for left in run_dir.iterdir():  # files of a studio that was killed
        left.unlink() if not left.is_dir() else shutil.rmtree(left)
    return lock


def _how(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit {code}"
