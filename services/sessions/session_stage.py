"""The ticks of a session: its sound, the voice that its faces need, and its composited frames."""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from compositing.face_stage import FaceStage
from compositing.label import draw_label
from services.sessions.speech_line import SaidTick, SpeechLine
from shared.avatar.model import Avatar
from shared.avatar.plate_view import avatar_in_view
from shared.runtime.clock import SOUND_RATE_HZ, US, sound_samples, tick_pts
from shared.session_spec import SessionSpec
from shared.wire.message import Message
from shared.wire.program import ProgramFrame

IDLE_AFTER_US = US // 2  # time without a face after which the plate idles


class SessionStage:
    """The stage of one session. Owned by the ticks' thread once it is made.

    line: speech of the session's agent.
    """

    def __init__(self, spec: SessionSpec, avatar: Avatar, line: SpeechLine, rate: Fraction) -> None:
        """avatar: shared with other sessions. Raises StudioError."""
        self.spec, self.line = spec, line
        self._stage = FaceStage(avatar_in_view(avatar, spec.width, spec.height), IDLE_AFTER_US)
        self._rate = rate
        self._ahead = spec.ahead_us * SOUND_RATE_HZ // US + 1
        self._told: NDArray[np.int16] = np.zeros(0, np.int16)  # voice from the next tick on that the engine already has
        self._next = -1  # the tick after the last one passed to `say`
        self._said: SaidTick | None = None  # what `say` returned last

    def ticks_to_say(self, tick: int) -> list[int]:
        """Return the ticks to pass to `say`, in order, when `tick` is due.

        Before `tick` come those that were missed while the process stalled, as far as the room had their sound in
        advance: it has played that sound, so the speech must not fall behind it. Where the room had no more, it fell
        silent, and the speech continues later.
        """
        played = 0 if self._said is None or self._said.clears != self.line.clears else len(self._said.ahead)
        missed = []
        for number in range(self._next, tick) if played else ():
            first, end = sound_samples(number, self._rate, SOUND_RATE_HZ)
            played -= end - first
            if played < 0:
                break
            missed.append(number)
        return [*missed, tick]

    def say(self, tick: int, at: int) -> tuple[SaidTick, tuple[int, NDArray[np.int16]] | None]:
        """Return a tick's sound, and (pts, samples) of the voice that the engine still needs for its face, or None.

        at: the clock now, microseconds. Voice that the engine already has and that has changed since is returned again,
        from this tick on.
        """
        first, end = sound_samples(tick, self._rate, SOUND_RATE_HZ)
        if tick != self._next:
            self._told = self._told[:0]
        self._next = tick + 1
        said = self._said = self.line.take(end - first, at)
        known = np.concatenate([said.samples, self.line.coming(self._ahead)])
        old = len(self._told)
        same = old and np.array_equal(known[:old], self._told[: len(known)])
        start = min(old, len(known)) if same else 0
        self._told = (self._told if same and old > len(known) else known)[end - first :]
        fresh = known[start:]
        return said, ((first + start) * US // SOUND_RATE_HZ, fresh) if len(fresh) else None

    def take(self, message: Message, at: int) -> str:
        """Take a face; returns the reason if it is not taken, else ""."""
        return self._stage.take(message, at)

    def frame(self, tick: int) -> ProgramFrame:
        """Return a tick's frame, with the label if the session wants it."""
        pts = tick_pts(tick, self._rate)
        staged = self._stage.frame(pts)
        composed = staged.composed
        label = draw_label(composed.frame) if self.spec.label else None
        return ProgramFrame(
            tick=tick,
            pts=pts,
            i420=composed.frame,
            avatar=self.spec.avatar,
            plate=composed.plate,
            box=composed.box if composed.box[2] else None,
            label=self.spec.label,
            state=staged.state,
            captured=staged.face.facts.captured if staged.face else 0,
            label_box=label,
        )

    def prepare_tick(self, tick: int) -> None:
        """Decode the plate frame of a tick ahead of time."""
        self._stage.prepare_tick(tick_pts(tick, self._rate))
