"""Recorder: writes the program to MP4 files in a separate thread, one part after the other, and overwrites no file."""

import os
import threading
from collections import deque
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from services.gateway.channel.event_log import EventLog
from services.gateway.channel.program_feed import OutputQueue
from services.gateway.outputs.base import OutputState
from services.gateway.outputs.recording_captions import PartCaptions, RecordingCaptions
from shared.config.settings import Settings
from shared.errors import StudioError
from shared.media.mp4 import Mp4Writer
from shared.runtime.clock import SOUND_RATE_HZ, US, sound_samples, tick_pts
from shared.runtime.files import path_text, text_path
from shared.runtime.private_files import share
from shared.voices.webvtt import WEBVTT_SUFFIX
from shared.wire.program import ProgramFrame, ProgramSound

PRESET, CRF = "veryfast", 20
QUEUE_FRAMES = 25  # one second by which a slow disk may lag behind; 78 MB at 1080p
QUEUE_SOUND_BLOCKS = 250
POLL_S = 0.2  # seconds after which an empty queue makes the thread check again what is wanted
MEGABYTE = 1_000_000


class Recorder:
    """Records the program to the path that was last passed to `want`.

    A new part (OUT.mp4, OUT-2.mp4, OUT-3.mp4) begins if the path exists, if a part reaches the length or size in the
    settings, if the frame size changes, or after a restart of the gateway. A part in which a text is spoken has a
    captions file beside it, OUT.vtt. If writing to the disk fails, only the recording ends, with a one-sentence error.

    state: off, connecting (no frame yet), live or failed; its figures are the total seconds and bytes of all parts and
    the number of parts. path: the part being written, or the last one.
    """

    def __init__(self, settings: Settings, event_log: EventLog) -> None:
        self.outlet = OutputQueue("record", frames=QUEUE_FRAMES, sounds=QUEUE_SOUND_BLOCKS)
        self.outlet.open = False
        self.state = OutputState()
        self.path = ""
        self.captions = RecordingCaptions()
        self._rate, self._home = settings.rate, settings.home
        self._most_ticks = round(settings.record_split_minutes * 60 * settings.rate)
        self._most_bytes = settings.record_split_megabytes * MEGABYTE
        self._event_log = event_log
        self._wanted = self._refused = ""
        self._stopping = threading.Event()
        self._part: RecordingPart | None = None
        self._ending: RecordingPart | None = None  # the previous part, while sound for it may still arrive
        self._ahead: deque[ProgramSound] = deque(
            maxlen=QUEUE_SOUND_BLOCKS
        )  # sound whose frame has not arrived; it may belong to the next part
        self._done = (0.0, 0, 0)  # seconds, bytes and number of the finished parts

    def want(self, path: str) -> None:
        """Record to this path, or stop recording if it is "". May be called from any thread."""
        self._wanted = path
        self.outlet.open = bool(path)
        self.outlet.wake()

    def try_again(self) -> None:
        """Allow a path that failed before, because it may be writable now. Called on the operator's request."""
        self._refused = ""

    def stop(self) -> None:
        """Make `run` close the file and return."""
        self._stopping.set()
        self.outlet.wake()

    def run(self) -> None:
        """Record until `stop`."""
        wanted = ""
        while not self._stopping.is_set():
            items = self.outlet.drain(POLL_S)
            if self._wanted != wanted:
                if self._part:  # what is in the queue belongs to the previous recording
                    self._write(wanted, items)
                    items = []
                self._close()
                wanted = self._wanted
                self._done = (0.0, 0, 0)
                if wanted:
                    self.state = self.state.with_phase("connecting")
                elif self.state.state != "failed":
                    self.state = replace(self.state.with_phase("off"), figures=self.state.figures)
            if wanted and wanted != self._refused:
                self._write(wanted, items)
            if self._part is None:
                self.captions.advance(None, 0)
        if self._part:
            self._write(wanted, self.outlet.drain(0))
        self._close()

    def _write(self, wanted: str, items: list[ProgramFrame | ProgramSound]) -> None:
        try:
            for item in items:
                if isinstance(item, ProgramSound):
                    self._ahead.append(item)
                    continue
                if self._part is None or self._full(self._part, item):
                    self._turn(wanted, item)
                assert self._part is not None
                self._part.frame(item)
            self._give_sound()
            if self._part:
                self.captions.advance(self._part.captions, self._part.end_pts)
                self._tell(self._part)
        except StudioError as error:
            self._fail(wanted, str(error))

    def _full(self, part: "RecordingPart", frame: ProgramFrame) -> bool:
        length = frame.tick - part.first
        return (
            (frame.width, frame.height) != part.size
            or (self._most_ticks > 0 and length >= self._most_ticks)
            # Checked once a second, because a fragment is written once a second.
            or (self._most_bytes > 0 and length % round(self._rate) == 0 and part.bytes() >= self._most_bytes)
        )

    def _turn(self, wanted: str, first: ProgramFrame) -> None:
        """Begin the next part with this frame. The previous part stays open until its sound is complete."""
        self._give_sound()
        self._end()
        part = self._new_part(text_path(wanted), first)
        if self._part:
            self.captions.end(self._part.captions, tick_pts(first.tick, self._rate))
            seconds, size, count = self._done
            self._done = seconds + self._part.seconds, size + self._part.bytes(), count + 1
        self._ending, self._part = self._part, part
        self.path = path_text(part.path)
        self._event_log.add(f"Recording to {part.path.name}.")

    def _new_part(self, wanted: Path, first: ProgramFrame) -> "RecordingPart":
        path = claim_file_name(wanted)
        private = path.is_relative_to(self._home)
        captions = PartCaptions(path, tick_pts(first.tick, self._rate), self._event_log, private=private)
        part = RecordingPart.create(path, captions, first, self._rate)
        if not private:
            share(path)
        return part

    def _give_sound(self) -> None:
        """Write waiting sound to the part that has the frame of its tick; sound after the last frame keeps waiting."""
        while self._ahead and self._part and self._ahead[0].tick <= self._part.last:
            sound = self._ahead.popleft()
            if self._ending and sound.tick < self._part.first:
                self._ending.sound(sound)
            else:
                self._end()
                self._part.sound(sound)

    def _end(self) -> None:
        """Finish the previous part, if there is one."""
        part, self._ending = self._ending, None
        if part:
            part.writer.close()
            self._event_log.add(f"Recording {part.path.name} finished, {part.seconds:.0f} s.")

    def _tell(self, part: "RecordingPart") -> None:
        seconds, size, count = self._done
        self.state = self.state.with_phase(
            "live", seconds=seconds + part.seconds, bytes=size + part.bytes(), parts=count + 1
        )

    def _close(self) -> None:
        try:
            if self._part:
                self._give_sound()
                self.captions.end(self._part.captions, self._part.end_pts)
            self._end()
            self._ending, self._part = self._part, None
            self._end()
        except StudioError as error:
            self._fail(self._wanted, str(error))
        self._ahead.clear()

    def _fail(self, wanted: str, sentence: str) -> None:
        for part in (self._ending, self._part):
            if part:
                part.writer.abort()
        self._ending = self._part = None
        self._ahead.clear()
        self._refused = wanted
        self.path = wanted
        self.state = replace(self.state.with_phase("failed", sentence), figures=self.state.figures)
        self._event_log.add(f"Recording stopped: {sentence}", "error")


