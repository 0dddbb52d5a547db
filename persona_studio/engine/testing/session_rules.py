"""Rules on sessions: their saved state, how they are called, and their independence of each other."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from unittest import SkipTest

import numpy as np

from engines.api import Driving, EngineSession, FrameEngine, RoiFrame
from persona_studio.engine.testing.frame_subject import Feed, FrameSubject, check_same, give, run
from persona_studio.engine.testing.subject import require
from shared.runtime.arrays import from_bytes, to_bytes


def the_first_is_like_the_second(subject: FrameSubject) -> None:
    """Warming up has no effect: the frames of the first session are the same as those of later ones."""
    for feed in subject.drivers:
        check_same(subject.reference(feed), run(subject.open(), subject.inputs(feed)), "in the first session of all")


def state_is_carried_whole(subject: FrameSubject) -> None:
    """A state restored in another session continues bit for bit; saving changes nothing."""
    for feed in subject.feeds:
        inputs, whole = subject.inputs(feed), subject.reference(feed)
        cuts, session, frames = {1, len(inputs) // 2 + 1, len(inputs) - 2}, subject.open(), list[RoiFrame]()
        for number, each in enumerate(inputs):
            if number in cuts:
                other = subject.open()
                other.restore(_carried(session))
                on = frames + run(other, inputs[number:])
                check_same(on, whole, f"where another session continues after {number} inputs of {feed}")
            frames += give(session, each)
        check_same(frames + session.flush(), whole, f"where the state was saved, from {feed}")


def waiting_is_carried_too(subject: FrameSubject) -> None:
    """State is also carried while the host waits between two motions."""
    for feed in subject.drivers:
        if feed == "voice":
            continue
        inputs = subject.inputs(feed)
        half, at = len(inputs) // 2, inputs[len(inputs) // 2].pts
        session, other = subject.open(), subject.open()
        for each in inputs[:half]:
            give(session, each)
        session.idle(at)
        other.restore(_carried(session))
        pauses = [at + number * 40_000 for number in (1, 2)]
        rest = [
            Driving(each.pts + 200_000, each.face, each.neutral, each.frame, each.recorded)
            for each in inputs[half:]
            if isinstance(each, Driving)
        ]
        one, two = ([frame for pts in pauses for frame in of.idle(pts)] + run(of, rest) for of in (session, other))
        check_same(two, one, "where another session continues while the host waits")


def _carried(session: EngineSession) -> dict[str, np.ndarray]:
    """A session's state after the conversion by which another process receives it."""
    state = session.save()
    wrong = [name for name, value in state.items() if not isinstance(value, np.ndarray) or value.dtype.hasobject]
    require(not wrong, f"Its state holds values that are not plain arrays: {', '.join(wrong)}.")
    return from_bytes(to_bytes(state))


