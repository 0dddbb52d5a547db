"""What a driver's word means.

`sample`, `browser`, `microphone`, `speech`, `camera:N`, `file:PATH`, `motion:PATH` or an address.

The word is what scenes, settings and the command line hold; every part that needs to know more parses it here.
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from shared.runtime.files import path_text, text_path

ADDRESS_SCHEMES = ("rtsp", "rtsps", "http", "https")
TEMPLATE_SUFFIX = ".npz"  # of recorded motion that the studio writes; engines have further ones of their own
MAX_CAMERA_DIGITS = 3
FORMS = "sample, browser, microphone, speech, camera:N"


class DriverKind(StrEnum):
    """Where a driver comes from."""

    SAMPLE = "sample"  # the built-in clip
    BROWSER = "browser"  # camera and microphone of the operator's browser
    MICROPHONE = "microphone"  # of the operator's browser
    SPEECH = "speech"  # the gateway's queue
    CAMERA = "camera"  # of this machine
    FILE = "file"  # video, sound or recorded motion
    ADDRESS = "address"  # a stream or file elsewhere
    UNKNOWN = "unknown"  # a scene's word that names no driver


_NAMED = {
    kind.value: kind for kind in (DriverKind.SAMPLE, DriverKind.BROWSER, DriverKind.MICROPHONE, DriverKind.SPEECH)
}


class DriverWordError(ValueError):
    """The word names no driver."""


@dataclass(frozen=True, slots=True)
class DriverRef:
    """One driver.

    word: as a scene holds it. camera: number of a camera. path: of a file. recorded: it is recorded motion.
    """

    kind: DriverKind
    word: str
    camera: int = 0
    path: Path | None = None
    recorded: bool = False

    @classmethod
    def parse(cls, word: str) -> "DriverRef":
        """Return the driver that a scene's word names. Raises DriverWordError. Whether it exists is not looked at."""
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
        """Return the driver that a setting names, where a path needs no `file:`."""
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
        """Whether it is a voice and nothing else; of a file or an address that shows when it is read."""
        return self.kind in (DriverKind.SPEECH, DriverKind.MICROPHONE)

    @property
    def is_remote(self) -> bool:
        """Whether it comes by way of the gateway instead of being opened by capture."""
        return self.is_voice or self.kind is DriverKind.BROWSER

    @property
    def is_live(self) -> bool:
        """Whether it goes by the clock, not by a file's own time."""
        return self.kind not in (DriverKind.SAMPLE, DriverKind.FILE)

    @property
    def template(self) -> Path | None:
        """The file where it is recorded motion, else None."""
        return self.path if self.recorded else None


def _is_studio_template(path: Path) -> bool:
    """Whether a file's name says that the studio recorded it; of engines' own files only the engines know."""
    return path.suffix.lower() == TEMPLATE_SUFFIX


def _has_valid_host(address: str) -> bool:
    """Whether an address names a host and, if any, a port from 0 to 65535."""
    try:
        parts = urlsplit(address)
        return bool(parts.hostname) and (parts.port is None or parts.port >= 0)
    except ValueError:  # brackets or a port that are not valid
        return False
