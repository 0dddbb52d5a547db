"""Display matrices: how the frames of a film are turned and mirrored before they are shown."""

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
    """How a frame is turned to stand upright.

    mirrored: left and right are exchanged first. turns: quarter turns clockwise after that.
    """

    mirrored: bool = False
    turns: int = 0

    @property
    def lying(self) -> bool:
        """Whether width and height are exchanged."""
        return self.turns % 2 == 1

    def upright(self, image: ImageArray) -> ImageArray:
        """(H, W, ...) stored pixels as they are meant to be shown; the same array where nothing is to be done."""
        if self.mirrored:
            image = np.asarray(cv2.flip(image, 1), np.uint8)
        turn = _ROTATIONS[self.turns]
        return image if turn is None else np.asarray(cv2.rotate(image, turn), np.uint8)


AS_STORED = Orientation()


def orientation_of(frame: av.VideoFrame) -> Orientation:
    """What a frame's display matrix asks for, to the nearest quarter turn; AS_STORED where it has none."""
    side_data = cast("Mapping[Type, SideData]", frame.side_data)
    matrix = side_data.get(Type.DISPLAYMATRIX)
    return AS_STORED if matrix is None else orientation_of_matrix(bytes(matrix))


def orientation_of_matrix(matrix: bytes) -> Orientation:
    """Orientation by the nine 32-bit numbers of a display matrix, in the machine's byte order.

    Of its rows (a, b, u), (c, d, v) and (x, y, w) the first says where the image's right goes, and the second where its
    bottom goes (ISO/IEC 14496-12, 6.2.2). A matrix that is none leaves the frame as it is stored.
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
