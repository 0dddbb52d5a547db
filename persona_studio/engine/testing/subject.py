"""An engine under test: on a sample avatar, moved by a scripted face and voice."""

import atexit
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal
from unittest import SkipTest

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
from shared.avatar.build import add_avatar
from shared.avatar.model import Avatar, load_avatar
from shared.avatar.samples import RIGHTS, sample_portrait, write_body_video
from shared.errors import StudioError
from shared.face.scripted import perform, voice
from shared.media.reader import SOUND_RATE_HZ
from shared.runtime.clock import US, tick_after, tick_pts

Feed = Literal["motion", "voice", "template"]
START_US = 700_000  # of the script: the first words
ORIGIN = 3 * SOUND_RATE_HZ + 7  # number of the voice's first sample, on no tick
BODY_FRAMES = 12
LEAST_FRAMES = 9
FACELESS = 3  # number of the driver frame without a face


class BrokenRuleError(AssertionError):
    """What an engine does against a rule, in one sentence."""


def require(kept: object, sentence: str) -> None:
    """Raises BrokenRuleError with the sentence where something is not kept."""
    if not kept:
        raise BrokenRuleError(sentence)


@dataclass(frozen=True, slots=True)
class Run:
    """A session's frames from its opening to the end of its driver. steps: those that each input completed. flushed: those
    that were held back."""

    steps: list[list[RoiFrame]]
    flushed: list[RoiFrame]

    @property
    def frames(self) -> list[RoiFrame]:
        """All of them, in order."""
        return [frame for step in self.steps for frame in step] + self.flushed


