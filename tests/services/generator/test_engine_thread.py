"""An engine that takes four frames at a time and is slower than the driver.

The delay stays steady, the stream even, and every lost frame is counted.
"""

import threading
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pytest

from engines.api import Driving, EngineSession, RoiFrame, VoiceBlock
from engines.options import EngineOptions
from harness.channel import wait_for
from services.generator import engine_thread
from services.generator.engine_thread import EngineThread
from services.generator.latency import Pacer, evenly
from shared.errors import OutOfMemoryError, StudioError
from shared.runtime.clock import SOUND_RATE_HZ, US, now
from tests.support.engines.engine_thread_material import FRAME, PIXELS, SIZE, DrivenClock, drive, opened
from tests.support.engines.slow_engines import UNLUCKY, LadderOptions


@dataclass
class SlowSession(EngineSession):
    """Takes `seconds` for four frames; returns frames of three batches before. `full`: the next call lacks memory."""

    clock: DrivenClock
    seconds: float
    adjusts: bool = True
    quality: str = "full"
    rungs: int = 1
    full: bool = False
    held: list[int] = field(default_factory=list)
    resets: int = 0
    count: int = 0
    applied: list[str] = field(default_factory=list)

    def step(self, driving: Driving) -> list[RoiFrame]:
        self.count += 1
        self.held.append(driving.pts)
        if self.count % SIZE:
            return []
        if self.full:
            self.full = False
            raise OutOfMemoryError("The GPU has too little memory.")
        self.clock.sleep(self.seconds)
        out, self.held = self.held[: max(0, len(self.held) - 3 * SIZE)], self.held[-3 * SIZE :]
        return [RoiFrame(pts, PIXELS) for pts in out]

    def reset(self) -> None:
        self.resets += 1
        self.held, self.count = [], 0

    def apply(self, options: EngineOptions) -> bool:
        assert isinstance(options, LadderOptions)
        if options.seed == UNLUCKY:
            raise StudioError("There is no such seed.")
        if options.seed:
            return False
        self.quality = options.quality
        self.applied.append(options.quality)
        return True

    def lower(self) -> str | None:
        self.reset()
        if self.rungs == 0:
            return None
        self.rungs -= 1
        self.seconds /= 10
        return "It goes on with less."


