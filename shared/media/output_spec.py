"""Output of a render: codec, frame rate, size and label, as requested by a user and stored in a job's manifest."""

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, Self, get_args

from shared.errors import StudioError

RATE = re.compile(
    r"[0-9]{1,9}(\.[0-9]{1,9})?(/[0-9]{1,9})?", re.ASCII
)  # no exponent: it could give a number of a million digits

Codec = Literal["h264", "hevc", "prores", "vp9"]
FrameSize = tuple[int, int]

CODECS: tuple[str, ...] = get_args(Codec)
# The usual container for each codec: its suffix, and FFmpeg's name for the format.
SUFFIXES: dict[str, str] = {"h264": ".mp4", "hevc": ".mp4", "prores": ".mov", "vp9": ".webm"}
FORMATS = {".mp4": "mp4", ".mov": "mov", ".webm": "webm"}
FPS_RANGE = Fraction(1), Fraction(240)
SIDE_RANGE = 64, 8192
HD_HEIGHT, HD_WIDTH = 576, 1280  # above this height, or from this width on, players assume BT.709


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """Output settings of a render. Raises StudioError for an unknown codec, an impossible rate or an impossible size.

    codec: h264 and hevc (8 bit 4:2:0), prores (422 HQ, 10 bit), vp9 (with alpha, in which the host is cut out).
    fps: frames per second; None for the driver's. size: (width, height) in pixels, both even; None for the plate's. A
        plate of another aspect ratio is shown completely, with black (for vp9, transparent) bars.
    label: whether frames show the visible "AI-generated" label.
    burn_captions: whether the driver's words, where known, are drawn into the frames.
    encoder: FFmpeg's name of the encoder; None for the best that opens on the machine. A job names an encoder, so that
        all of its segments are encoded alike.
    """

    codec: Codec = "h264"
    fps: Fraction | None = None
    size: FrameSize | None = None
    label: bool = True
    burn_captions: bool = False
    encoder: str | None = None

    def __post_init__(self) -> None:
        if self.codec not in CODECS:
            raise StudioError(f"There is no codec '{str(self.codec)[:40]}'; choose one of {', '.join(CODECS)}.")
        if self.fps is not None and not FPS_RANGE[0] <= self.fps <= FPS_RANGE[1]:
            raise StudioError(f"{float(self.fps):g} frames a second are impossible; choose 1 to 240.")
        if self.size is not None:
            low, high = SIDE_RANGE
            if any(side % 2 or not low <= side <= high for side in self.size):
                raise StudioError(
                    f"A size of {self.size[0]}x{self.size[1]} is impossible; both sides must be even and {low} to "
                    f"{high}."
                )

    @property
    def suffix(self) -> str:
        """Suffix of the finished file and of its segments."""
        return SUFFIXES[self.codec]

    @property
    def alpha(self) -> bool:
        """Whether the output has alpha, with the host cut out."""
        return self.codec == "vp9"

    def check_path(self, out: Path) -> None:
        """Raise StudioError unless the file's name fits the codec."""
        if out.suffix.lower() != self.suffix:
            fitting = ", ".join(codec for codec in CODECS if SUFFIXES[codec] == out.suffix.lower())
            other = f", or choose the codec {fitting.replace(', ', ' or ')}" if fitting else ""
            raise StudioError(f"{out.name} should end in {self.suffix}, the format for {self.codec}{other}.")

    def as_dict(self) -> dict[str, Any]:
        """Return the spec as a JSON object, which `from_dict` reads.

        `burn_captions` is included only if it is on, so that the keys derived from a job without it do not change.
        """
        written = {
            "codec": self.codec,
            "fps": str(self.fps) if self.fps is not None else None,
            "size": list(self.size) if self.size is not None else None,
            "label": self.label,
            "encoder": self.encoder,
        }
        return written | {"burn_captions": True} if self.burn_captions else written

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Return the spec in a JSON object of `as_dict`. Keys may be missing. Raises StudioError for anything else."""
        try:
            if unknown := set(data) - {"codec", "fps", "size", "label", "burn_captions", "encoder"}:
                raise StudioError(f"An output has no setting '{str(min(unknown))[:40]}'; leave it out.")
            fps, size, encoder = data.get("fps"), data.get("size"), data.get("encoder")
            width, height = size if size is not None else (0, 0)
            return cls(
                codec=data.get("codec", "h264"),
                fps=read_fps(str(fps)) if fps is not None else None,
                size=(int(width), int(height)) if size is not None else None,
                label=bool(data.get("label", True)),
                burn_captions=bool(data.get("burn_captions", False)),
                encoder=str(encoder) if encoder is not None else None,
            )
        except (AttributeError, TypeError, ValueError):
            raise StudioError(
                "The output's settings cannot be read; give codec, fps, size, label and burn_captions."
            ) from None


def read_fps(text: str) -> Fraction:
    """Parse a frame rate such as '25' or '30000/1001'; '29.97' and the like become exact rates such as 30000/1001.

    Raises StudioError.
    """
    try:
        if not RATE.fullmatch(text.strip()):
            raise ValueError
        fps = Fraction(text.strip())
    except (ValueError, ZeroDivisionError):
        raise StudioError(f"'{text[:40]}' is not a frame rate; give 25, 29.97 or 30000/1001.") from None
    for whole in (24, 30, 60, 120):
        exact = Fraction(whole * 1000, 1001)
        if fps.denominator != 1 and abs(fps - exact) < Fraction(1, 100):
            return exact
    return fps.limit_denominator(1001)


def read_size(text: str) -> FrameSize:
    """Parse a size such as '1920x1080' as (1920, 1080). Raises StudioError."""
    width, x, height = text.strip().lower().partition("x")
    if len(text) > 40 or not (x and width.isdecimal() and height.isdecimal()):
        raise StudioError(f"'{text[:40]}' is not a size; give one such as 1920x1080.")
    return int(width), int(height)


def is_hd(size: FrameSize) -> bool:
    """Whether frames of this (width, height) are delivered as BT.709; smaller ones stay BT.601."""
    return size[1] > HD_HEIGHT or size[0] >= HD_WIDTH


def fit_within(inner: FrameSize, outer: FrameSize) -> tuple[int, int, int, int]:
    """Return (x, y, width, height), all even, of a frame of size `inner` scaled to fit into `outer` and centred."""
    scale = min(outer[0] / inner[0], outer[1] / inner[1])
    width, height = (min(max(2, round(side * scale / 2) * 2), limit) for side, limit in zip(inner, outer, strict=True))
    return (outer[0] - width) // 4 * 2, (outer[1] - height) // 4 * 2, width, height