def reset_forgets(subject: FrameSubject) -> None:
    """After a reset no frame is held back and no voice is pending.

    Motion then gives the same frames as in a new session; after a voice, the head may return to rest gradually.
    """
    for feed in subject.drivers:
        session = subject.open()
        others = subject.inputs(feed, other=True)
        for each in others[: len(others) // 2 + 1]:
            give(session, each)
        session.reset()
        require(not session.flush(), f"After a reset it flushes frames of the {feed} before.")
        found, whole = run(session, subject.inputs(feed)), subject.reference(feed)
        times, wanted = ([frame.pts for frame in frames] for frames in (found, whole))
        require(times == wanted, f"After a reset, frames of {feed} have other times than after opening.")
        if feed != "voice":
            check_same(found, whole, f"after a reset, from {feed}")


def little_memory_shows_the_same(subject: FrameSubject) -> None:
    """With low_memory frames may take longer, but they do not change."""
    for feed in subject.drivers:
        frames = run(subject.open(low_memory=True), subject.inputs(feed))
        check_same(frames, subject.reference(feed), "with low_memory", subject.tolerance)


def threads_may_change(subject: FrameSubject) -> None:
    """A session is opened by one thread and called by others, one at a time."""
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as two:
        for feed in subject.drivers:
            subject.reference(feed)
            session = one.submit(subject.open).result()
            frames: list[RoiFrame] = []
            for number, each in enumerate(subject.inputs(feed)):
                frames += (one, two)[number % 2].submit(give, session, each).result()
            frames += two.submit(session.flush).result()
            check_same(frames, subject.reference(feed), "where it is called by two threads in turn")


def sessions_are_apart(subject: FrameSubject) -> None:
    """Two sessions do not disturb each other, in turn and at the same time."""
    for feed in subject.drivers:
        one, two = subject.inputs(feed), subject.inputs(feed, other=True)
        alone = subject.reference(feed), subject.reference(feed, other=True)
        first, second = subject.open(), subject.open()
        mixed: tuple[list[RoiFrame], list[RoiFrame]] = ([], [])
        for pair in zip(one, two, strict=True):
            for session, each, frames in zip((first, second), pair, mixed, strict=True):
                frames += give(session, each)
        mixed[0].extend(first.flush())
        mixed[1].extend(second.flush())
        for found, wanted in zip(mixed, alone, strict=True):
            check_same(found, wanted, f"where another session is called in turn, from {feed}")
        with ThreadPoolExecutor(2) as pool:
            running = [
                pool.submit(run, session, inputs) for session, inputs in ((subject.open(), one), (subject.open(), two))
            ]
            together = [each.result() for each in running]
        for found, wanted in zip(together, alone, strict=True):
            check_same(found, wanted, f"where another session is called at the same time, from {feed}")


def a_batch_shows_single_frames(subject: FrameSubject) -> None:
    """`draw_batch` returns for each session the frames that it returns alone."""
    subject.check_available()
    if type(subject.engine).draw_batch is FrameEngine.draw_batch:
        raise SkipTest("it has no draw_batch of its own")
    for feed in subject.drivers:
        one, two = subject.inputs(feed), subject.inputs(feed, other=True)
        wanted = [subject.reference(feed, other) for other in (False, True, False)]
        sessions = [subject.open() for _ in wanted]
        found: list[list[RoiFrame]] = [[] for _ in wanted]
        for inputs in zip(one, two, one, strict=True):
            drawn = subject.engine.draw_batch(sessions, inputs)
            require(len(drawn) == len(sessions), f"A batch of {len(sessions)} gives {len(drawn)} lists of frames.")
            for frames, new in zip(found, drawn, strict=True):
                frames += new
        for frames, session, expected in zip(found, sessions, wanted, strict=True):
            check_same(frames + session.flush(), expected, f"in a batch, from {feed}", subject.tolerance)


def begin_is_step(subject: FrameSubject) -> None:
    """`begin` gives the frames of `step`, whether they are waited for immediately or after the next `begin`."""
    if not subject.open().overlaps:
        raise SkipTest("it has no begin of its own")
    for feed in subject.feeds:
        if feed == "voice":
            continue
        inputs, whole = [each for each in subject.inputs(feed) if isinstance(each, Driving)], subject.reference(feed)
        session = subject.open()
        frames = [frame for each in inputs if (wait := session.begin(each)) is not None for frame in wait()]
        check_same(frames + session.flush(), whole, "where it is begun and waited for at once")
        check_same(_overlapping(subject.open(), inputs), whole, "where the next is begun before it is waited for")


def _overlapping(session: EngineSession, inputs: list[Driving]) -> list[RoiFrame]:
    """A session's frames, if another thread waits for the frames of a call after the next call has begun."""
    frames: list[RoiFrame] = []
    waiting: Callable[[], list[RoiFrame]] | None = None
    with ThreadPoolExecutor(1) as pool:
        for each in inputs:
            begun = session.begin(each)
            if begun is None:
                continue
            if waiting is not None:
                frames += pool.submit(waiting).result()
            waiting = begun
        if waiting is not None:
            frames += pool.submit(waiting).result()
    return frames + session.flush()


def together_is_one_by_one(subject: FrameSubject) -> None:
    """`together` gives the same frames as drawing one by one, and numbers among the frames keep their position."""
    session = subject.open()
    if type(session).together is EngineSession.together:
        raise SkipTest("it has no together of its own")
    for feed in subject.feeds:
        if feed != "voice":
            _check_together(subject, feed)


def _check_together(subject: FrameSubject, feed: Feed) -> None:
    inputs, whole = subject.inputs(feed), subject.reference(feed)
    session, gaps = subject.open(), {3, 4, len(inputs) - 1}

    def asked() -> Iterator[RoiFrame | int]:
        for number, each in enumerate(inputs):
            if number in gaps:
                yield each.pts
            yield from give(session, each)
        yield from session.flush()

    one_by_one: list[int | None] = []
    single = subject.open()
    for number, each in enumerate(inputs):
        one_by_one += [each.pts] if number in gaps else []
        one_by_one += [None] * len(give(single, each))
    one_by_one += [None] * len(single.flush())
    drawn = list(session.together(asked()))
    order = [each if isinstance(each, int) else None for each in drawn]
    require(order == one_by_one, "`together` gives the frames in another order, or fewer of them.")
    frames = [each for each in drawn if isinstance(each, RoiFrame)]
    check_same(frames, whole, f"where several are drawn together, from {feed}", subject.tolerance)
