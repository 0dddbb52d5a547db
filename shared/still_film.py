"""Detects films that show one still image with sound, such as a cover image with speech, instead of a moving face."""

from pathlib import Path

import numpy as np

from shared.media.array_types import ImageArray
from shared.media.reader import VideoReader, has_video, open_container, sound_of
from shared.media.timeline import SLOWEST_MOTION_FPS
from shared.runtime.clock import US

SIDE_PX = 128  # frames are compared at this size
WATCHED_US = 2 * US  # length of the film's start in which every frame is compared
LATER = (0.25, 0.5, 0.75, 0.9)  # positions, as shares of the length, of the later frames that are compared
SAME = 8  # levels by which a pixel may differ between two frames of the same image


def has_motion(source: Path | str) -> bool:
    """Whether a file or address is a motion driver; False for a voice: sound alone, or a still image with sound.

    For an address, only its tracks are examined. Raises StudioError if there is neither video nor sound, or if the
    source cannot be opened.
    """
    if not has_video(source):
        return False
    return not isinstance(source, Path) or not is_still_film(source)


def is_still_film(film: Path) -> bool:
    """Whether a film with sound always shows the same image, or has too low a frame rate. Raises StudioError."""
    with open_container(film) as container:
        if sound_of(container) is None:
            return False
    with VideoReader(film, SIDE_PX) as reader:
        slow = float(reader.fps) < SLOWEST_MOTION_FPS
        duration = reader.duration
        first: ImageArray | None = None
        for pts, rgb in reader:
            first = rgb if first is None else first
            if _differ(first, rgb):
                return slow
            if pts > WATCHED_US:
                break
    assert first is not None
    return slow or all(
        not _differ(first, _shown(film, share * duration)) for share in LATER if duration * US > WATCHED_US
    )


def _shown(film: Path, seconds: float) -> ImageArray:
    with VideoReader(film, SIDE_PX, start=int(seconds * US)) as reader:
        return next(iter(reader))[1]


def _differ(one: ImageArray, other: ImageArray) -> bool:
    return one.shape != other.shape or int(np.abs(one.astype(np.int16) - other).max()) > SAME
