"""A LiveKit server of one's own, on loopback, for as long as the studio runs."""

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
    """The `livekit-server` on the path, or the one that deploy/livekit.sh built."""
    found = shutil.which("livekit-server")
    cached = cache_folder() / "bin" / "livekit-server"
    return Path(found) if found else cached if os.access(cached, os.X_OK) else None


class LiveKitServer(OwnedServer):
    """The server's process, its address and its keys. A context manager: leaving it ends the process."""

    title = "LiveKit server"

    def __init__(self, log_file: Path) -> None:
        """Start the server on free ports. Raises StudioError when there is none or it does not come up."""
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
        """Start the process and wait until it answers; rooms of one before are gone. Raises StudioError."""
        command = [str(self._program), "--bind", "127.0.0.1", "--node-ip", "127.0.0.1"]
        # The keys go by the environment: a command line is everybody's to read.
        if not self._run(command, self._log_file, self._answers, {"LIVEKIT_CONFIG": self._config()}):
            raise StudioError(f"The LiveKit server {self._program} did not start; {self._log_file} says why.")

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
        # The studio asks for rooms by joining them; nothing is kept between runs, so no Redis.
        return f'port: {port}\nrtc: {rtc}\nkeys: {{"{self.key}": "{self.secret}"}}\nlogging: {{level: warn}}\n'


def free_ports() -> tuple[int, int, int]:
    """Ports for signalling, media over TCP and media over UDP that were free just now."""
    kinds = (socket.SOCK_STREAM, socket.SOCK_STREAM, socket.SOCK_DGRAM)
    sockets = [socket.socket(socket.AF_INET, kind) for kind in kinds]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports[0], ports[1], ports[2]
