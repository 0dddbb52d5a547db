"""Speech that was given to the avatar and not heard yet, so that the bot can speak it if the avatar leaves."""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field

from pipecat.frames.frames import Frame, TTSAudioRawFrame, TTSStoppedFrame


@dataclass(eq=False)
class Segment:
    """Speech between two stops.

    started: wall clock seconds at which the avatar began, 0 before that. stop: frame that follows once the segment was
    heard, None while the segment is not complete.
    """

    frames: list[TTSAudioRawFrame] = field(default_factory=list)
    started: float = 0.0
    stop: TTSStoppedFrame | None = None

    def rest(self, alive: float) -> list[Frame]:
        """Return the frames that were not heard until `alive`, in wall clock seconds."""
        skipped = max(0.0, alive - self.started) if self.started else 0.0
        rest: list[Frame] = []
        for frame in self.frames:
            seconds = frame.num_frames / frame.sample_rate
            if skipped < seconds / 2:
                rest.append(frame)
            else:
                skipped -= seconds
        return rest if self.stop is None else [*rest, self.stop]


class UnheardSpeech:
    """Segments that wait to be heard, oldest first. quiet: set while there are none."""

    def __init__(self) -> None:
        self._segments: deque[Segment] = deque()
        self.quiet = asyncio.Event()
        self.quiet.set()

    def add(self, frame: TTSAudioRawFrame) -> None:
        """Add a part of the current segment."""
        if not self._segments or self._segments[-1].stop is not None:
            self._segments.append(Segment())
        self._segments[-1].frames.append(frame)
        self.quiet.clear()

    def end(self, stop: TTSStoppedFrame) -> bool:
        """End the current segment; return whether there was one."""
        if not self._segments or self._segments[-1].stop is not None:
            return False
        self._segments[-1].stop = stop
        return True

    def begin(self) -> None:
        """Note that the avatar has begun the next segment."""
        segment = next((each for each in self._segments if not each.started), None)
        if segment is not None:
            segment.started = time.time()

    def finish(self) -> TTSStoppedFrame | None:
        """Remove the oldest segment, which has been heard; return the frame that follows it."""
        stop = self._segments.popleft().stop if self._segments else None
        if not self._segments:
            self.quiet.set()
        return stop

    def clear(self) -> None:
        """Drop the speech that was not heard."""
        self._segments.clear()
        self.quiet.set()

    def taken_rest(self, alive: float) -> list[Frame]:
        """Remove all segments; return the frames that were not heard until `alive`, in wall clock seconds."""
        rest = [frame for segment in self._segments for frame in segment.rest(alive)]
        self.clear()
        return rest

    def seconds(self) -> float:
        """Return the length of all waiting speech."""
        return sum(frame.num_frames / frame.sample_rate for each in self._segments for frame in each.frames)
