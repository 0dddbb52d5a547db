"""A studio of sessions on the tests' own avatars and LiveKit server."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.sessions.session_studio import SessionStudio
from services.local.livekit_server import LiveKitServer

MOST = 20  # so many that none is refused, however busy the machine is with other tests


@contextmanager
def small_session_studio(server: LiveKitServer, small_home: Path) -> Iterator[SessionStudio]:
    """Run a studio of sessions in a new home, with the avatars of the small home."""
    with tempfile.TemporaryDirectory(prefix="s", dir="/tmp") as folder:
        home = Path(folder) / "home"
        home.mkdir()
        (home / "avatars").symlink_to(small_home / "avatars")
        made = SessionStudio(home, Path(folder) / "run", server, MOST)
        try:
            yield made
        finally:
            made.close()
