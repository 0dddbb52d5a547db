"""A studio that serves sessions and no channel.

It consists of a LiveKit server, a gateway and the two services of sessions, run by a supervisor.
"""

import tempfile
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from harness.channel import wait_for
from harness.sessions.voice_agent import avatar_token
from services.local.channel_supervisor import SESSION_SERVICES, Supervisor
from services.local.livekit_server import LiveKitServer
from services.local.samples import ensure_samples
from shared.config.settings import Settings
from shared.config.token import operator_token
from shared.wire.pulse import Pulse

SERVED_BY = ("gateway", *SESSION_SERVICES)
STARTS_S = 60.0


class SessionStudio:
    """A studio's processes without a channel, supervised as by `studio live`, and a client of its API."""

    def __init__(
        self,
        home: Path,
        run_root: Path,
        server: LiveKitServer,
        max_sessions: int,
        engines: Mapping[str, str] | None = None,
    ) -> None:
        """Start all processes and wait until the gateway answers.

        home: studio folder that has avatars. max_sessions: the setting; 0 for as many as the machine can serve.
        engines: the setting.
        """
        self.server = server
        allowed: Any = {"allowed_livekit_urls": [server.url], "max_sessions": max_sessions}
        self.settings = Settings(
            home=home, run_root=run_root, log_level="warning", port=0, sessions=allowed, engines=dict(engines or {})
        )
        self.token = operator_token(home)
        self._supervisor = Supervisor(self.settings, port_asked=True)
        self._supervisor.services = SERVED_BY
        self._over = threading.Event()
        self._supervisor.start()
        self._thread = threading.Thread(target=self._supervisor.run, args=(self._over.is_set,), daemon=True)
        self._thread.start()
        base = f"http://127.0.0.1:{self._supervisor.port}/api/v1"
        headers = {"Authorization": f"Bearer {self.token}"}
        self.http = httpx2.Client(base_url=base, headers=headers, timeout=20, trust_env=False)
        wait_for(lambda: set(self.pids()) == set(SERVED_BY) and self.answers(), STARTS_S, "the studio of sessions")

    def pids(self) -> dict[str, int]:
        """Return the process id of each service that sends pulses."""
        return {name: pulse.pid for name, pulse in self.pulses().items()}

    def pulses(self) -> dict[str, Pulse]:
        """Return the newest pulse of each service; none of a service that has not sent one since its start."""
        return dict(self._supervisor.pulses)

    def draws(self, session: str) -> bool:
        """Whether the "faces" service draws for a session, according to its last pulse."""
        pulse = self.pulses().get("faces")
        rows = pulse.facts.get("sessions", {}) if pulse else {}
        return bool(rows.get(session, {}).get("state") == "open")

    def answers(self) -> bool:
        """Whether the gateway answers requests."""
        try:
            return self.http.get("/capacity").status_code == 200
        except httpx2.HTTPError:
            return False

    def ask(self, room: str = "", **more: Any) -> httpx2.Response:
        """Request a session in a room, by default a new one, and return the response. more: further body fields."""
        named = room or f"room-{uuid.uuid4().hex[:8]}"
        body = {"livekit_url": self.server.url, "livekit_token": avatar_token(self.server, named)}
        return self.http.post("/sessions", json=body | more)

    def open_session(self, room: str = "", **more: Any) -> str:
        """Open a session as `ask` does and return its id; raises HTTPStatusError if it is refused."""
        answer = self.ask(room, **more)
        answer.raise_for_status()
        return str(answer.json()["session_id"])

    def row(self, session: str) -> dict[str, Any]:
        """Return a session's state from the API."""
        return dict(self.http.get(f"/sessions/{session}").json())

    def end_session(self, session: str) -> None:
        """End a session."""
        self.http.delete(f"/sessions/{session}").raise_for_status()

    def capacity(self) -> dict[str, Any]:
        """Return the API's answer on how many more sessions can be served."""
        return dict(self.http.get("/capacity").json())

    def close(self) -> None:
        """Stop all processes."""
        self._over.set()
        self._thread.join()
        self._supervisor.close()
        self.http.close()


@contextmanager
def session_studio(max_sessions: int = 0) -> Iterator[SessionStudio]:
    """Run a studio of sessions in a temporary home, with its own LiveKit server.

    Raises StudioError when no LiveKit server is installed.
    """
    with tempfile.TemporaryDirectory(prefix="s", dir="/tmp") as folder:
        home = Path(folder) / "home"
        ensure_samples(home, lambda stage, done: None)
        with LiveKitServer(Path(folder) / "livekit.log") as server:
            made = SessionStudio(home, Path(folder) / "run", server, max_sessions)
            try:
                yield made
            finally:
                made.close()
