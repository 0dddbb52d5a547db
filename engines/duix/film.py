"""Input files of the service: a film of the host as long as the speech, and the speech."""

import wave
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.clip import Clip
from shared.avatar.model import Avatar
from shared.media.array_types import ImageArray
from shared.media.colour import planes, rgb_to_i420
from shared.media.mp4 import Mp4Writer
from shared.media.unbroken_sound import unbroken_sound
from shared.runtime.clock import SOUND_RATE_HZ, tick_pts

CRF = 16  # finer than the delivered video, because the service encodes it again
STEP_SAMPLES = SOUND_RATE_HZ * 10  # samples of silence written at a time


def write_film(clip: Clip, path: Path, told: Callable[[int, int], None]) -> None:
    """Write the avatar's plate, played forwards and backwards, with as many frames as the clip has.

    A foreign body gets the portrait's face. The film is as long as the speech because the service would otherwise
    lengthen it, in undocumented ways. told: called with frames done and frames in total; an exception that it raises
    ends the writing. Raises StudioError.
    """
    plate, host = clip.avatar.plate, FilmedHost(clip.avatar)
    with Mp4Writer(path, plate.width, plate.height, clip.rate, sound=False, crf=CRF) as writer:
        for tick in range(clip.ticks):
            writer.frame(host.frame(plate.index(tick_pts(tick, clip.rate))), index=tick)
            told(tick + 1, clip.ticks)


def write_speech(clip: Clip, path: Path, ask: Callable[[], None]) -> None:
    """Write the driver's sound as mono WAV, exactly as long as the clip.

    ask: called between blocks; an exception that it raises cancels the writing. Raises StudioError when the sound
        breaks off.
    """
    count, written = round(clip.ticks * SOUND_RATE_HZ / clip.rate), 0
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, SOUND_RATE_HZ, 0, "NONE", ""))
        for samples in unbroken_sound(clip.driver):
            file.writeframes(samples[: count - written].astype("<i2").tobytes())
            written = min(count, written + len(samples))
            ask()
        for begin in range(written, count, STEP_SAMPLES):
            file.writeframes(bytes(2 * min(STEP_SAMPLES, count - begin)))


class FilmedHost:
    """Frames of the plate that show the portrait's face."""

    def __init__(self, avatar: Avatar) -> None:
        self._avatar, self._plate = avatar, avatar.plate

    def frame(self, index: int) -> ImageArray:
        """Return a plate frame as I420, borrowed.

        Unchanged if the plate is the portrait; otherwise with the portrait's face, at rest, in place of the body's.
        """
        plain = self._plate.frame(index)
        if self._avatar.own_plate:
            return plain
        frame = plain.copy()
        matrix = self._plate.placements[index] @ np.array([[1 / self._scale, 0, 0], [0, 1 / self._scale, 0], [0, 0, 1]])
        mask, *patches = self._face
        for number, (plane, patch) in enumerate(zip(planes(frame), patches, strict=True)):
            placed = matrix if not number else _halved(matrix)
            size = plane.shape[1], plane.shape[0]
            cover = cv2.warpAffine(mask if not number else _half(mask), placed, size)
            face = cv2.warpAffine(patch, placed, size, borderMode=cv2.BORDER_REPLICATE)
            gain, offset = self._plate.gains[index][number], self._plate.offsets[index][number]
            lit = gain * (face - 128) + 128 + offset
            plane[:] = np.clip(plane + cover * (lit - plane) + 0.5, 0, 255).astype(np.uint8)
        return frame

    @cached_property
    def _scale(self) -> float:
        """Factor by which the ROI is averaged down first, so that placing it skips no pixels."""
        size = float(np.sqrt(np.abs(np.linalg.det(self._plate.placements[:, :, :2]))).max())
        full = int(self._avatar.roi.shape[0])
        return 2 * round(max(16, min(1.0, size) * full) / 2) / full

    @cached_property
    def _face(self) -> tuple[NDArray[np.float32], ...]:
        """The mask (0 to 1) and the planes Y, U and V of the portrait's ROI."""
        side = round(self._scale * self._avatar.roi.shape[0])
        roi = cv2.resize(self._avatar.roi, (side, side), interpolation=cv2.INTER_AREA)
        mask = cv2.resize(self._avatar.mask, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        of_roi = planes(rgb_to_i420(np.asarray(roi, np.uint8)))
        return np.asarray(mask, np.float32), *(plane.astype(np.float32) for plane in of_roi)


def _half(mask: NDArray[np.float32]) -> NDArray[np.float32]:
    half = cv2.resize(mask, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return np.asarray(half, np.float32)


def _halved(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the placement between half-size planes, each of whose samples is centred between four full-size ones."""
    half = matrix.copy()
    half[:, 2] = (matrix[:, :2] @ [0.5, 0.5] + matrix[:, 2] - 0.5) / 2
    return half
