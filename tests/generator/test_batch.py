"""An engine that takes four frames at a time, slower than the driver: a steady delay, an even stream, nothing silently lost."""

import threading
import time
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from services.generator.batch import Batch, Pacer, evenly
from services.generator.engine import Adjustable, Driving, RoiFrame
from shared.clock import US, now
from shared.errors import OutOfMemoryError, StudioError

SIZE, FRAME = 4, 40_000
PIXELS: NDArray[np.uint8] = np.zeros((4, 4, 3), np.uint8)


@dataclass
class Slow:
    """Takes `seconds` for four frames, and hands out those of three batches before. Runs out of memory when told to."""

    seconds: float
    adjusts: bool = True
    quality: str = "full"
    rungs: int = 1
    full: bool = False
    held: list[int] = field(default_factory=list)
    resets: int = 0
    count: int = 0

    def step(self, driving: Driving) -> list[RoiFrame]:
        self.count += 1
        self.held.append(driving.pts)
        if self.count % SIZE:
            return []
        if self.full:
            self.full = False
            raise OutOfMemoryError("The GPU has too little memory.")
        time.sleep(self.seconds)
        out, self.held = self.held[: max(0, len(self.held) - 3 * SIZE)], self.held[-3 * SIZE :]
        return [RoiFrame(pts, PIXELS) for pts in out]

    def reset(self) -> None:
        self.resets += 1
        self.held, self.count = [], 0

    def choose(self, name: str) -> None:
        self.quality = name or "full"

    def lower(self) -> str | None:
        self.reset()
        if self.rungs == 0:
            return None
        self.rungs -= 1
        self.seconds /= 10
        return "It goes on with less."


def drive(batch: Batch, seconds: float, start: int | None = None) -> tuple[list[tuple[int, int]], int]:
    """A driver of 25 frames a second in real time; (handed on at, pts) of what comes out, and how many went in."""
    out: list[tuple[int, int]] = []
    offered, began = 0, now() if start is None else start
    while now() - began < seconds * US:
        if now() >= began + offered * FRAME:
            batch.offer(Driving(began + offered * FRAME, None, None), {})
            offered += 1
        out += [(paced.due, paced.frame.pts) for paced in batch.take(now())]
        assert batch.failure is None
        time.sleep(0.002)
    return out, offered


def test_under_an_overload_the_delay_is_steady_and_everything_is_counted() -> None:
    session = Slow(0.4, adjusts=False)  # ten frames a second where the driver has 25
    batch = Batch(session, SIZE, lambda: None, 5 * US)  # type: ignore[arg-type]
    out, offered = drive(batch, 9)
    batch.close()
    delays = [due - pts for due, pts in out]
    first, last = np.median(delays[4:12]), np.median(delays[-8:])
    assert len(out) >= 30
    assert last < 1.4 * first and last < 4 * US, "a growing delay is what there must not be"
    assert [pts for _, pts in out] == sorted(pts for _, pts in out)
    assert abs(offered - batch.dropped - session.count) <= 4 * SIZE, (
        "what was not taken was counted, but for what waits"
    )
    assert batch.dropped > offered / 3


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


def test_what_cannot_keep_up_goes_one_rung_down_and_says_so() -> None:
    session = Slow(0.25)
    assert isinstance(session, Adjustable)
    batch = Batch(session, SIZE, lambda: None, 5 * US)  # type: ignore[arg-type]
    drive(batch, 5)
    batch.close()
    assert batch.note == "It goes on with less." and session.rungs == 0


def test_memory_that_runs_out_costs_a_rung_and_not_the_service() -> None:
    session = Slow(0.0, adjusts=False, full=True)
    batch = Batch(session, SIZE, lambda: None, 5 * US)  # type: ignore[arg-type]
    out, _ = drive(batch, 2)
    batch.close()
    assert out and batch.note == "It goes on with less."


def test_memory_that_runs_out_at_the_last_rung_is_the_users_to_know() -> None:
    done = threading.Event()
    batch = Batch(Slow(0.0, rungs=0, full=True), SIZE, done.set, 5 * US)  # type: ignore[arg-type]
    at = now()
    for i in range(SIZE):
        batch.offer(Driving(at + i * FRAME, None, None), {})
    assert done.wait(5)
    assert isinstance(batch.failure, StudioError) and "too little memory" in str(batch.failure)


def test_a_driver_that_restarts_or_was_away_begins_anew() -> None:
    session = Slow(0.0, adjusts=False)
    batch = Batch(session, SIZE, lambda: None, US // 2)  # type: ignore[arg-type]
    drive(batch, 1)
    before = session.resets
    batch.offer(Driving(now(), None, None), {}, anew=True)
    drive(batch, 0.5)
    assert session.resets == before + 1
    drive(batch, 0.5, start=now() + US)
    assert session.resets == before + 2
    batch.close()