class Subject:
    """An engine with what the rules try it on.

    engine: prepared for `avatar`, whose folder is a copy. tolerance: grey levels by which frames may differ where an engine
    says that they do. loaded: names of the modules there were before its own was imported.
    """

    def __init__(
        self,
        make: Callable[[], FrameEngine],
        avatar: Avatar | None = None,
        template: MotionTemplate | None = None,
        tolerance: int = 0,
        loaded: Iterable[str] | None = None,
    ) -> None:
        self.loaded = frozenset(sys.modules if loaded is None else loaded)
        self.make, self.tolerance = make, tolerance
        self.engine = make()
        require(isinstance(self.engine, FrameEngine), "It is no FrameEngine.")
        self.info = self.engine.info
        self._avatar, self._template = avatar, template
        self._runs: dict[tuple[Feed, bool], Run] = {}

    @cached_property
    def avatar(self) -> Avatar:
        """The avatar that sessions are opened on, in a folder of its own."""
        made = copied(self._avatar or default_avatar(self.info.output != "roi"))
        self.engine.prepare(made)
        return made

    @property
    def count(self) -> int:
        """Driving frames that every part of the engine is seen in."""
        return max(LEAST_FRAMES, self.info.frames_held + self.info.frames_per_step + 2)

    def check_available(self) -> None:
        """Raises SkipTest where the engine cannot run here."""
        if (problem := self.engine.probe()) is not None:
            raise SkipTest(problem.reason)

    def open(self, *, low_memory: bool = False) -> EngineSession:
        """A session on the avatar. Raises SkipTest where the engine cannot run here."""
        self.check_available()
        return self.engine.open(
            self.avatar, SessionContext(low_memory=low_memory, plate_at=self.plate_at, options=self.engine.options())
        )

    def plate_at(self, pts: int) -> int:
        """A plate frame for a time, such that no two frames in a row have the same."""
        plate: Any = self.avatar.plate  # None for an avatar without one
        return pts * 3 // 40_000 % (len(plate.placements) if plate is not None else 7)

    @property
    def feeds(self) -> list[Feed]:
        """What moves it here: its inputs, without recorded motion where it records none."""
        order: tuple[Feed, ...] = ("motion", "voice", "template")
        return [
            feed for feed in order if feed in self.info.inputs and (feed != "template" or self.template is not None)
        ]

    @property
    def drivers(self) -> list[Feed]:
        """The feeds without recorded motion where there is another: for rules that a second way of moving adds nothing to."""
        return [feed for feed in self.feeds if feed != "template"] or self.feeds

    @cached_property
    def template(self) -> MotionTemplate | None:
        """Recorded motion: what was given, else a record of the driver; None where the engine records none."""
        if self._template is not None or "template" not in self.info.inputs:
            return self._template
        self.check_available()
        try:
            return self.engine.record(self.driver(images=True), RATE_FPS)
        except StudioError:
            return None

    def inputs(self, feed: Feed, other: bool = False) -> Sequence[Driving | VoiceBlock]:
        """What a session is given, one after the other. other: another motion or voice of the same length."""
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
        """A face that moves and speaks, with its images where the engine needs them; once without a face."""
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
        """Speech for as many ticks as there are driving frames, and what the engine needs to hear beyond."""
        length = self.count * 40_000 + self.info.voice_ahead_us
        begin = START_US * SOUND_RATE_HZ // US
        return voice((START_US + length) / US)[begin : begin + length * SOUND_RATE_HZ // US]

    def whole_run(self, feed: Feed, other: bool = False) -> Run:
        """What a session gives that nothing disturbs."""
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
    """(2, 3) similarity by which the driver's head is away from the avatar's place in frame `number`."""
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
    """pts of the ticks from sample `start` to before sample `stop` of a voice."""
    tick, found = tick_after(start * US // SOUND_RATE_HZ - 1, rate), []
    while (pts := tick_pts(tick, rate)) * SOUND_RATE_HZ < stop * US:
        found.append(pts)
        tick += 1
    return found


def give(session: EngineSession, each: Driving | VoiceBlock) -> list[RoiFrame]:
    """One input to a session."""
    return session.step(each) if isinstance(each, Driving) else session.hear(each)


def run(session: EngineSession, inputs: Iterable[Driving | VoiceBlock]) -> list[RoiFrame]:
    """All frames of a session for these inputs, flushed."""
    return [frame for each in inputs for frame in give(session, each)] + session.flush()


def check_same(found: Sequence[RoiFrame], wanted: Sequence[RoiFrame], how: str, tolerance: int = 0) -> None:
    """Raises BrokenRuleError where two runs differ: in times, plates, or pixels by more than `tolerance` grey levels.
    how: what differs between them, as "where ..."."""
    times, expected = [frame.pts for frame in found], [frame.pts for frame in wanted]
    require(times == expected, f"Frames come at {_few(times)} instead of {_few(expected)} us {how}.")
    for number, (a, b) in enumerate(zip(found, wanted, strict=True)):
        at = f"frame {number} (pts {a.pts})"
        require(a.pixels.shape == b.pixels.shape, f"The shape of {at} is {a.pixels.shape}, not {b.pixels.shape} {how}.")
        apart = np.abs(a.pixels.astype(np.int16) - b.pixels)
        if apart.size and int(apart.max()) > tolerance:
            share = f"{100 * np.count_nonzero(apart) / apart.size:.1f} % of its values"
            raise BrokenRuleError(f"The pixels of {at} differ in {share}, by up to {apart.max()} grey levels, {how}.")
        require((a.waiting, a.plate) == (b.waiting, b.plate), f"What is said of {at} beside its pixels differs {how}.")


def _few(times: list[int]) -> str:
    shown = ", ".join(map(str, times[:6]))
    return f"{len(times)} times ({shown}{', ...' if len(times) > 6 else ''})"


def copied(avatar: Avatar) -> Avatar:
    """The same avatar in a folder that goes when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="studio-conformance-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    shutil.copytree(avatar.folder, folder, dirs_exist_ok=True)
    return replace(avatar, folder=folder)


@cache
def default_avatar(body: bool) -> Avatar:
    """The sample portrait as an avatar. body: on a short video of a swaying body."""
    with tempfile.TemporaryDirectory(prefix="studio-conformance-") as scratch:
        portrait, video = Path(scratch, "portrait.png"), Path(scratch, "body.mp4")
        image = sample_portrait()
        cv2.imwrite(str(portrait), image[..., ::-1])
        if body:
            write_body_video(video, image, BODY_FRAMES)
        made = load_avatar(add_avatar(Path(scratch), "sample", portrait, video if body else None, RIGHTS))
        kept = copied(made)
    return load_avatar(kept.folder)
