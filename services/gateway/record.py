"""Recording: the program into MP4 files, in a thread of its own, one part after the other, never over an old file."""

import os
import threading
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from services.gateway.journal import Journal
from services.gateway.program import SOUND_RATE, Outlet, Picture, Sound
from shared.clock import sound_samples
from shared.errors import StudioError
from shared.mp4 import Mp4Writer
from shared.settings import Settings

PRESET, CRF = "veryfast", 20
QUEUE_PICTURES = 25  # a second: what a slow disk may be behind; 78 MB at 1080p
QUEUE_SOUNDS = 250
WAIT = 0.2  # seconds between looks at what is wanted while nothing comes


@dataclass(frozen=True, slots=True)
class RecordState:
    """What the console shows. state: off, recording or failed; note: why it failed; seconds of program written."""

    state: str = "off"
    path: str = ""
    seconds: float = 0.0
    bytes: int = 0
    note: str = ""


class Recorder:
    """Writes whatever path was last asked for by `want`.

    A path that exists, another picture size or a gateway that was restarted begin a new part: OUT.mp4, OUT-2.mp4,
    OUT-3.mp4. A disk that cannot be written ends the recording with one sentence and nothing else.
    """

    def __init__(self, settings: Settings, journal: Journal) -> None:
        self.outlet = Outlet("record", pictures=QUEUE_PICTURES, sounds=QUEUE_SOUNDS)
        self.state = RecordState()
        self._rate = settings.rate
        self._journal = journal
        self._wanted = self._refused = ""
        self._stopping = threading.Event()
        self._part: Part | None = None

    def want(self, path: str) -> None:
        """Record into this path, or nothing when it is empty. May be called from any thread."""
        self._wanted = path
        self.outlet.wake()

    def try_again(self) -> None:
        """The operator asked anew: a path that failed may be writable now."""
        self._refused = ""

    def stop(self) -> None:
        """Make `run` close the file and return."""
        self._stopping.set()
        self.outlet.wake()

    def run(self) -> None:
        """Until `stop`."""
        wanted = ""
        while not self._stopping.is_set():
            items = self.outlet.take(WAIT)
            if self._wanted != wanted:
                self._close()
                wanted = self._wanted
                if not wanted and self.state.state == "recording":
                    self.state = RecordState(path=self.state.path, seconds=self.state.seconds, bytes=self.state.bytes)
            if wanted and wanted != self._refused:
                self._write(wanted, items)
        for item in self.outlet.take(0):
            if wanted and self._part:
                self._write(wanted, [item])
        self._close()

    def _write(self, wanted: str, items: list[Picture | Sound]) -> None:
        try:
            for item in items:
                if isinstance(item, Picture) and (self._part is None or not self._part.fits(item)):
                    self._close()
                    self._part = Part.open(Path(wanted), item, self._rate)
                    self._journal.add(f"Recording to {self._part.path.name}.")
                if self._part:
                    self._part.add(item)
            if self._part:
                self.state = self._part.state()
        except StudioError as error:
            self._fail(wanted, str(error))

    def _close(self) -> None:
        part, self._part = self._part, None
        if part is None:
            return
        try:
            part.writer.close()
        except StudioError as error:
            self._fail(self._wanted, str(error))
            return
        self._journal.add(f"Recording {part.path.name} finished, {part.seconds:.0f} s.")

    def _fail(self, wanted: str, sentence: str) -> None:
        if self._part:
            self._part.writer.abort()
            self._part = None
        self._refused = wanted
        self.state = RecordState("failed", wanted, note=sentence)
        self._journal.add(f"Recording stopped: {sentence}", "error")


class Part:
    """One MP4 file in the making; its time begins with its first picture."""

    def __init__(self, path: Path, writer: Mp4Writer, first: Picture, rate: Fraction) -> None:
        self.path, self.writer = path, writer
        self._size = first.width, first.height
        self._first = self._last = first.tick
        self._rate = rate
        self._first_sample = sound_samples(first.tick, rate, SOUND_RATE)[0]

    @classmethod
    def open(cls, wanted: Path, first: Picture, rate: Fraction) -> "Part":
        """Claim the next free name. Raises StudioError."""
        path = claim(wanted)
        writer = Mp4Writer(path, first.width, first.height, rate, True, PRESET, CRF, fragmented=True)
        return cls(path, writer, first, rate)

    def fits(self, picture: Picture) -> bool:
        return (picture.width, picture.height) == self._size

    def add(self, item: Picture | Sound) -> None:
        """Write one tick's picture or sound. Raises StudioError."""
        if item.tick < self._first:
            return
        if isinstance(item, Picture):
            self._last = item.tick
            self.writer.picture(item.i420, index=item.tick - self._first)
        else:
            at = sound_samples(item.tick, self._rate, SOUND_RATE)[0] - self._first_sample
            self.writer.sound(item.samples, at * 1_000_000 // SOUND_RATE)

    @property
    def seconds(self) -> float:
        return float((self._last - self._first + 1) / self._rate)

    def state(self) -> RecordState:
        try:
            size = self.path.stat().st_size
        except OSError:
            raise StudioError(
                f"{self.path.name} was removed while it was being written; start a new recording."
            ) from None
        return RecordState("recording", str(self.path), self.seconds, size)


def claim(wanted: Path) -> Path:
    """A new empty file: `wanted`, or the first free of `wanted`-2, -3 and so on. Raises StudioError."""
    number = 1
    while True:
        path = wanted if number == 1 else wanted.with_stem(f"{wanted.stem}-{number}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
            return path
        except FileExistsError:
            if not path.parent.is_dir():
                raise StudioError(f"{path.parent} is not a folder; choose another place.") from None
            number += 1
        except OSError as error:
            raise StudioError(f"{path} cannot be written ({error.strerror}); choose another place.") from None
