"""WebVTT caption files: reading and writing."""

import errno
import html
import os
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from shared.errors import StudioError
from shared.runtime.clock import US

WEBVTT_SUFFIX, WEBVTT_TYPE = ".vtt", "text/vtt"
HEADER = "WEBVTT\n"
# A bare "<" begins a tag and "&" a character reference; "-->" makes a line a timing line.
ESCAPED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\0": "\ufffd"})
SHORTEST_US = 1000  # shortest cue, because a cue must end after it begins


@dataclass(frozen=True, slots=True)
class Cue:
    """A caption. start, end: microseconds from the beginning of the video."""

    start: int
    end: int
    text: str


def webvtt(cues: Iterable[Cue]) -> str:
    """Return a complete WebVTT file of these cues, sorted by time; cues may overlap."""
    ordered = sorted(cues, key=lambda cue: (cue.start, cue.end))
    return HEADER + "".join(map(cue_block, ordered))


def read_cues(text: str) -> list[Cue]:
    """Return the cues of a file of `webvtt`, in the file's order. Raises ValueError for any other file."""
    head, *blocks = text.rstrip("\n").split("\n\n")
    if head != HEADER.strip():
        raise ValueError("no WebVTT of ours")
    cues = []
    for block in blocks:
        times, said = block.split("\n")
        start, _, end = times.partition(" --> ")
        cues.append(Cue(_microseconds(start), _microseconds(end), html.unescape(said)))
    return cues


def cue_block(cue: Cue) -> str:
    """Return one cue as text to append to the header or another cue. Line breaks in its text become spaces."""
    start = max(0, cue.start)
    end = max(start + SHORTEST_US, cue.end)
    return f"\n{_time(start)} --> {_time(end)}\n{' '.join(cue.text.split()).translate(ESCAPED)}\n"


def _time(us: int) -> str:
    ms = round(us * 1000 / US)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}.{ms % 1000:03}"


def remove_captions(path: Path) -> None:
    """Remove the captions of a film that is replaced, if the file begins like one of ours. Raises StudioError."""
    try:
        with path.open(encoding="utf-8") as file:
            ours = file.read(len(HEADER)) == HEADER
        if ours:
            path.unlink()
    except (FileNotFoundError, UnicodeDecodeError):
        pass
    except OSError as error:
        raise StudioError(
            f"{path} belongs to an older film and cannot be removed ({error.strerror}); remove it and try again."
        ) from None


def _microseconds(time: str) -> int:
    hours, minutes, seconds = time.split(":")
    return round((int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)) * US)


class CaptionFile:
    """A WebVTT file that is written cue by cue, each in a single write, so that it is valid at any time.

    The file is created with the first cue.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.begun = False

    def append(self, cue: Cue) -> None:
        """Append a cue that begins no earlier than the last one. Raises OSError, also if the file existed before."""
        block = cue_block(cue)
        flags = os.O_WRONLY | os.O_APPEND
        if not self.begun:
            block, flags = HEADER + block, flags | os.O_CREAT | os.O_EXCL
        descriptor = os.open(self.path, flags, 0o600)
        self.begun = True
        try:
            content, before = block.encode(errors="replace"), os.fstat(descriptor).st_size
            if os.write(descriptor, content) < len(content):
                os.ftruncate(descriptor, before)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(descriptor)
