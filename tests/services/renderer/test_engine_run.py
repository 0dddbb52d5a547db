"""A render with an engine whose calls overlap.

The next call is under way while the frames of the last one are encoded.
"""

from engines.api import Driving, RoiFrame
from services.renderer.pipeline.engine_run import EngineRun
from shared.runtime.clock import US
from tests.support.engines.slow_engines import OverlappingSession

FRAME_US = US // 25


class OfflineSession(OverlappingSession):
    """Takes four frames a call, and makes no frames when it idles or is flushed."""

    def idle(self, pts: int) -> list[RoiFrame]:
        return []

    def flush(self) -> list[RoiFrame]:
        return []


def moved(start: int, stop: int) -> list[Driving]:
    return [Driving(number * FRAME_US, None, None, recorded="moved") for number in range(start, stop)]


def test_the_next_call_is_under_way_while_the_last_ones_frames_are_encoded() -> None:
    session = OfflineSession(0.0, 0.0)
    run = EngineRun(session, US)
    shown, outstanding = [], []
    for frame in run.motion(moved(0, 18)):
        assert isinstance(frame, RoiFrame)
        shown.append(frame.pts)
        outstanding.append(session.outstanding)
    assert shown == [number * FRAME_US for number in range(16)], "in order, and none is left when a segment ends"
    assert outstanding == [1] * 12 + [0] * 4 and session.most == 1
    shown += [frame.pts for frame in run.motion(moved(18, 20)) if isinstance(frame, RoiFrame)]
    assert shown == [number * FRAME_US for number in range(20)], "the next segment goes on with what was held"


def test_a_host_that_begins_to_idle_shows_first_what_is_under_way() -> None:
    run = EngineRun(OfflineSession(0.0, 0.0), US)
    ticks = [*moved(0, 4), Driving(4 * FRAME_US, None, None), *moved(5, 9)]
    shown = [frame if isinstance(frame, int) else frame.pts for frame in run.motion(ticks)]
    assert shown == [number * FRAME_US for number in range(9)]