class One(EngineSession):
    """Takes one frame at a time and waits at the gate with each."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.gate = threading.Event()
        self.gate.set()

    def step(self, driving: Driving) -> list[RoiFrame]:
        return self._frame("step", driving.pts)

    def idle(self, pts: int) -> list[RoiFrame]:
        return self._frame("idle", pts)

    def reset(self) -> None:
        self.calls.append(("reset", 0))

    def _frame(self, call: str, pts: int) -> list[RoiFrame]:
        self.calls.append((call, pts))
        self.gate.wait()
        return [RoiFrame(pts, PIXELS)]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> DrivenClock:
    """The clock by which engines are timed, driven by the test."""
    driven = DrivenClock()
    monkeypatch.setattr(engine_thread, "now", driven.now)
    return driven


def test_under_an_overload_the_delay_is_steady_and_everything_is_counted(clock: DrivenClock) -> None:
    session = SlowSession(clock, 0.4, adjusts=False)  # makes ten frames a second, where the driver has 25
    batch = EngineThread(opened(session), lambda: None, 5 * US)
    out, offered = drive(batch, clock, 7)
    batch.close()
    dropped = batch.counted()["driver frame skipped"]
    delays = [at - pts for at, pts in out]
    first, last = np.median(delays[4:12]), np.median(delays[-8:])
    assert len(out) >= 20
    assert last < 1.4 * first and last < 4 * US, "a growing delay is what there must not be"
    assert [pts for _, pts in out] == sorted(pts for _, pts in out)
    assert 0 <= offered - dropped - session.count <= 3 * SIZE, "what was not taken was counted, but for what waits"
    assert dropped > offered / 3


class Chorus(EngineSession):
    """Returns the frames of a voice in batches of four ticks."""

    def __init__(self) -> None:
        self.blocks: list[tuple[int, int]] = []
        self._pts: list[int] = []

    def hear(self, block: VoiceBlock) -> list[RoiFrame]:
        self.blocks.append((block.pts, len(block.samples)))
        self._pts += range(block.pts, block.pts + len(block.samples) * US // SOUND_RATE_HZ, FRAME)
        ready = len(self._pts) // SIZE * SIZE
        frames, self._pts = [RoiFrame(pts, PIXELS) for pts in self._pts[:ready]], self._pts[ready:]
        return frames


def test_frames_of_a_voice_keep_their_own_time_and_those_that_are_overtaken_are_counted() -> None:
    session, tick = Chorus(), SOUND_RATE_HZ * FRAME // US
    batch = EngineThread(opened(session, size=1), lambda: None, 5 * US)
    began, delay = now() + US, 300_000
    for number in range(8):
        batch.hear(VoiceBlock(began + number * FRAME, np.zeros(tick, np.int16)), delay)
    wait_for(lambda: sum(count for _, count in session.blocks) == 8 * tick)
    assert all(
        pts == began + sum(count for _, count in session.blocks[:i]) // tick * FRAME
        for i, (pts, _) in enumerate(session.blocks)
    )
    wait_for(lambda: batch.due() is not None)
    first = batch.due_frame(began + delay)
    assert first is not None and first.frame.pts == began and first.shown == began + delay and first.driven == "voice"
    later = batch.due_frame(began + delay + 3 * FRAME)
    assert later is not None and later.frame.pts == began + 3 * FRAME and later.shown == later.frame.pts + delay
    assert batch.counted()["face late"] == 2
    batch.restart()
    assert batch.due() is None and batch.counted()["face late"] == 4, "what was not shown is void, and counted"
    batch.close()


def test_what_comes_in_bursts_is_handed_on_evenly() -> None:
    pacer = Pacer()
    due = []
    for i in range(6):
        frames = [RoiFrame((4 * i + k) * FRAME, PIXELS) for k in range(4)]
        due += pacer.pace(frames, (4 * i + 4) * FRAME + 90_000 + 3_000 * (i % 2))
    gaps = np.diff(due[8:])
    assert gaps.min() >= FRAME - 4_000 and gaps.max() <= FRAME + 4_000


@pytest.mark.parametrize("count", range(4, 13))
def test_the_newest_frame_is_always_among_those_taken(count: int) -> None:
    taken = evenly(count, SIZE)
    assert len(set(taken)) == SIZE and taken[-1] == count - 1
    assert max(np.diff(taken)) - min(np.diff(taken)) <= 1


def test_what_cannot_keep_up_goes_one_rung_down_and_says_so(clock: DrivenClock) -> None:
    session = SlowSession(clock, 0.25)
    batch = EngineThread(opened(session), lambda: None, 5 * US)
    drive(batch, clock, 5)
    batch.close()
    assert batch.note == "It goes on with less." and session.rungs == 0


def test_memory_that_runs_out_costs_a_rung_and_not_the_service(clock: DrivenClock) -> None:
    session = SlowSession(clock, 0.0, adjusts=False, full=True)
    batch = EngineThread(opened(session), lambda: None, 5 * US)
    out, _ = drive(batch, clock, 2)
    batch.close()
    assert out and batch.note == "It goes on with less."


def test_memory_that_runs_out_at_the_last_rung_is_the_users_to_know(clock: DrivenClock) -> None:
    done = threading.Event()
    batch = EngineThread(opened(SlowSession(clock, 0.0, rungs=0, full=True)), done.set, 5 * US)
    at = now()
    for i in range(SIZE):
        batch.offer(Driving(at + i * FRAME, None, None), {})
    assert done.wait(60)
    assert isinstance(batch.failure, StudioError) and "too little memory" in str(batch.failure)


def test_a_driver_that_restarts_or_was_away_starts_over(clock: DrivenClock) -> None:
    session = SlowSession(clock, 0.0, adjusts=False)
    batch = EngineThread(opened(session), lambda: None, US // 2)
    drive(batch, clock, 1)
    before = session.resets
    batch.offer(Driving(clock.at, None, None), {}, restarted=True)
    drive(batch, clock, 0.5)
    assert session.resets == before + 1
    drive(batch, clock, 0.5, pause=US)
    assert session.resets == before + 2
    batch.close()


def test_one_frame_at_a_time_is_handed_on_at_once_and_a_pause_is_no_new_beginning() -> None:
    session = One()
    batch = EngineThread(opened(session, size=1), lambda: None, US // 2)
    for pts in (0, FRAME, 20 * US):
        batch.offer(Driving(pts, None, None), {"captured": pts})
        wait_for(lambda: batch.due() is not None)
        paced = batch.due_frame(now())
        assert paced is not None and paced.driven == "motion", "no delay is added"
        assert (paced.frame.pts, paced.stamps) == (pts, {"captured": pts})
    assert session.calls == [("step", 0), ("step", FRAME), ("step", 20 * US)]
    batch.offer(Driving(21 * US, None, None), {}, restarted=True)
    wait_for(lambda: batch.due() is not None)
    assert session.calls[3:] == [("reset", 0), ("step", 21 * US)]
    batch.close()


def test_a_slow_one_idles_in_its_thread_at_the_latest_wish() -> None:
    session = One()
    session.gate.clear()
    batch = EngineThread(opened(session, size=1), lambda: None, US // 2)
    batch.offer(Driving(1, None, None), {})
    wait_for(lambda: session.calls == [("step", 1)])
    for pts in (2, 3, 4):
        batch.idle(pts)
    session.gate.set()
    wait_for(lambda: len(session.calls) == 2 and batch.due() is not None)
    assert session.calls[1] == ("idle", 4)
    session.gate.clear()
    batch.idle(5)
    wait_for(lambda: len(session.calls) == 3)
    batch.idle(6)
    batch.offer(Driving(7, None, None), {})
    session.gate.set()
    wait_for(lambda: len(session.calls) == 4)
    assert session.calls[3] == ("step", 7), "there is a driver again"
    wait_for(lambda: (paced := batch.due_frame(now())) is not None and paced.driven == "motion")
    batch.close()
    assert batch.counted()["driver frame skipped"] == 0


def test_what_is_dropped_is_counted_whether_or_not_anything_comes_out() -> None:
    session = One()
    session.gate.clear()
    batch = EngineThread(opened(session, size=1), lambda: None, US // 2)
    batch.offer(Driving(0, None, None), {})
    wait_for(lambda: session.calls)
    for pts in range(1, 11):
        batch.offer(Driving(pts, None, None), {})
    assert batch.counted()["driver frame skipped"] == 7, "three may wait"
    session.gate.set()
    wait_for(lambda: len(session.calls) == 2)
    assert session.calls[1] == ("step", 10)
    assert batch.counted()["driver frame skipped"] == 2 and not +batch.counted()
    batch.close()


def test_other_options_are_handed_to_the_session_once_and_end_the_note_of_a_lower_quality(clock: DrivenClock) -> None:
    session = SlowSession(clock, 0.0, full=True)
    batch = EngineThread(opened(session, options=LadderOptions(quality="full")), lambda: None, 5 * US)
    batch.apply(LadderOptions(quality="full"))
    drive(batch, clock, 0.5)
    assert batch.note == "It goes on with less." and session.applied == []
    batch.apply(LadderOptions(quality="half"))
    wait_for(lambda: batch.note == "")
    assert session.applied == ["half"] and batch.as_dict()["quality"] == {"name": "half", "title": "256 pixels"}
    batch.apply(LadderOptions(quality="half", seed=UNLUCKY))
    wait_for(lambda: batch.note == "There is no such seed.")
    assert not batch.take_refusal(), "opened again it would lack them too"
    batch.close()


def test_options_that_the_session_cannot_take_over_are_told_once_to_be_opened_again(clock: DrivenClock) -> None:
    told = threading.Event()
    batch = EngineThread(opened(SlowSession(clock, 0.0), options=LadderOptions()), told.set, 5 * US)
    batch.apply(LadderOptions(seed=1))
    assert told.wait(60)
    assert batch.take_refusal() and not batch.take_refusal() and batch.note == ""
    batch.close()


def test_the_delay_is_measured_beside_its_floor(clock: DrivenClock) -> None:
    session = SlowSession(clock, 0.05, adjusts=False)
    batch = EngineThread(opened(session), lambda: None, 5 * US)
    assert "delay" not in batch.as_dict()
    drive(batch, clock, 2.5)
    batch.close()
    delay = batch.as_dict()["delay"]
    assert isinstance(delay, dict) and (delay["frames"], delay["calls"]) == (4, 4)
    assert (delay["interval_ms"], delay["call_ms"]) == (40.0, 50.0)
    assert delay["floor_ms"] == pytest.approx(3 * 40 + 3 * max(160, delay["call_ms"]) + delay["call_ms"], abs=0.3)
    assert delay["floor_ms"] - 1 < delay["ms"] < 5000


class Held(EngineSession):
    """Takes a frame and returns it once `released` is set."""

    def __init__(self) -> None:
        self.under_way, self.released = threading.Event(), threading.Event()

    def step(self, driving: Driving) -> list[RoiFrame]:
        self.under_way.set()
        self.released.wait()
        return [RoiFrame(driving.pts, PIXELS)]


@pytest.mark.parametrize("first", ["the engine", "the loop"])
def test_a_frame_that_was_under_way_while_the_process_stood_still_is_not_shown(clock: DrivenClock, first: str) -> None:
    session = Held()
    done = threading.Event()
    batch = EngineThread(opened(session, 1), done.set, US)
    batch.note_turn()
    batch.offer(Driving(clock.at, None, None), {})
    assert session.under_way.wait(60)
    clock.at += 10 * US
    if first == "the loop":
        batch.note_turn()
    session.released.set()
    late = Counter[str]()
    wait_for(lambda: late.update(batch.counted()) or late["face late"], what="it is counted")
    assert batch.due() is None
    batch.note_turn()
    batch.offer(Driving(clock.at, None, None), {})
    wait_for(lambda: batch.due() is not None, what="the next one is shown")
    batch.close()
