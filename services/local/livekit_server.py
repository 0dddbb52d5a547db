"""The studio's own LiveKit server, on loopback, which runs as long as the studio."""

import os
import secrets
import shutil
import socket
from pathlib import Path

from shared.config.cache_dir import cache_folder
from shared.errors import StudioError
from shared.runtime.process import OwnedServer

KEY = "studio"


def find_server() -> Path | None:
    """Return the `livekit-server` on the path, or the one that deploy/livekit.sh built; None without either."""
    found = shutil.which("livekit-server")
    cached = cache_folder() / "bin" / "livekit-server"
    return Path(found) if found else cached if os.access(cached, os.X_OK) else None


class LiveKitServer(OwnedServer):
    """The server's process, its address and its keys. A context manager that ends the process on exit."""

    title = "LiveKit server"

    def __init__(self, log_file: Path) -> None:
        """Start the server on free ports. Raises StudioError when none is installed or it does not start."""
        program = find_server()
        if program is None:
            raise StudioError(
                "There is no LiveKit server: run deploy/livekit.sh, which builds one, or set LIVEKIT_URL, "
                "LIVEKIT_API_KEY and LIVEKIT_API_SECRET of one that runs elsewhere."
            )
        self.key, self.secret = KEY, secrets.token_urlsafe(32)
        self._program, self._log_file = program, log_file
        self._ports = free_ports()
        self.url = f"ws://127.0.0.1:{self._ports[0]}"
        self.start()

    def start(self) -> None:
        """Start the process and wait until it answers; rooms of an earlier process are lost. Raises StudioError."""
        command = [str(self._program), "--bind", "127.0.0.1", "--node-ip", "127.0.0.1"]
        # The keys are passed in the environment, because other users can read a command line.
        if not self._run(command, self._log_file, self._answers, {"LIVEKIT_CONFIG": self._config()}):
            raise StudioError(f"The LiveKit server {self._program} did not start; see {self._log_file}.")

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._ports[0]), 1).close()
        except OSError:
            return False
        return True

    def __enter__(self) -> "LiveKitServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _config(self) -> str:
        port, tcp, udp = self._ports
        rtc = f"{{tcp_port: {tcp}, udp_port: {udp}, use_external_ip: false}}"
        # Rooms are created when the studio joins them, and nothing is kept between runs, so there is no Redis.
        return f'port: {port}\nrtc: {rtc}\nkeys: {{"{self.key}": "{self.secret}"}}\nlogging: {{level: warn}}\n'


def free_ports() -> tuple[int, int, int]:
    """Return currently free ports for signalling, media over TCP and media over UDP."""
    kinds = (socket.SOCK_STREAM, socket.SOCK_STREAM, socket.SOCK_DGRAM)
    sockets = [socket.socket(socket.AF_INET, kind) for kind in kinds]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports[0], ports[1], ports[2]
