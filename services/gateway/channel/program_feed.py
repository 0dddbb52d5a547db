"""The program feed to the outputs: each tick exactly once, even while another service is down; outputs are independent.

The compositor sends one frame and one block of sound per tick. When either is missing for longer than
PATIENCE_TICKS, the last frame is repeated or the sound replaced by silence, so that the program never stops.

Frames arrive without label and captions. If the scene asks for them, they are drawn once into a copy that the outputs
share; an output that is entitled to the clean feed receives the original frame.
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
# After a long stop (SIGSTOP, a suspended machine) at most this many missing ticks are replaced; outputs notice the
# remaining gap by the time stamps.
CATCH_UP_TICKS = 25
AHEAD_US = US  # by which a tick may be ahead of the clock; a later one would block the program until its time
FLOW_US = US // 2  # when no frame was passed to the outputs for this long, the program is not flowing
COPIES = 2  # copies kept of one frame: with the label, and with label and caption
STALL_WINDOW_S = 10  # seconds over which the longest stall is reported


class OutputQueue:
    """Queue of frames and sound for one output. Bounded: the oldest is dropped first, and counted. Thread-safe.

    open: False while the output is off; `put` then ignores everything.
    clean: frames have no label and no captions; only for an output with a stated right to the clean feed.
    captions: whether captions may be burnt into the frames; False where the viewers receive captions as text.
    counting: False while drops are no loss because no viewer is connected.
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
        """Add an item without waiting for the output."""
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
        """Remove and return all queued items in tick order, a tick's sound before its frame.

        Wait up to `timeout` seconds if the queue is empty, then return an empty list.
        """
        with self._ready:
            if not self._frames and not self._sounds:
                self._ready.wait(timeout)
            items: list[ProgramFrame | ProgramSound] = [*self._sounds, *self._frames]
            self._sounds.clear()
            self._frames.clear()
        return sorted(items, key=lambda item: item.tick)

    def clear(self) -> None:
        """Discard all queued items."""
        with self._ready:
            self._frames.clear()
            self._sounds.clear()

    def wake(self) -> None:
        """Make a waiting `drain` return."""
        with self._ready:
            self._ready.notify()


@dataclass(slots=True)
class ProgramFeed:
    """Passes each tick to all outlets exactly once, whatever arrives. Owned by the bus thread.

    repeated: ticks for which the last frame or silence was substituted. skipped: ticks passed to no output after a
    stop. late: frames and sounds that came after their tick was substituted, or far ahead of their time. last: the
    newest frame of the compositor. heard: its arrival time, microseconds. level: peak of the last sound, 0 to 1.
    caption: returns the caption overlay for a frame, None for no caption; called for outputs with burnt-in captions.
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
    _copied: ImageArray | None = None  # pixels of the frame that `_copies` were made from
    _copies: list[tuple[bool, Overlay | None, ProgramFrame]] = field(default_factory=list)  # label, caption, copy
    _stalls: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=STALL_WINDOW_S))  # (second, longest)

    def stall(self) -> int:
        """Return the longest delay of a frame beyond one tick in the last STALL_WINDOW_S seconds, in microseconds."""
        since = self.clock() // US - STALL_WINDOW_S
        return max((longest for second, longest in list(self._stalls) if second > since), default=0)

    def frame(self, frame: ProgramFrame) -> bool:
        """Take a frame of the compositor; returns False when its tick is over, or far ahead of the clock."""
        if self._is_ahead(frame.tick):
            self.late["frame"] += 1
            return False
        self.heard = self.clock()
        if self.last is not None:
            if frame.tick < self._next_frame:
                self.late["frame"] += 1
                # Too late for its own tick, but the newest frame to repeat.
                self.last = frame
                return False
            self._repeat_frames(frame.tick)
        self.last = frame
        self._next_frame = frame.tick + 1
        self._give(frame)
        return True

    def sound(self, sound: ProgramSound) -> bool:
        """Take sound from the compositor; returns False if its tick is over or is far ahead of the clock."""
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
        """Return the time at which `fill` has to be called next, in microseconds."""
        pending = [
            tick for tick, begun in ((self._next_frame, self.last), (self._next_sound, self._next_sound)) if begun
        ]
        return tick_pts(min(pending), self.rate) + self._patience if pending else 1 << 62

    def fill(self, at: int) -> None:
        """Substitute the frames and sounds that are overdue at `at` (microseconds)."""
        overdue = tick_after(at - self._patience, self.rate)
        self._repeat_frames(overdue)
        self._repeat_sounds(overdue)

    def is_flowing(self, at: int) -> bool:
        """Whether a frame, new or repeated, was passed to the outputs at most FLOW_US before `at` (microseconds)."""
        return at - self._given <= FLOW_US

    def _is_ahead(self, tick: int) -> bool:
        """Whether a tick is so far in the future that no compositor on this clock can have sent it."""
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
        opened = [outlet for outlet in self.outlets if outlet.open]  # make no copy that no output shows
        if isinstance(item, ProgramSound):
            for outlet in opened:
                outlet.put(item)
            return
        caption = self.caption(item) if any(outlet.captions and not outlet.clean for outlet in opened) else None
        for outlet in opened:
            outlet.put(item if outlet.clean else self._drawn(item, caption if outlet.captions else None))

    def _drawn(self, frame: ProgramFrame, caption: Overlay | None) -> ProgramFrame:
        """Return the frame with its label and `caption` drawn on a copy that all outputs and repeats of it share."""
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
