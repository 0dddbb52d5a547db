"""The cut-out supplied with a portrait or body: moved with an animated head, and cleared of the grey behind it."""

import cv2
import numpy as np

from shared.avatar.model import ROI_SIZE_PX, Avatar
from shared.face import similarity
from shared.media.array_types import FloatArray, ImageArray
from shared.media.colour import planes
from shared.media.display.transparency import BACKDROP

GREY_LUMA, GREY_CHROMA = 16 + BACKDROP * 219 / 255, 128.0  # of the backdrop in limited range


class CutOutMotion:
    """Moves a portrait's own cut-out with the head. About 10 ms per frame on one core. Not thread-safe.

    The motion of each part of the animated face relative to the portrait is measured with the dense inverse search of
    Kroeger et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016. For a face that does not move the cut-out
    stays unchanged.
    """

    def __init__(self, avatar: Avatar, alpha: ImageArray) -> None:
        """Prepare the cut-out.

        alpha: (H, W) uint8 of the plate, which is the portrait.
        """
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
        """Return the cut-out, (512, 512) uint8, for (S, S, 3) uint8 RGB ROI pixels."""
        now = _grey(np.asarray(cv2.resize(roi, self._at_rest.shape[::-1], interpolation=cv2.INTER_AREA), np.uint8))
        flow = self._flow.calc(now, self._at_rest, np.zeros_like(self._grid))
        x, y = cv2.split(self._grid + flow)
        return np.asarray(cv2.remap(self._alpha, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def without_grey(frame: ImageArray, alpha: ImageArray) -> ImageArray:
    """Return an I420 frame, (H * 3 / 2, W), without the grey behind its half-transparent pixels.

    alpha: (H, W) uint8; pixels with values between 0 and 255 get the colour that they had before blending over grey.
    """
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
