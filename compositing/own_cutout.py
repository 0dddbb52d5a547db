"""The cut-out that a portrait or body brings along: moved with an animated head, and freed of the grey behind it."""

import cv2
import numpy as np

from shared.avatar.model import ROI_SIZE_PX, Avatar
from shared.face import similarity
from shared.media.array_types import FloatArray, ImageArray
from shared.media.colour import planes
from shared.media.display.transparency import BACKDROP

GREY_LUMA, GREY_CHROMA = 16 + BACKDROP * 219 / 255, 128.0  # of the backdrop in limited range


class CutOutMotion:
    """Moves a portrait's own cut-out as the head moves. About 10 ms a frame on one core. Not thread-safe.

    How each part of the animated face moved against the portrait is measured with the dense inverse search of Kroeger
    et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016. A face that does not move has the cut-out as it
    is.
    """

    def __init__(self, avatar: Avatar, alpha: ImageArray) -> None:
        """alpha: (H, W) uint8 of the plate, which is the portrait."""
        side = ROI_SIZE_PX
        to_roi = similarity.invert(avatar.plate.placements[0])
        self._alpha = np.asarray(
            cv2.warpAffine(alpha, to_roi, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101),
            np.uint8,
        )
        self._at_rest = _grey(avatar.roi)
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._grid: FloatArray = np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1).astype(np.float32)

    def moved(self, roi: ImageArray) -> ImageArray:
        """(512, 512) uint8 cut-out of (S, S, 3) uint8 RGB ROI pixels."""
        now = _grey(np.asarray(cv2.resize(roi, self._at_rest.shape[::-1], interpolation=cv2.INTER_AREA), np.uint8))
        flow = self._flow.calc(now, self._at_rest, np.zeros_like(self._grid))
        x, y = cv2.split(self._grid + flow)
        return np.asarray(cv2.remap(self._alpha, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def without_grey(frame: ImageArray, alpha: ImageArray) -> ImageArray:
    """Pixels of (H, W) alpha between 0 and 255 as they were before they were laid over grey, (H * 3 / 2, W) I420."""
    out = frame.copy()
    height, width = alpha.shape
    small = np.asarray(cv2.resize(alpha, (width // 2, height // 2), interpolation=cv2.INTER_AREA), np.uint8)
    for plane, share, grey in zip(
        planes(out), (alpha, small, small), (GREY_LUMA, GREY_CHROMA, GREY_CHROMA), strict=True
    ):
        edge = (share > 0) & (share < 255)
        values = grey + (plane[edge].astype(np.float32) - grey) * (255.0 / share[edge])
        plane[edge] = np.clip(np.rint(values), 16, 240).astype(np.uint8)
    return out


def _grey(rgb: ImageArray) -> ImageArray:
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(rgb[..., :3]), cv2.COLOR_RGB2GRAY), np.uint8)
