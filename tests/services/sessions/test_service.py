"""The process of the rooms ends by itself where it has grown too large, and only while it is in no room."""

import threading
from pathlib import Path

import pytest

from services.sessions import service
from services.sessions.guest import GuestState
from services.sessions.service import SessionsService
from shared.config.settings import Settings
from shared.wire.pulse import Meter

LIMIT = 500 << 20


@pytest.mark.parametrize(
    ("resident", "sessions", "ends"), [(LIMIT + 1, 0, True), (LIMIT, 0, False), (LIMIT + 1, 1, False)]
)
def test_it_ends_where_it_has_outgrown_its_bound_without_a_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resident: int, sessions: int, ends: bool
) -> None:
    monkeypatch.setattr(service, "OUTGROWN_BYTES", LIMIT)
    monkeypatch.setattr(Meter, "resident_bytes", lambda meter: resident)
    settings = Settings(home=tmp_path, run_root=tmp_path)
    settings.run_dir.mkdir(parents=True)
    made = SessionsService(settings)
    monkeypatch.setattr(made.rooms, "states", lambda: {f"s{number}": GuestState() for number in range(sessions)})
    told = threading.Event()
    stop = made.loop.stop

    def stopped() -> None:
        told.set()
        stop()

    monkeypatch.setattr(made.loop, "stop", stopped)
    made.loop.pulse()
    assert told.is_set() == ends
    made.loop.stop()
    made.run(signals=False)
