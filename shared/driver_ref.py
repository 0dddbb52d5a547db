"""Driver words: the text by which scenes, settings and the command line name a driver, and its parser.

A word is `sample`, `browser`, `microphone`, `speech`, `camera:N`, `file:PATH`, `motion:PATH` or an address.
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from shared.runtime.files import path_text, text_path

ADDRESS_SCHEMES = ("rtsp", "rtsps", "http", "https")
TEMPLATE_SUFFIX = ".npz"  # of recorded motion that the studio writes; engines may define further suffixes
MAX_CAMERA_DIGITS = 3
FORMS = "sample, browser, microphone, speech, camera:N"


class DriverKind(StrEnum):
    """Source of a driver."""

    SAMPLE = "sample"  # the built-in clip
    BROWSER = "browser"  # camera and microphone of the operator's browser
    MICROPHONE = "microphone"  # of the operator's browser
    SPEECH = "speech"  # the gateway's queue of speech
    CAMERA = "camera"  # of this machine
    FILE = "file"  # video, sound or recorded motion
    ADDRESS = "address"  # URL of a stream or file
    UNKNOWN = "unknown"  # the scene's word names no driver


_NAMED = {
    kind.value: kind for kind in (DriverKind.SAMPLE, DriverKind.BROWSER, DriverKind.MICROPHONE, DriverKind.SPEECH)
}


class DriverWordError(ValueError):
    """A word that names no driver."""


@dataclass(frozen=True, slots=True)
class DriverRef:
    """A parsed driver word.

    word: the word in the form that scenes hold. camera: number of the camera, for a camera. path: path of the file, for
    a file. recorded: whether the file is recorded motion.
    """

    kind: DriverKind
    word: str
    camera: int = 0
    path: Path | None = None
    recorded: bool = False

    @classmethod
    def parse(cls, word: str) -> "DriverRef":
        """Return the driver that a scene's word names, without checking that it exists. Raises DriverWordError."""
        if named := _NAMED.get(word):
            return cls(named, word)
        scheme, _, rest = word.partition(":")
        if scheme == "camera" and rest.isascii() and rest.isdigit() and len(rest) <= MAX_CAMERA_DIGITS:
            return cls(DriverKind.CAMERA, f"camera:{int(rest)}", camera=int(rest))
        if scheme in ("file", "motion") and rest:
            path = text_path(rest)
            return cls(
                DriverKind.FILE,
                f"{scheme}:{path_text(path)}",
                path=path,
                recorded=scheme == "motion" or _is_studio_template(path),
            )
        if scheme in ADDRESS_SCHEMES and word.isprintable() and _has_valid_host(word):
            return cls(DriverKind.ADDRESS, word)
        raise DriverWordError(word)

    @classmethod
    def of_scene(cls, word: str) -> "DriverRef":
        """Return the driver that a scene's word names; of kind UNKNOWN where it names none."""
        try:
            return cls.parse(word)
        except DriverWordError:
            return cls(DriverKind.UNKNOWN, word)

    @classmethod
    def of_setting(cls, word: str) -> "DriverRef":
        """Return the driver that a setting names; in a setting, a path needs no `file:`."""
        written = word in _NAMED or word.startswith(("camera:", "file:", "motion:")) or "://" in word
        return cls.of_scene(word if written else f"file:{word}")

    @classmethod
    def of_file(cls, path: Path, *, recorded: bool = False) -> "DriverRef":
        """Return the driver for this file. recorded: it is recorded motion, whatever its name."""
        return cls.parse(f"{'motion' if recorded else 'file'}:{path_text(path)}")

    def __str__(self) -> str:
        return self.word

    @property
    def is_voice(self) -> bool:
        """Whether the driver is a voice alone. False for a file or an address, where only reading it can tell."""
        return self.kind in (DriverKind.SPEECH, DriverKind.MICROPHONE)

    @property
    def is_remote(self) -> bool:
        """Whether the gateway receives the driver, instead of capture opening it."""
        return self.is_voice or self.kind is DriverKind.BROWSER

    @property
    def is_live(self) -> bool:
        """Whether the driver runs in real time, instead of by the time stamps of a file."""
        return self.kind not in (DriverKind.SAMPLE, DriverKind.FILE)

    @property
    def template(self) -> Path | None:
        """The file where it is recorded motion, else None."""
        return self.path if self.recorded else None


def _is_studio_template(path: Path) -> bool:
    """Whether a file's name is that of motion recorded by the studio. Only engines recognise their own formats."""
    return path.suffix.lower() == TEMPLATE_SUFFIX


def _has_valid_host(address: str) -> bool:
    """Whether an address has a host and, if it has a port, one from 0 to 65535."""
    try:
        parts = urlsplit(address)
        return bool(parts.hostname) and (parts.port is None or parts.port >= 0)
    except ValueError:  # invalid brackets or port
        return False
