"""Rules on the frames of one session: their form, their times, and what they depend on."""

from unittest import SkipTest

import numpy as np

from engines.api import RoiFrame
from persona_studio.engine.testing.frame_subject import (
    ORIGIN,
    FrameSubject,
    blocks,
    check_same,
    give,
    run,
    ticks_between,
)
from persona_studio.engine.testing.subject import BrokenRuleError, require
from shared.runtime.clock import SOUND_RATE_HZ, US

MOST_RUNGS = 32
CUTS: dict[str, list[int]] = {
    "of 10 ms": [480],
    "of odd sizes": [1, 997, 31, 4800, 1, 1, 333],
    "of a tick and a sample": [1921],
}


def frames_have_their_form(subject: FrameSubject) -> None:
    """Frames are square, of the declared side, uint8, with three channels or a matte."""
    for feed in subject.feeds:
        frames = subject.reference(feed)
        require(frames, f"{len(subject.inputs(feed))} inputs of {feed} gave no frame.")
        for frame in frames:
            _check_form(subject, frame)
    session, pts = subject.open(), US
    for frame in session.idle(pts):
        _check_form(subject, frame)
        require(frame.pts == pts, f"A frame of the host waiting at {pts} us has pts {frame.pts}.")


def _check_form(subject: FrameSubject, frame: RoiFrame) -> None:
    shape, side = frame.pixels.shape, subject.info.roi_size
    require(type(frame.pts) is int, f"A pts is {type(frame.pts).__name__}, not int.")
    require(frame.pixels.dtype == np.uint8, f"Pixels are {frame.pixels.dtype}, not uint8.")
    fits = len(shape) == 3 and shape[:2] == (side, side) and shape[2] in (3, 4)
    require(fits, f"A frame's shape is {shape}, not ({side}, {side}, 3) or ({side}, {side}, 4).")


def frames_have_the_drivers_times(subject: FrameSubject) -> None:
    """A frame has the pts of the driving frame that it shows; frames_per_step and frames_held are as declared."""
    info = subject.info
    for feed in subject.feeds:
        if feed == "voice":
            continue
        steps, inputs = subject.whole_run(feed).steps, subject.inputs(feed)
        times = [frame.pts for frames in steps for frame in frames]
        given = [each.pts for each in inputs]
        require(
            set(times) <= set(given),
            f"A frame has a pts that no driving frame had: {min(set(times) - set(given), default=0)}.",
        )
        require(times == sorted(set(times)), "Frames are out of order, or two have one pts.")
        most = max(map(len, steps))
        require(
            most <= info.frames_per_step,
            f"One driving frame completes {most} frames; frames_per_step is {info.frames_per_step}.",
        )
        first = next((number for number, frames in enumerate(steps) if frames), len(steps))
        require(
            first == info.frames_held,
            f"The first frame comes after {first} driving frames; frames_held is {info.frames_held}.",
        )


def flush_gives_what_is_held(subject: FrameSubject) -> None:
    """At the end of a driver the session returns every frame that it held back, and no more."""
    for feed in subject.feeds:
        if feed == "voice":
            continue  # its ticks are counted by another rule
        held, most = subject.whole_run(feed).flushed, subject.info.frames_held
        require(len(held) <= most, f"{len(held)} frames are flushed; frames_held is {most}.")
        last, shown = subject.inputs(feed)[-1].pts, [frame.pts for frame in subject.reference(feed)]
        require(last in shown, f"The last driving frame, at {last} us, is never shown.")


