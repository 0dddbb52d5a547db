"""Films that hold one still image and a voice: a cover with speech, not a face that moves."""

from pathlib import Path

import numpy as np

from shared.media.array_types import ImageArray
from shared.media.reader import VideoReader, has_video, open_container, sound_of
from shared.media.timeline import SLOWEST_MOTION_FPS
from shared.runtime.clock import US

SIDE_PX = 128  # frames are compared at this size
WATCHED_US = 2 * US
LATER = (0.25, 0.5, 0.75, 0.9)  # of the length, where it is looked at again
SAME = 8  # levels by which a pixel of the same image may differ from one frame to the next


def has_motion(source: Path | str) -> bool:
    """Whether a file or address has frames that may move a host.

    What has sound alone, or one still image with sound, is a voice. Of an address only the tracks are looked at. Raises
    StudioError when it has neither, or cannot be opened.
    """
    if not has_video(source):
        return False
    return not isinstance(source, Path) or not is_still_film(source)


def is_still_film(film: Path) -> bool:
    """Whether a film with sound shows the same image all along, or too few frames for a motion. Raises StudioError."""
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
