"""The program as the outputs see it: every tick exactly once, whichever process dies, and no output delays another.

The compositor sends one frame and one block of sound per tick. When either is missing for longer than
PATIENCE_TICKS, the last frame is repeated and silence takes the sound's place, so that no output ever ends.

Frames arrive without label and captions. Where the scene wants them, they are drawn once into a copy, which the outputs
that show them share; an output with a right to the clean feed takes the frame as it came.
"""

import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np

from compositing.label import draw_label
from compositing.overlay import Overlay
from shared.media.array_types import ImageArray
from shared.runtime.clock import SOUND_RATE_HZ, US, now, sound_samples, tick_after, tick_pts
from shared.wire.program import ProgramFrame, ProgramSound

PATIENCE_TICKS = Fraction(3, 2)  # ticks after which a missing frame or sound is replaced
# After a long stop (SIGSTOP, a suspended machine) at most this many ticks are made up for; outputs know by the
# time stamps that there was a hole.
CATCH_UP_TICKS = 25
AHEAD_US = US  # by which a tick may be ahead of the clock; one further off would hold the program until then
FLOW_US = US // 2  # without a frame for this long the program stands still
COPIES = 2  # of one frame: with the label, and with label and caption
STALL_WINDOW_S = 10  # seconds over which the longest stall is reported


class OutputQueue:
    """What one output has still to take. Bounded: the oldest goes first, counted. Safe between two threads.

    open: False while the output is off, which then is given nothing and holds nothing.
    clean: its frames are as they came, without label and captions; only for an output whose right to that is stated.
    captions: they are burnt into its frames where the scene wants that; not where its viewers have them as text.
    counting: False while what is left out is not a loss, because no viewer is there yet.
    """

    def __init__(self, name: str, *, frames: int, sounds: int) -> None:
        self.name = name
        self.open = self.counting = self.captions = True
        self.clean = False
        self.drops: Counter[str] = Counter()
        self._frames: deque[ProgramFrame] = deque(maxlen=frames)
        self._sounds: deque[ProgramSound] = deque(maxlen=sounds)
        self._ready = threading.Condition()

    def put(self, item: ProgramFrame | ProgramSound) -> None:
        """Add without ever waiting for the output."""
        if not self.open:
            return
        with self._ready:
            if isinstance(item, ProgramFrame):
                self.drops["frame"] += self.counting and len(self._frames) == self._frames.maxlen
                self._frames.append(item)
            else:
                self.drops["sound"] += self.counting and len(self._sounds) == self._sounds.maxlen
                self._sounds.append(item)
            self._ready.notify()

    def drain(self, timeout: float) -> list[ProgramFrame | ProgramSound]:
        """All that waits, in the order of ticks, sound before frame; after `timeout` seconds nothing."""
        with self._ready:
            if not self._frames and not self._sounds:
                self._ready.wait(timeout)
            items: list[ProgramFrame | ProgramSound] = [*self._sounds, *self._frames]
            self._sounds.clear()
            self._frames.clear()
        return sorted(items, key=lambda item: item.tick)

    def clear(self) -> None:
        """Forget what waits."""
        with self._ready:
            self._frames.clear()
            self._sounds.clear()

    def wake(self) -> None:
        """Make a waiting `drain` return."""
        with self._ready:
            self._ready.notify()


