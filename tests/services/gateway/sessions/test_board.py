"""What a session's figures show about the machine or only about its network, and the token it joins again with."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from services.gateway.channel.event_log import EventLog
from services.gateway.sessions import board
from services.gateway.sessions.board import (
    MAX_TOKEN_CHARACTERS,
    RATE_SETTLES_S,
    RATES,
    KeptSession,
    SessionBoard,
)
from shared.config.settings import Settings
from shared.session_spec import SessionSpec
from shared.wire.pulse import Meter

pytestmark = pytest.mark.unit
DUE_FPS = 25.0


def kept_at(rates: list[float], **figures: float) -> KeptSession:
    """Return a session on air whose figures reported these rates, frames a second."""
    spec = SessionSpec(
        id="abcdefgh1234", avatar="sample", engine="mesh", ahead_us=0, width=512, height=512, label=True, token="given"
    )
    kept = KeptSession(spec, "", 100.0, state="live", on_air=time.time() - 2 * RATE_SETTLES_S)
    for fps in rates:
        kept.figures = {"fps": fps} | figures
        kept.note_rate()
    return kept


def test_its_share_of_frames_is_the_mean_of_its_last_rates() -> None:
    assert kept_at([25.0, *[22.0] * RATES]).served(0.0, DUE_FPS).share == pytest.approx(0.88)
    assert kept_at([24.0, 26.0] * RATES).served(0.0, DUE_FPS).share == pytest.approx(1.0)
    assert kept_at([20.0]).served(0.0, DUE_FPS).share == 1.0  # too few rates to judge by


def test_a_session_that_its_network_holds_back_says_nothing_of_the_machine() -> None:
    assert kept_at([12.0] * RATES, held_back=1.0).served(0.0, DUE_FPS).share == 1.0


def test_a_session_whose_encoder_begins_says_nothing_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    at = time.time()
    monkeypatch.setattr(board, "time", SimpleNamespace(time=lambda: at))
    kept = kept_at([])
    kept.on_air, kept.figures = 0.0, {"fps": 12.0}
    for _ in range(RATES):
        kept.note_rate()
    assert kept.on_air and kept.served(0.0, DUE_FPS).share == 1.0


def test_it_is_on_air_from_when_it_first_was() -> None:
    kept = kept_at([25.0])
    assert kept.served(kept.on_air + 7.0, DUE_FPS).on_air == pytest.approx(7.0)
    kept.state = "reconnecting"
    kept.note_rate()
    assert kept.served(kept.on_air + 8.0, DUE_FPS).on_air == pytest.approx(8.0) and not kept.rates


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    allowed: Any = {"allowed_livekit_urls": ["ws://livekit.example"], "max_sessions": 2}
    made = Settings(home=tmp_path, run_root=tmp_path, sessions=allowed)
    made.run_dir.mkdir(parents=True)
    return made


class RoomsReport:
    """A board with one session, and the pulses of the process that is in its room."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.told = settings, 0
        self.board = self.restarted()
        self.name = self.board.open(kept_at([]).spec, "")
        self.meter = Meter("sessions")
        self.meter.facts = {"sessions": {}}
        self.board.receive_pulse(self.meter.pulse(0))  # the first pulse of a process asks for all wanted sessions

    def restarted(self) -> SessionBoard:
        """Return a board as the next gateway creates it."""
        return SessionBoard(self.settings, EventLog(), self._count)

    def says(self, token: object, state: str = "live") -> bool:
        """Receive a pulse with this token; return whether the services must be sent the sessions again."""
        self.meter.facts = {"sessions": {self.name: {"state": state, "note": "", "figures": {}, "token": token}}}
        return self.board.receive_pulse(self.meter.pulse(0))

    def _count(self) -> None:
        self.told += 1


def test_a_session_joins_again_with_its_newest_token(settings: Settings) -> None:
    rooms = RoomsReport(settings)
    assert not rooms.says("") and rooms.board.wanted()[0].token == "given"
    assert rooms.says("newer") and rooms.board.wanted()[0].token == "newer"
    assert not rooms.says("newer")  # known
    assert (
        not rooms.says("") and rooms.board.wanted()[0].token == "newer"
    )  # a process that has just started knows no token
    assert rooms.says("newest") and rooms.board.wanted()[0].token == "newest"
    kept = rooms.board.get(rooms.name)
    assert kept and kept.spec.token == "given"  # a repeated request is recognised by this token


def test_a_gateway_that_begins_knows_the_newest_token(settings: Settings) -> None:
    rooms = RoomsReport(settings)
    rooms.says("newer")
    assert rooms.restarted().wanted()[0].token == "newer"


@pytest.mark.parametrize("token", [None, 7, ["newer"], "n" * (MAX_TOKEN_CHARACTERS + 1)])
def test_what_is_no_token_changes_nothing(settings: Settings, token: object) -> None:
    rooms = RoomsReport(settings)
    assert not rooms.says(token) and rooms.board.wanted()[0].token == "given"


def test_of_a_session_that_has_ended_no_token_is_kept(settings: Settings) -> None:
    rooms = RoomsReport(settings)
    rooms.says("newer")
    assert rooms.says("newest", "ended") and not rooms.board.wanted()
    kept = rooms.board.get(rooms.name)
    assert kept and not kept.wanted.token
    assert "newe" not in (settings.run_dir / "sessions.json").read_text(encoding="utf-8")
