"""A frame engine under test, on an avatar that is driven by a scripted face and voice."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.api import (
    RATE_FPS,
    Driving,
    EngineSession,
    FrameEngine,
    MotionTemplate,
    RoiFrame,
    SessionContext,
    VoiceBlock,
)
from persona_studio.engine.testing.subject import BrokenRuleError, EngineSubject, require
from shared.avatar.model import Avatar
from shared.errors import StudioError
from shared.face.scripted import perform, voice
from shared.runtime.clock import SOUND_RATE_HZ, US, tick_after, tick_pts

Feed = Literal["motion", "voice", "template"]
START_US = 700_000  # time in the script at which the first words begin
ORIGIN = 3 * SOUND_RATE_HZ + 7  # number of the voice's first sample, which is not on a tick
LEAST_FRAMES = 7
FACELESS = 3  # number of the driver frame without a face


@dataclass(frozen=True, slots=True)
class Run:
    """A session's frames from its opening to the end of its driver.

    steps: frames that each input completed. flushed: frames that were held back until the flush.
    """

    steps: list[list[RoiFrame]]
    flushed: list[RoiFrame]

    @property
    def frames(self) -> list[RoiFrame]:
        """All frames in order."""
        return [frame for step in self.steps for frame in step] + self.flushed


class FrameSubject(EngineSubject[FrameEngine]):
    """A frame engine driven by a scripted face and voice.

    template: recorded motion, if the engine plays but cannot record it. tolerance: grey levels by which frames may
    differ in the rules that allow a difference.
    """

    kind = FrameEngine

    def __init__(
        self,
        make: Callable[[], FrameEngine],
        avatar: Avatar | None = None,
        loaded: Iterable[str] | None = None,
        *,
        template: MotionTemplate | None = None,
        tolerance: int = 0,
    ) -> None:
        super().__init__(make, avatar, loaded)
        self.tolerance, self._template = tolerance, template
        self._runs: dict[tuple[Feed, bool], Run] = {}

    @property
    def count(self) -> int:
        """Number of driving frames, enough for frames that the engine holds back and frames that it returns."""
        return max(LEAST_FRAMES, self.info.frames_held + self.info.frames_per_step + 2)

    def open(self, *, low_memory: bool = False) -> EngineSession:
        """Open a session on the avatar. Raises SkipTest if the engine cannot run on this machine."""
        self.check_available()
        plate: Any = self.avatar.plate  # may be None; copied for each session, because it is not thread-safe
        avatar = self.avatar if plate is None else replace(self.avatar, plate=replace(plate))
        return self.engine.open(
            avatar, SessionContext(low_memory=low_memory, plate_at=self.plate_at, options=self.engine.options())
        )

    def plate_at(self, pts: int) -> int:
        """Return a plate frame's number for a time, different for any two consecutive frames."""
        plate: Any = self.avatar.plate  # may be None
        return pts * 3 // 40_000 % (len(plate.placements) if plate is not None else 7)

    @property
    def feeds(self) -> list[Feed]:
        """The inputs to test, without recorded motion if there is none."""
        order: tuple[Feed, ...] = ("motion", "voice", "template")
        return [
            feed for feed in order if feed in self.info.inputs and (feed != "template" or self.template is not None)
        ]

    @property
    def drivers(self) -> list[Feed]:
        """The feeds without recorded motion, unless it is the only one, for rules that do not need all feeds."""
        return [feed for feed in self.feeds if feed != "template"] or self.feeds

    @cached_property
    def template(self) -> MotionTemplate | None:
        """Recorded motion: the given one, else a recording of the driver; None if the engine cannot record."""
        if self._template is not None or "template" not in self.info.inputs:
            return self._template
        self.check_available()
        try:
            return self.engine.record(self.driver(images=True), RATE_FPS)
        except StudioError:
            return None

    def inputs(self, feed: Feed, other: bool = False) -> Sequence[Driving | VoiceBlock]:
        """Return the inputs of a session, in order. other: a different motion or voice of the same length."""
        if feed == "motion":
            return self.driver(other)
        if feed == "voice":
            samples = self.voice()
            return blocks(samples[::-1].copy() if other else samples, [SOUND_RATE_HZ // 25])
        assert self.template is not None
        order = range(len(self.template))
        recorded = [self.template[number] for number in (reversed(order) if other else order)]
        return [Driving(_pts(number), None, None, recorded=each) for number, each in enumerate(recorded)]

    def driver(self, other: bool = False, images: bool | None = None) -> list[Driving]:
        """Return driving frames of a face that moves and speaks; one of them is without a face.

        other: a different motion. images: include images; None to do so if the engine needs them.
        """
        images = self.info.needs_image if images is None else images
        own, roi, driving = self.avatar.face, self.avatar.roi, []
        for number in range(self.count):
            matrix = _sway(number + (9 if other else 0), roi.shape[0])
            face = perform(own, (START_US + _pts(number) + (2 * US if other else 0)) / US).moved(matrix)
            frame = None
            if images:
                size = (roi.shape[1], roi.shape[0])
                frame = np.asarray(cv2.warpAffine(roi, matrix, size, borderMode=cv2.BORDER_REFLECT_101), np.uint8)
            seen = number != FACELESS
            driving.append(Driving(_pts(number), face if seen else None, own if seen else None, frame))
        return driving

    def voice(self) -> NDArray[np.int16]:
        """Return speech for as many ticks as there are driving frames, plus the engine's look-ahead."""
        length = self.count * 40_000 + self.info.voice_ahead_us
        begin = START_US * SOUND_RATE_HZ // US
        return voice((START_US + length) / US)[begin : begin + length * SOUND_RATE_HZ // US]

    def whole_run(self, feed: Feed, other: bool = False) -> Run:
        """Return the frames of an undisturbed session, which are computed once."""
        if (feed, other) not in self._runs:
            session = self.open()
            steps = [give(session, each) for each in self.inputs(feed, other)]
            self._runs[feed, other] = Run(steps, session.flush())
        return self._runs[feed, other]

    def reference(self, feed: Feed, other: bool = False) -> list[RoiFrame]:
        """The frames of `whole_run`."""
        return self.whole_run(feed, other).frames


def _pts(number: int) -> int:
    return US + tick_pts(number, RATE_FPS)


def _sway(number: int, side: int) -> NDArray[np.float64]:
    """The (2, 3) similarity that moves the driver's head away from the avatar's position in frame `number`."""
    angle, scale = 0.08 * np.sin(number / 3), 1 + 0.05 * np.sin(number / 4)
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    linear, middle = np.array([[c, -s], [s, c]]), np.array([side / 2, side / 2])
    return np.column_stack([linear, middle - linear @ middle + (4 * np.sin(number / 5), 3 * np.sin(number / 2))])


def blocks(samples: NDArray[np.int16], sizes: Sequence[int], first: int = ORIGIN) -> list[VoiceBlock]:
    """A voice cut into blocks of these sizes, in turn. first: number of its first sample on the channel clock."""
    cut, at, turn = [], 0, 0
    while at < len(samples):
        size = sizes[turn % len(sizes)]
        cut.append(VoiceBlock((first + at) * US // SOUND_RATE_HZ, samples[at : at + size]))
        at, turn = at + size, turn + 1
    return cut


def ticks_between(start: int, stop: int, rate: Fraction = RATE_FPS) -> list[int]:
    """Pts of the ticks from sample `start` to before sample `stop` of a voice."""
    tick, found = tick_after(start * US // SOUND_RATE_HZ - 1, rate), []
    while (pts := tick_pts(tick, rate)) * SOUND_RATE_HZ < stop * US:
        found.append(pts)
        tick += 1
    return found


def give(session: EngineSession, each: Driving | VoiceBlock) -> list[RoiFrame]:
    """Pass one input to a session and return the frames that it completes."""
    return session.step(each) if isinstance(each, Driving) else session.hear(each)


def run(session: EngineSession, inputs: Iterable[Driving | VoiceBlock]) -> list[RoiFrame]:
    """Return all frames of a session for these inputs, including the flushed ones."""
    return [frame for each in inputs for frame in give(session, each)] + session.flush()


def check_same(found: Sequence[RoiFrame], wanted: Sequence[RoiFrame], how: str, tolerance: int = 0) -> None:
    """Raise BrokenRuleError if two runs differ in times, plate frames, or pixels by more than `tolerance` grey levels.

    how: the difference between the runs as words for the sentence, such as "where ...".
    """
    times, expected = [frame.pts for frame in found], [frame.pts for frame in wanted]
    require(times == expected, f"Frames come at {_few(times)} instead of {_few(expected)} us {how}.")
    for number, (a, b) in enumerate(zip(found, wanted, strict=True)):
        at = f"frame {number} (pts {a.pts})"
        require(a.pixels.shape == b.pixels.shape, f"The shape of {at} is {a.pixels.shape}, not {b.pixels.shape} {how}.")
        apart = np.abs(a.pixels.astype(np.int16) - b.pixels)
        if apart.size and int(apart.max()) > tolerance:
            share = f"{100 * np.count_nonzero(apart) / apart.size:.1f} % of its values"
            raise BrokenRuleError(f"The pixels of {at} differ in {share}, by up to {apart.max()} grey levels, {how}.")
        require((a.waiting, a.plate) == (b.waiting, b.plate), f"Waiting or plate of {at} differs {how}.")


def _few(times: list[int]) -> str:
    shown = ", ".join(map(str, times[:6]))
    return f"{len(times)} times ({shown}{', ...' if len(times) > 6 else ''})"