class RecordingPart:
    """One MP4 file being written; its time begins with its first frame.

    first, last: ticks of the first and the last frame. size: (width, height).
    """

    def __init__(
        self, path: Path, writer: Mp4Writer, captions: PartCaptions, first: ProgramFrame, rate: Fraction
    ) -> None:
        self.path, self.writer, self.captions = path, writer, captions
        self.size = first.width, first.height
        self.first = self.last = first.tick
        self._rate = rate
        self._first_sample = sound_samples(first.tick, rate, SOUND_RATE_HZ)[0]

    @classmethod
    def create(cls, path: Path, captions: PartCaptions, first: ProgramFrame, rate: Fraction) -> "RecordingPart":
        """Begin a part in the empty file at `path`. Raises StudioError."""
        writer = Mp4Writer(path, first.width, first.height, rate, True, PRESET, CRF, fragmented=True)
        return cls(path, writer, captions, first, rate)

    def frame(self, frame: ProgramFrame) -> None:
        """Write one tick's frame. Raises StudioError."""
        self.last = frame.tick
        self.writer.frame(frame.i420, index=frame.tick - self.first)

    def sound(self, sound: ProgramSound) -> None:
        """Write one tick's sound; sound before the first frame is dropped. Raises StudioError."""
        if sound.tick >= self.first:
            at = sound_samples(sound.tick, self._rate, SOUND_RATE_HZ)[0] - self._first_sample
            self.writer.sound(sound.samples, at * US // SOUND_RATE_HZ)

    @property
    def end_pts(self) -> int:
        """Time at which the tick after the last frame begins, microseconds on the channel clock."""
        return tick_pts(self.last + 1, self._rate)

    @property
    def seconds(self) -> float:
        """Length of the part so far."""
        return float((self.last - self.first + 1) / self._rate)

    def bytes(self) -> int:
        """Return the file's size in bytes. Raises StudioError if the file was removed."""
        try:
            return self.path.stat().st_size
        except OSError:
            raise StudioError(
                f"{self.path.name} was removed while it was being written; start a new recording."
            ) from None


def claim_file_name(wanted: Path) -> Path:
    """Create an empty file and return its path: `wanted`, or the first free one of `wanted`-2, -3 and so on.

    A name is not free if a captions file with that name exists. Raises StudioError.
    """
    number = 1
    while True:
        path = wanted if number == 1 else wanted.with_stem(f"{wanted.stem}-{number}")
        try:
            if path.with_suffix(WEBVTT_SUFFIX).exists():
                raise FileExistsError
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            return path
        except FileExistsError:
            if not path.parent.is_dir():
                raise StudioError(f"{path.parent} is not a folder; choose another place.") from None
            number += 1
        except OSError as error:
            raise StudioError(f"{path} cannot be written ({error.strerror}); choose another place.") from None
