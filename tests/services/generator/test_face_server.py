"""Many sessions in one generator.

Each session has the faces of its own voice, what is loaded is shared, and a session that fails affects no other.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import zmq

from engines.api import (
    DEFAULT_CONTEXT,
    UNDRAWN,
    EngineInfo,
    EngineSession,
    FrameEngine,
    RoiFrame,
    SessionContext,
    VoiceBlock,
)
from engines.voice_ticks import VoiceTicks
from harness.channel import wait_for
from services.generator.face_server import FaceServer
from shared.avatar.model import Avatar
from shared.config.settings import Settings
from shared.runtime.clock import now, tick_after, tick_pts
from shared.session_spec import SessionSpec, packed_sessions
from shared.wire.bus import Publisher, Reader, endpoint
from shared.wire.face import FaceFacts
from shared.wire.message import Message

TICK = 1920
LOUD = 1000
FRAME = np.zeros((64, 64, 3), np.uint8)
ONE, OTHER = "aaaaaaaaaaaa", "bbbbbbbbbbbb"


class FrailSession(EngineSession):
    """Makes a frame for each tick of the voice; fails at a loud one."""

    def __init__(self, context: SessionContext) -> None:
        self._ticks = VoiceTicks(context.rate)

    def hear(self, block: VoiceBlock) -> list[RoiFrame]:
        if block.samples.max() > LOUD:
            raise RuntimeError("too loud")
        return [RoiFrame(pts, FRAME if self.draws else UNDRAWN) for pts, _ in self._ticks.hear(block)]

    def reset(self) -> None:
        self._ticks.reset()


class FrailEngine(FrameEngine):
    """Records how often it was created, and for which avatars it was opened."""

    info = EngineInfo(name="frail", title="Frail", inputs=frozenset({"voice"}), roi_size=64)
    made: ClassVar[list["FrailEngine"]] = []
    avatars: ClassVar[list[Avatar]] = []

    def __init__(self) -> None:
        FrailEngine.made.append(self)

    def open(self, avatar: Avatar, context: SessionContext = DEFAULT_CONTEXT) -> EngineSession:
        FrailEngine.avatars.append(avatar)
        return FrailSession(context)


class FaceChannel:
    """A face server that runs in this thread, with the sockets of the services it talks to."""

    def __init__(self, settings: Settings) -> None:
        settings.run_dir.mkdir(parents=True)
        self.context: zmq.Context = zmq.Context()  # type: ignore[type-arg]
        self.casts, self.voices = (
            Publisher(self.context, endpoint(settings.run_dir, name), stream, "main", many=True)
            for name, stream in (("casts", "sessions"), ("voices", "voice"))
        )
        self.server = FaceServer(settings)
        self.reader = Reader(self.context, endpoint(settings.run_dir, "faces"), "face", "", newest=False)
        self.faces: list[Message] = []
        self.wanted: list[SessionSpec] = []

    def turn(self, until: Callable[[], bool]) -> None:
        def turned() -> bool:
            if until():
                return True
            self.casts.send(now(), packed_sessions(self.wanted))
            self.server.loop.turn()
            self.faces += self.reader.read()
            return False

        wait_for(turned, every=0)

    def rows(self) -> dict[str, dict[str, str]]:
        self.server.loop.pulse()
        return dict(self.server.loop.meter.facts["sessions"])

    def say(self, session: str, tick: int, level: int, count: int = 1) -> None:
        """Send `count` ticks of a session's voice, from `tick` on."""
        sound = np.full(TICK * count, level, np.int16)
        self.voices.send(tick_pts(tick, Settings().rate), sound, "s16", channel=session)

    def pts(self, session: str) -> list[int]:
        return [face.pts for face in self.faces if face.channel == session]

    def pts_from(self, session: str, first: int) -> list[int]:
        """Return the pts of a session's faces from `first` on; faces of earlier speech may still arrive."""
        return [pts for pts in self.pts(session) if pts >= first]

    def close(self) -> None:
        self.server.loop.stop()
        self.server.run(signals=False)
        for each in (self.casts, self.voices, self.reader):
            each.close()
        self.context.term()


def spec(name: str, **changes: object) -> SessionSpec:
    fields = {"avatar": "sample", "engine": "frail", "ahead_us": 0, "width": 512, "height": 512, "label": True}
    return SessionSpec(id=name, **fields | changes)  # type: ignore[arg-type]


@pytest.fixture
def channel(small_home: Path, run_root: Path) -> Iterator[FaceChannel]:
    FrailEngine.made.clear()
    FrailEngine.avatars.clear()
    made = FaceChannel(Settings(run_root=run_root, home=small_home, engines={"frail": f"{__name__}:FrailEngine"}))
    made.wanted = [spec(ONE), spec(OTHER)]
    made.turn(lambda: {row["state"] for row in made.rows().values()} == {"open"} and len(made.rows()) == 2)
    yield made
    made.close()


def long_ago() -> int:
    """Return a tick 5000 ticks in the past, so that a test can send thousands of ticks that are already due."""
    return tick_after(now(), Settings().rate) - 5000