@dataclass(slots=True)
class ProgramFeed:
    """Turns what arrives into every tick once and hands it to all outlets. Owned by the bus thread.

    repeated, skipped: ticks made up, and those given to no output.
    late: ticks that came after they had been made up, or far ahead of their time.
    last: the newest real frame. `heard` its arrival time, microseconds.
    level: peak of the last sound, 0 to 1.
    caption: what is drawn on a frame where an output has captions burnt in, None for nothing.
    """

    rate: Fraction
    clock: Callable[[], int] = now
    caption: Callable[[ProgramFrame], Overlay | None] = lambda frame: None
    outlets: list[OutputQueue] = field(default_factory=list)
    last: ProgramFrame | None = None
    heard: int = 0
    level: float = 0.0
    repeated: Counter[str] = field(default_factory=Counter)
    late: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    _next_frame: int = 0
    _next_sound: int = 0
    _given: int = 0
    _copied: ImageArray | None = None  # the frame of which there are copies
    _copies: list[tuple[bool, Overlay | None, ProgramFrame]] = field(default_factory=list)  # with label and caption
    _stalls: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=STALL_WINDOW_S))  # (second, longest)

    def stall(self) -> int:
        """By how much the longest wait for a frame in the last seconds was longer than a tick, microseconds."""
        since = self.clock() // US - STALL_WINDOW_S
        return max((longest for second, longest in list(self._stalls) if second > since), default=0)

    def frame(self, frame: ProgramFrame) -> bool:
        """A real frame arrived; False when its tick is over, or far ahead of the clock."""
        if self._is_ahead(frame.tick):
            self.late["frame"] += 1
            return False
        self.heard = self.clock()
        if self.last is not None:
            if frame.tick < self._next_frame:
                self.late["frame"] += 1
                # It is still the newest thing to repeat.
                self.last = frame
                return False
            self._repeat_frames(frame.tick)
        self.last = frame
        self._next_frame = frame.tick + 1
        self._give(frame)
        return True

    def sound(self, sound: ProgramSound) -> bool:
        """Real sound arrived; False when its tick is over, or far ahead of the clock."""
        if self._is_ahead(sound.tick):
            self.late["sound"] += 1
            return False
        if self._next_sound:
            if sound.tick < self._next_sound:
                self.late["sound"] += 1
                return False
            self._repeat_sounds(sound.tick)
        self._next_sound = sound.tick + 1
        self.level = float(np.abs(sound.samples.astype(np.int32)).max(initial=0)) / 32768
        self._give(sound)
        return True

    def due(self) -> int:
        """When `fill` has something to do, microseconds."""
        pending = [
            tick for tick, begun in ((self._next_frame, self.last), (self._next_sound, self._next_sound)) if begun
        ]
        return tick_pts(min(pending), self.rate) + self._patience if pending else 1 << 62

    def fill(self, at: int) -> None:
        """Make up for the ticks whose frame or sound should long have come."""
        overdue = tick_after(at - self._patience, self.rate)
        self._repeat_frames(overdue)
        self._repeat_sounds(overdue)

    def is_flowing(self, at: int) -> bool:
        """Whether frames go out, real or repeated.

        The newest has gone out less than FLOW_US before `at` (microseconds).
        """
        return at - self._given <= FLOW_US

    def _is_ahead(self, tick: int) -> bool:
        """Whether a tick is so far from its time that no compositor on this clock can have sent it."""
        return tick_pts(tick, self.rate) > self.clock() + AHEAD_US

    @property
    def _patience(self) -> int:
        return int(PATIENCE_TICKS / self.rate * US)

    def _repeat_frames(self, until: int) -> None:
        if self.last is None:
            return
        self.skipped["frame"] += max(0, until - CATCH_UP_TICKS - self._next_frame)
        self._next_frame = max(self._next_frame, until - CATCH_UP_TICKS)
        while self._next_frame < until:
            tick = self._next_frame
            self.repeated["frame"] += 1
            self._give(replace(self.last, tick=tick, pts=tick_pts(tick, self.rate), captured=0, repeated=True))
            self._next_frame = tick + 1

    def _repeat_sounds(self, until: int) -> None:
        if not self._next_sound:
            return
        self.skipped["sound"] += max(0, until - CATCH_UP_TICKS - self._next_sound)
        self._next_sound = max(self._next_sound, until - CATCH_UP_TICKS)
        while self._next_sound < until:
            tick = self._next_sound
            self.repeated["sound"] += 1
            self.level = 0.0
            first, end = sound_samples(tick, self.rate, SOUND_RATE_HZ)
            silence = np.zeros(end - first, np.int16)
            self._give(ProgramSound(tick, tick_pts(tick, self.rate), silence, repeated=True))
            self._next_sound = tick + 1

    def _give(self, item: ProgramFrame | ProgramSound) -> None:
        if isinstance(item, ProgramFrame):
            self._measure()
        opened = [outlet for outlet in self.outlets if outlet.open]  # a copy that no output shows is not made
        if isinstance(item, ProgramSound):
            for outlet in opened:
                outlet.put(item)
            return
        caption = self.caption(item) if any(outlet.captions and not outlet.clean for outlet in opened) else None
        for outlet in opened:
            outlet.put(item if outlet.clean else self._drawn(item, caption if outlet.captions else None))

    def _drawn(self, frame: ProgramFrame, caption: Overlay | None) -> ProgramFrame:
        """The frame with its label and this caption, in a copy that all outputs and all repeats of it share."""
        if not frame.label and caption is None:
            return frame
        if self._copied is not frame.i420:
            self._copied = frame.i420
            self._copies.clear()
        kept = next((copy for label, drawn, copy in self._copies if label is frame.label and drawn is caption), None)
        if kept is None:
            i420 = frame.i420.copy()
            kept = replace(frame, i420=i420, label_box=draw_label(i420) if frame.label else None)
            if caption is not None:
                caption.draw(i420)
            self._copies = [*self._copies[1 - COPIES :], (frame.label, caption, kept)]
        return replace(frame, i420=kept.i420, label_box=kept.label_box)

    def _measure(self) -> None:
        at = self.clock()
        late = max(0, at - self._given - round(US / self.rate)) if self._given else 0
        self._given = at
        if self._stalls and self._stalls[-1][0] == at // US:
            late = max(late, self._stalls.pop()[1])
        self._stalls.append((at // US, late))
