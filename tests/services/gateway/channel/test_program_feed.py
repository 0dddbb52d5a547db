"""The program feed sends every tick once, without waiting, whatever arrives, and draws the label where it is shown."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from compositing.label import draw_label
from services.gateway.channel import health
from services.gateway.channel.event_log import EventLog
from services.gateway.channel.health import ChannelHealth
from services.gateway.channel.program_feed import CATCH_UP_TICKS, FLOW_US, OutputQueue, ProgramFeed
from shared.runtime.clock import now, sound_samples, tick_after, tick_pts
from shared.scene import Scene
from shared.wire.message import Message, WireError
from shared.wire.program import ProgramFrame, ProgramSound, frame_of

pytestmark = pytest.mark.unit

RATE_FPS = Fraction(30000, 1001)


def frame(tick: int) -> ProgramFrame:
    return ProgramFrame(tick, tick_pts(tick, RATE_FPS), np.zeros((6, 4), np.uint8), "a", 0, None, False, "live", 5)


def sound(tick: int) -> ProgramSound:
    first, end = sound_samples(tick, RATE_FPS, 48_000)
    return ProgramSound(tick, tick_pts(tick, RATE_FPS), np.full(end - first, 7, np.int16))


def feed() -> tuple[ProgramFeed, OutputQueue]:
    outlet = OutputQueue("test", frames=100, sounds=100)
    return ProgramFeed(RATE_FPS, clock=lambda: 0, outlets=[outlet]), outlet


def test_missing_ticks_are_filled_with_the_last_frame_and_silence() -> None:
    program, outlet = feed()
    for tick in (10, 11, 14):
        program.frame(frame(tick))
        program.sound(sound(tick))
    items = outlet.drain(0)
    frames = [item for item in items if isinstance(item, ProgramFrame)]
    sounds = [item for item in items if isinstance(item, ProgramSound)]
    assert [(p.tick, p.repeated) for p in frames] == [(10, False), (11, False), (12, True), (13, True), (14, False)]
    assert [s.tick for s in sounds] == [10, 11, 12, 13, 14]
    assert [bool(s.samples.any()) for s in sounds] == [True, True, False, False, True]
    assert (
        sum(len(s.samples) for s in sounds)
        == sound_samples(14, RATE_FPS, 48_000)[1] - sound_samples(10, RATE_FPS, 48_000)[0]
    )


def test_a_dead_compositor_is_made_up_for_after_one_and_a_half_ticks() -> None:
    program, outlet = feed()
    program.frame(frame(10))
    program.sound(sound(10))
    due = program.due()
    assert 1.4 < (due - tick_pts(11, RATE_FPS)) * RATE_FPS / 1_000_000 < 1.6
    program.fill(due - 1)
    assert [item.tick for item in outlet.drain(0)] == [10, 10]
    program.fill(due)
    assert [(item.tick, item.repeated) for item in outlet.drain(0)] == [(11, True), (11, True)]
    assert program.due() > due


def test_a_tick_that_was_made_up_is_not_given_twice() -> None:
    program, outlet = feed()
    program.frame(frame(10))
    program.fill(tick_pts(13, RATE_FPS))
    given = {item.tick for item in outlet.drain(0)}
    assert 11 in given
    assert not program.frame(frame(11))
    assert outlet.drain(0) == []
    assert program.late["frame"] == 1


def test_after_a_long_stop_the_hole_is_not_filled_frame_by_frame() -> None:
    program, outlet = feed()
    program.frame(frame(10))
    program.sound(sound(10))
    program.fill(tick_pts(100_000, RATE_FPS))
    given = [item.tick for item in outlet.drain(0)]
    assert len(given) <= 2 * (CATCH_UP_TICKS + 1)
    lost = max(given) - 10 + 1 - len(given) // 2
    assert program.skipped == {"frame": lost, "sound": lost}, "a hole that is not counted"


def test_an_outlet_that_is_not_emptied_keeps_the_newest_and_counts_the_rest() -> None:
    outlet = OutputQueue("slow", frames=2, sounds=3)
    for tick in range(10):
        outlet.put(frame(tick))
        outlet.put(sound(tick))
    assert [item.tick for item in outlet.drain(0)] == [7, 8, 8, 9, 9]
    assert outlet.drops == {"frame": 8, "sound": 7}


def noise(tick: int, *, label: bool) -> ProgramFrame:
    """Return a read-only frame of noise, large enough for the label."""
    i420 = np.random.default_rng(tick).integers(0, 256, (360, 320)).astype(np.uint8)
    i420.flags.writeable = False
    return replace(frame(tick), i420=i420, label=label)


def outlets(program: ProgramFeed) -> tuple[OutputQueue, OutputQueue, OutputQueue]:
    """Return two outlets that show the label and one that takes the clean feed."""
    first, second, clean = program.outlets = [OutputQueue(name, frames=100, sounds=1) for name in "abc"]
    clean.clean = True
    return first, second, clean


def frames(outlet: OutputQueue) -> list[ProgramFrame]:
    return [item for item in outlet.drain(0) if isinstance(item, ProgramFrame)]


def test_clean_and_labelled_side_by_side_are_right_to_the_pixel() -> None:
    program, _ = feed()
    first, second, clean = outlets(program)
    sent = [noise(tick, label=tick < 15) for tick in range(10, 20)]
    for each in sent:
        program.frame(each)
    for made, shown, again, travelled in zip(sent, frames(first), frames(second), frames(clean), strict=True):
        assert travelled is made, "the clean feed is the frame as it came"
        assert shown.i420 is again.i420, "drawn once, however many show it"
        wanted = made.i420.copy()
        box = draw_label(wanted) if made.label else None
        assert np.array_equal(shown.i420, wanted) and shown.label_box == box
        assert (shown.i420 is made.i420) is not made.label, "without the label there is nothing to copy"
        if box:
            apart = np.argwhere(shown.i420[:240] != made.i420[:240])
            assert len(apart) > 500
            assert (apart >= (box[1], box[0])).all() and (apart < (box[1] + box[3], box[0] + box[2])).all()


@pytest.mark.parametrize("label", [True, False])
def test_a_repeated_frame_is_labelled_as_the_last_one_was(label: bool) -> None:
    program, _ = feed()
    first, second, clean = outlets(program)
    program.frame(noise(10, label=not label))
    program.frame(noise(11, label=label))
    program.fill(tick_pts(15, RATE_FPS))
    wanted = noise(11, label=label).i420.copy()
    if label:
        draw_label(wanted)
    for outlet in (first, second):
        real, *repeats = frames(outlet)[1:]
        assert len(repeats) >= 2 and all(each.repeated and each.i420 is real.i420 for each in repeats)
        assert np.array_equal(real.i420, wanted)
    assert all(np.array_equal(each.i420, noise(11, label=label).i420) for each in frames(clean)[1:])


def test_no_copy_is_made_where_no_output_shows_it() -> None:
    program, _ = feed()
    first, second, clean = outlets(program)
    first.open = second.open = False
    program.frame(noise(10, label=True))
    assert program._copied is None and len(frames(clean)) == 1 and not frames(first)


FACTS = {
    "tick": 1, "avatar": "a", "plate": 0, "box": [0, 0, 2, 2], "label": False, "state": "live", "captured": 1,
}  # fmt: skip


def message(array: np.ndarray, facts: dict[str, object]) -> Message:
    return Message(
        stream="program", channel="main", epoch=0, run=0, sequence=0, pts=0, format="i420", array=array,
        facts=dict(facts)
    )  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        {"tick": -1}, {"tick": 1 << 32}, {"tick": "1"}, {"tick": True}, {"state": "dead"}, {"plate": None},
        {"box": [0, 0, 2]}, {"box": [1, 0, 2, 2]}, {"box": [0, 0, 2, 600]}, {"box": [0, 0, 0, 0]},
        {"box": [-2, 0, 2, 2]},
        {"label": [0, 0, 2, 2]}, {"label": 1}, {"captured": 1.5}, {"avatar": 3},
    ],
)  # fmt: skip
def test_a_program_message_that_lies_is_refused(wrong: dict[str, object]) -> None:
    array = np.zeros((12, 8), np.uint8)
    frame_of(message(array, FACTS))
    with pytest.raises(WireError):
        frame_of(message(array, FACTS | wrong))


def test_a_frame_that_is_no_i420_is_refused() -> None:
    for shape in ((11, 8), (12, 7), (0, 8)):
        with pytest.raises(WireError):
            frame_of(message(np.zeros(shape, np.uint8), FACTS))


@pytest.mark.parametrize("tick", [10_000, (1 << 32) - 1])
def test_a_tick_far_from_the_clock_does_not_hold_the_program(tick: int) -> None:
    at, outlet = [tick_pts(10, RATE_FPS)], OutputQueue("test", frames=100, sounds=100)
    program = ProgramFeed(RATE_FPS, clock=lambda: at[0], outlets=[outlet])
    assert program.frame(frame(10)) and program.sound(sound(10))
    assert not program.frame(frame(tick)) and not program.sound(sound(tick))
    assert program.frame(frame(11)) and program.sound(sound(11))
    assert {item.tick for item in outlet.drain(0)} == {10, 11}
    assert program.late == {"frame": 1, "sound": 1}


def test_a_tick_far_ahead_is_not_the_first() -> None:
    program, outlet = feed()
    assert not program.frame(frame(100_000))
    assert program.last is None and program.heard == 0 and not outlet.drain(0)


def test_on_air_is_shown_only_while_frames_go_out(monkeypatch: pytest.MonkeyPatch) -> None:
    at = [now()]
    monkeypatch.setattr(health, "now", lambda: at[0])
    program = ProgramFeed(RATE_FPS, clock=lambda: at[0], outlets=[OutputQueue("test", frames=9, sounds=9)])
    event_log = EventLog()
    judged, scene = ChannelHealth(event_log, program), Scene()
    program.frame(frame(tick_after(at[0], RATE_FPS)))
    judged.judge(scene)
    assert [judged.word] == ["ON AIR"]
    program.heard += 3_600_000_000  # frames arrive, but none are sent
    program._given -= FLOW_US + 1_000_000
    judged.judge(scene)
    assert judged.word == "RECOVERING" and event_log.events()[-1].kind == "warning"