def voice_gives_every_tick(subject: FrameSubject) -> None:
    """A voice gives one frame for each tick from its first sample on, within the declared voice_ahead_us.

    A voice that jumps starts over.
    """
    _hears(subject)
    samples = subject.voice()
    end, later = ORIGIN + len(samples), ORIGIN + 20 * SOUND_RATE_HZ + 100
    wanted = ticks_between(ORIGIN, end)
    session = subject.open()
    heard = [frame.pts for block in blocks(samples, [1000]) for frame in session.hear(block)]
    reach = end - (subject.info.voice_ahead_us + 40_000) * SOUND_RATE_HZ // US
    due = ticks_between(ORIGIN, reach)
    require(
        heard[: len(due)] == due,
        f"By the end of a voice it has given {len(heard)} frames of the {len(due)} that are due within voice_ahead_us, "
        "or at other times.",
    )
    times = heard + [frame.pts for frame in session.flush()]
    require(times == wanted, f"A voice over {len(wanted)} ticks gives {len(times)} frames, or at other times.")
    session = subject.open()
    for block in blocks(samples[: len(samples) // 2], [1000]):
        session.hear(block)
    second = [frame.pts for block in blocks(samples, [1000], later) for frame in session.hear(block)]
    second += [frame.pts for frame in session.flush()]
    wanted = ticks_between(later, later + len(samples))
    require(second == wanted, "After a jump in the voice, its frames do not start over at the new block's first tick.")


def voice_may_be_cut_anyhow(subject: FrameSubject) -> None:
    """The frames do not depend on how the voice is cut into blocks."""
    _hears(subject)
    samples = subject.voice()
    whole = subject.reference("voice")
    cuts = CUTS | {"of everything": [len(samples)], "with a single sample at both edges": [1, len(samples) - 2, 1]}
    for how, sizes in cuts.items():
        check_same(run(subject.open(), blocks(samples, sizes)), whole, f"where the voice comes in blocks {how}")


def undrawn_frames_keep_the_state(subject: FrameSubject) -> None:
    """A session that does not draw continues as if it had."""
    drawing = subject.info.depends_on == "frames"
    for feed in subject.drivers:
        inputs, whole = subject.inputs(feed), subject.reference(feed)
        session, half = subject.open(), len(inputs) // 2
        session.draws = False
        undrawn = [frame for each in inputs[:half] for frame in give(session, each)]
        session.draws = True
        drawn = [frame for each in inputs[half:] for frame in give(session, each)] + session.flush()
        require(
            [frame.pts for frame in undrawn + drawn] == [frame.pts for frame in whole],
            "While it does not draw, it gives frames at other times.",
        )
        if drawing:
            check_same(undrawn + drawn, whole, "where it should not draw, though it depends on frames")
            continue
        sizes = {frame.pixels.shape for frame in undrawn}
        require(sizes <= {(0, 0, 3)}, f"Frames that are not drawn have the shape {sizes}, not (0, 0, 3).")
        since = inputs[half].pts
        after, expected = ([frame for frame in frames if frame.pts >= since] for frames in (drawn, whole))
        check_same(after, expected, "after frames that were not drawn")


def nothing_is_carried(subject: FrameSubject) -> None:
    """If depends_on is 'nothing', a frame is the same without the frames before it."""
    if subject.info.depends_on != "nothing":
        raise SkipTest(f"it depends on {subject.info.depends_on}")
    for feed in subject.feeds:
        if feed == "voice":
            continue
        whole = {frame.pts: frame for frame in subject.reference(feed)}
        for each in subject.inputs(feed)[-3:]:
            alone = run(subject.open(), [each])
            check_same(alone, [whole[each.pts]], "where it is the first one")


def frames_name_their_plate(subject: FrameSubject) -> None:
    """A frame that is made for a plate frame names the plate frame that is shown at its pts."""
    region = subject.info.output == "region"
    for feed in subject.feeds:
        for frame in subject.reference(feed):
            wanted = subject.plate_at(frame.pts)
            require(
                frame.plate == wanted or (frame.plate is None and not region),
                f"The frame at {frame.pts} us names plate frame {frame.plate}, not {wanted}.",
            )


def options_are_taken_over(subject: FrameSubject) -> None:
    """The options that a session was opened with change nothing when they are applied."""
    options = subject.engine.options()
    if options is None:
        raise SkipTest("it has no options")
    for feed in subject.drivers:
        session = subject.open()
        if session.apply(options):
            check_same(
                run(session, subject.inputs(feed)), subject.reference(feed), "after its own options were applied"
            )


def the_ladder_ends(subject: FrameSubject) -> None:
    """Repeated calls of `lower` reach a lowest quality."""
    session = subject.open()
    for _ in range(MOST_RUNGS):
        if session.lower() is None:
            return
    raise BrokenRuleError("`lower` never returns None, so there is no lowest quality.")


def _hears(subject: FrameSubject) -> None:
    subject.check_available()
    if "voice" not in subject.info.inputs:
        raise SkipTest("a voice does not drive it")
