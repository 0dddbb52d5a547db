"""Display matrices: the rotation and mirroring that a film's frames need before display."""

from collections.abc import Mapping
from math import atan2, pi
from typing import NamedTuple, cast

import av
import cv2
import numpy as np
from av.sidedata.sidedata import SideData, Type

from shared.media.array_types import ImageArray

_ROTATIONS = (None, cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_COUNTERCLOCKWISE)


class Orientation(NamedTuple):
    """The transformation that makes a frame upright.

    mirrored: whether left and right are exchanged first. turns: quarter turns clockwise after that.
    """

    mirrored: bool = False
    turns: int = 0

    @property
    def lying(self) -> bool:
        """Whether the transformation exchanges width and height."""
        return self.turns % 2 == 1

    def upright(self, image: ImageArray) -> ImageArray:
        """Return (H, W, ...) stored pixels upright; the same array if they already are."""
        if self.mirrored:
            image = np.asarray(cv2.flip(image, 1), np.uint8)
        turn = _ROTATIONS[self.turns]
        return image if turn is None else np.asarray(cv2.rotate(image, turn), np.uint8)


AS_STORED = Orientation()


def orientation_of(frame: av.VideoFrame) -> Orientation:
    """Return the orientation in a frame's display matrix, to the nearest quarter turn; AS_STORED if it has none."""
    side_data = cast("Mapping[Type, SideData]", frame.side_data)
    matrix = side_data.get(Type.DISPLAYMATRIX)
    return AS_STORED if matrix is None else orientation_of_matrix(bytes(matrix))


def orientation_of_matrix(matrix: bytes) -> Orientation:
    """Return the orientation in the nine 32-bit numbers of a display matrix, in the machine's byte order.

    Its rows are (a, b, u), (c, d, v) and (x, y, w): (a, b) is the direction in which the image's right side is shown,
    (c, d) that of its bottom (ISO/IEC 14496-12, 6.2.2). An invalid matrix gives AS_STORED.
    """
    values = np.frombuffer(matrix, np.int32)
    if len(values) < 9:
        return AS_STORED
    a, b, c, d = (float(values[at]) for at in (0, 1, 3, 4))
    area = a * d - b * c
    if area == 0.0:
        return AS_STORED
    mirrored = area < 0.0
    if mirrored:
        a, b = -a, -b
    return Orientation(mirrored, round(atan2(b, a) / (pi / 2)) % 4)
