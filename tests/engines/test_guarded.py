"""In every call, an error or a malformed result of an engine's code becomes one sentence with the engine's name."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pytest

from engines.api import (
    DEFAULT_CONTEXT,
    Driving,
    EngineInfo,
    EngineSession,
    FrameEngine,
    RoiFrame,
    SessionContext,
)
from engines.guarded import EngineFaultError, GuardedSession, open_session
from harness.sample_avatar import sample_avatar
from shared.avatar.model import Avatar
from shared.errors import OutOfMemoryError, StudioError

SIDE_PX = 32
DRIVING = Driving(0, None, None)
INFO = EngineInfo(name="odd", title="Odd", inputs=frozenset({"motion"}), roi_size=SIDE_PX)


class Odd(EngineSession):
    """Session that returns `out`, or raises it."""

    def __init__(self, out: Any) -> None:
        self.out = out

    def step(self, driving: Driving) -> list[RoiFrame]:
        if isinstance(self.out, Exception):
            raise self.out
        frames: list[RoiFrame] = self.out
        return frames

    def begin(self, driving: Driving) -> Callable[[], list[RoiFrame]] | None:
        return lambda: self.step(driving)

    def together(self, frames: Iterable[RoiFrame | int]) -> Iterator[RoiFrame | int]:
        yield from frames
        yield from self.out


def drawn(shape: tuple[int, ...], dtype: type = np.uint8) -> list[RoiFrame]:
    return [RoiFrame(0, np.zeros(shape, dtype))]


@pytest.mark.parametrize(
    ("out", "words"),
    [
        (drawn((SIDE_PX, SIDE_PX)), r"a frame of \(32, 32\) instead of 32 x 32 uint8"),
        (drawn((SIDE_PX, 2 * SIDE_PX, 3)), r"a frame of \(32, 64, 3\)"),
        (drawn((SIDE_PX, SIDE_PX, 3), np.float32), "a frame of float32"),
        ([RoiFrame(0, "pixels")], "a frame of str"),  # type: ignore[arg-type]
        (None, "does not return a list of frames"),
        ([0], "does not return a list of frames"),
    ],
)
def test_frames_of_another_form_are_refused(out: Any, words: str) -> None:
    session = GuardedSession(Odd(out), INFO)
    with pytest.raises(StudioError, match=f"^Odd .*{words}"):
        session.step(DRIVING)
    begun = session.begin(DRIVING)
    assert begun is not None
    with pytest.raises(StudioError, match=words):
        begun()
    if isinstance(out, list) and isinstance(out[0], RoiFrame):
        with pytest.raises(StudioError, match=words):
            list(session.together([1]))


@pytest.mark.parametrize("shape", [(SIDE_PX, SIDE_PX, 3), (SIDE_PX, SIDE_PX, 4), (0, 0, 3)])
def test_frames_of_the_right_form_pass(shape: tuple[int, ...]) -> None:
    frames = drawn(shape)
    assert GuardedSession(Odd(frames), INFO).step(DRIVING) is frames


def test_what_its_code_raises_is_a_fault_with_its_name_and_what_it_says_passes() -> None:
    with pytest.raises(
        EngineFaultError, match=r"^Odd failed \(KeyError: 'a b'\); update it or choose another engine\.$"
    ):
        GuardedSession(Odd(KeyError("a b")), INFO).step(DRIVING)
    for said in (StudioError("No."), OutOfMemoryError("Too little.")):
        with pytest.raises(type(said), match=str(said)):
            GuardedSession(Odd(said), INFO).step(DRIVING)


def test_what_the_host_raises_between_frames_is_no_fault_of_the_engine() -> None:
    def host() -> Iterator[RoiFrame | int]:
        yield 1
        raise InterruptedError

    with pytest.raises(InterruptedError):
        list(GuardedSession(Odd([]), INFO).together(host()))


def test_attributes_are_the_sessions_own() -> None:
    session = Odd([])
    guarded = GuardedSession(session, INFO)
    guarded.draws, session.quality, session.adjusts = False, "half", True
    assert (session.draws, guarded.quality, guarded.adjusts, guarded.overlaps) == (False, "half", True, True)


class RaisingEngine(FrameEngine):
    """Engine whose probe and open both raise."""

    info = INFO

    def probe(self) -> None:
        raise OSError("the probe\nbroke")

    def open(self, avatar: Avatar, context: SessionContext = DEFAULT_CONTEXT) -> EngineSession:
        raise ValueError("no")


def test_an_engine_that_cannot_be_asked_or_opened_says_so_in_a_sentence() -> None:
    with pytest.raises(
        StudioError, match=r"^Odd failed to check whether it can run here \(OSError: the probe broke\); update its"
    ):
        RaisingEngine().check()
    with pytest.raises(EngineFaultError, match=r"^Odd failed \(ValueError: no\)"):
        open_session(RaisingEngine(), sample_avatar(), DEFAULT_CONTEXT)