def spoken(channel: FaceChannel, session: str, tick: int) -> None:
    """Send a session's voice from `tick` on until a face arrives, then wait for the face of the last tick sent."""
    channel.faces.clear()
    number = tick

    def heard() -> bool:
        nonlocal number
        if channel.pts(session):
            return True
        channel.say(session, number, 5)
        number += 1
        return False

    channel.turn(heard)
    channel.turn(lambda: tick_pts(number - 1, Settings().rate) in channel.pts(session))


def test_each_session_has_the_faces_of_its_own_voice_and_they_share_what_is_loaded(channel: FaceChannel) -> None:
    tick = long_ago()
    spoken(channel, ONE, tick)
    assert set(channel.pts(ONE)) and not channel.pts(OTHER)
    spoken(channel, OTHER, tick + 2500)
    assert not set(channel.pts(ONE)) & set(channel.pts(OTHER))
    facts = FaceFacts.of(channel.faces[-1])
    assert (facts.avatar, facts.voice, facts.live) == ("sample", True, True)
    assert len(FrailEngine.made) == 1 and len({id(avatar) for avatar in FrailEngine.avatars}) == 1


def test_a_voice_that_turns_out_otherwise_is_drawn_again_from_there_on(channel: FaceChannel) -> None:
    tick = long_ago()
    spoken(channel, ONE, tick)
    first, second, third = (tick_pts(tick + each, Settings().rate) for each in (500, 501, 502))

    def drawn() -> list[int]:
        return channel.pts_from(ONE, first)

    channel.say(ONE, tick + 500, 5, 3)
    channel.turn(lambda: len(drawn()) >= 3)
    channel.say(ONE, tick + 501, 7, 2)
    channel.turn(lambda: len(drawn()) >= 5)
    assert drawn() == [first, second, third, second, third]


def test_an_engine_that_is_too_slow_draws_what_is_newest(channel: FaceChannel) -> None:
    """The newest four faces are drawn, each of its own tick, and the others are counted as skipped."""
    tick, waiting = long_ago(), 40
    spoken(channel, ONE, tick)
    channel.rows()
    skipped = channel.server.loop.meter.drops["face skipped"]
    channel.say(ONE, tick + 500, 5, waiting)
    first, last = (tick_pts(tick + 500 + each, Settings().rate) for each in (0, waiting - 1))
    channel.turn(lambda: last in channel.pts(ONE))
    assert channel.pts_from(ONE, first) == [
        tick_pts(tick + 500 + waiting - each, Settings().rate) for each in (4, 3, 2, 1)
    ]
    channel.rows()
    assert channel.server.loop.meter.drops["face skipped"] - skipped == waiting - 4


def test_a_session_that_fails_says_why_and_the_other_goes_on(channel: FaceChannel) -> None:
    tick = long_ago()
    spoken(channel, ONE, tick)
    channel.say(ONE, tick + 500, 2 * LOUD)
    channel.turn(lambda: "too loud" in channel.rows()[ONE]["note"])
    spoken(channel, OTHER, tick)
    assert channel.rows()[OTHER]["note"] == ""


def test_a_session_that_is_not_wanted_any_more_is_let_go(channel: FaceChannel) -> None:
    tick = long_ago()
    channel.wanted = [spec(OTHER)]
    channel.turn(lambda: set(channel.rows()) == {OTHER})
    spoken(channel, OTHER, tick)
    channel.say(ONE, tick, 5)
    channel.wanted = []
    channel.turn(lambda: not channel.rows())
    channel.wanted = [spec(ONE)]
    channel.turn(lambda: channel.rows().get(ONE, {}).get("state") == "open")
    spoken(channel, ONE, tick)


def test_an_engine_or_avatar_that_cannot_be_had_is_a_sentence(channel: FaceChannel) -> None:
    channel.wanted = [*channel.wanted, spec("cccccccccccc", avatar="none"), spec("dddddddddddd", engine="no-such")]
    channel.turn(lambda: all(row["state"] == "open" for row in channel.rows().values()) and len(channel.rows()) == 4)
    assert "none" in channel.rows()["cccccccccccc"]["note"] and "no-such" in channel.rows()["dddddddddddd"]["note"]
    spoken(channel, ONE, long_ago())


def test_the_engine_is_the_one_that_draws_for_several_at_once(
    channel: FaceChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    together: list[int] = []
    draw = FrailEngine.draw_batch

    def noting(self: FrailEngine, sessions: list[EngineSession], inputs: list[VoiceBlock]) -> list[list[RoiFrame]]:
        together.append(len(sessions))
        time.sleep(0.02)  # while it draws, the voices of the others arrive
        return draw(self, sessions, inputs)

    monkeypatch.setattr(FrailEngine, "draw_batch", noting)
    tick = long_ago()

    def both() -> bool:
        nonlocal tick
        tick += 1
        channel.say(ONE, tick, 5)
        channel.say(OTHER, tick, 5)
        return 2 in together

    channel.turn(both)

    def faces_a_call() -> float:
        channel.rows()
        return float(channel.server.loop.meter.facts["together"].get("frail", 0.0))

    channel.turn(lambda: 1 < faces_a_call() <= 2)
