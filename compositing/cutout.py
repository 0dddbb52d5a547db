"""The alpha of a program frame: the plate's matte, extended by the animated face."""

from collections.abc import Sequence

import cv2
import numpy as np

from compositing.own_cutout import CutOutMotion, without_grey
from shared.avatar.matte import MatteCutter, plate_mattes, refined
from shared.avatar.model import Avatar
from shared.face import similarity
from shared.media.array_types import ImageArray, PixelBox


class Cutout:
    """Cuts one avatar out of its program frames.

    The plate's mattes are computed once, on construction (see `shared.avatar.matte.plate_mattes`). Not thread-safe.
    """

    def __init__(self, avatar: Avatar) -> None:
        self._avatar = avatar
        self._mattes = plate_mattes(avatar.folder, avatar.plate)
        self._cutter: MatteCutter | None = None
        self._motion: CutOutMotion | None = None

    def alpha(self, index: int, roi: ImageArray | None, opacity: float, marks: Sequence[PixelBox] = ()) -> ImageArray:
        """Return the alpha, (H, W) uint8, 255 where the host is, of a program frame.

        index: the plate frame's index. roi: ROI pixels on it, (S, S, 3 or 4). marks: boxes of label and captions, which
            stay visible.

        A face with its own matte only adds to the plate's. On a plate that is the portrait itself, the head moves
        together with the background around it, so the matte there is computed again (40 ms), or the portrait's own
        cut-out, if it has one, is moved with the head.
        """
        alpha = self._mattes.frame(index)
        if roi is not None and opacity > 0:
            alpha = self._with_face(alpha, index, roi, opacity)
        for x, y, w, h in marks:
            alpha[y : y + h, x : x + w] = 255
        return alpha

    def without_backdrop(self, frame: ImageArray, alpha: ImageArray) -> ImageArray:
        """Return an I420 frame whose half-transparent pixels contain the host's colour only.

        If the cut-out came with the portrait or body, the grey behind it is removed, because the receiver puts another
        background there. The same array is returned if the cut-out was computed.
        """
        return without_grey(frame, alpha) if self._mattes.own else frame

    def _with_face(self, alpha: ImageArray, index: int, roi: ImageArray, opacity: float) -> ImageArray:
        avatar = self._avatar
        if roi.shape[2] == 4:
            return self._added(alpha, index, roi[..., 3], opacity)
        mask = np.asarray(cv2.resize(avatar.mask, roi.shape[1::-1], interpolation=cv2.INTER_AREA), np.uint8)
        if not avatar.own_plate:
            return self._added(alpha, index, mask, opacity)
        matte = self._moved_matte(roi) if self._mattes.own else self._found_matte(roi)
        share = self._placed(mask, index, alpha.shape).astype(np.float32) * (opacity / 255)
        mixed = alpha + (self._placed(matte, index, alpha.shape).astype(np.float32) - alpha) * share
        return np.asarray(np.rint(mixed), np.uint8)

    def _found_matte(self, roi: ImageArray) -> ImageArray:
        self._cutter = self._cutter or MatteCutter()
        return refined(self._cutter.find(np.ascontiguousarray(roi)), roi)

    def _moved_matte(self, roi: ImageArray) -> ImageArray:
        """Return the portrait's own cut-out, moved like the head in (S, S, 3) ROI pixels."""
        self._motion = self._motion or CutOutMotion(self._avatar, self._mattes.frame(0))
        return self._motion.moved(roi)

    def _added(self, alpha: ImageArray, index: int, matte: ImageArray, opacity: float) -> ImageArray:
        placed = cv2.convertScaleAbs(self._placed(matte, index, alpha.shape), alpha=opacity)
        return np.asarray(cv2.max(alpha, placed), np.uint8)

    def _placed(self, plane: ImageArray, index: int, shape: tuple[int, ...]) -> ImageArray:
        """Return ROI pixels transformed to their place on the plate frame."""
        side = self._avatar.mask.shape[0]
        matrix = similarity.compose(
            self._avatar.plate.placements[index], similarity.resize_matrix(side / plane.shape[1], side / plane.shape[0])
        )
        return np.asarray(cv2.warpAffine(plane, matrix, shape[::-1], flags=cv2.INTER_LINEAR), np.uint8)
