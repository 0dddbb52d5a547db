"""View of a part of a plate at another size, for a program that is smaller than its plate.

The plate's frames are cropped, scaled and cached, and the placements are scaled too, so that a face is composed at the
final size and no composed frame is scaled.
"""

from dataclasses import dataclass, fields, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.avatar.model import ROI_SIZE_PX, Avatar
from shared.avatar.plate import Plate
from shared.face import similarity
from shared.media.array_types import ImageArray, PixelBox
from shared.media.colour import planes

FACE_HEIGHT = 0.42  # vertical position of the face's centre in the view, from the top, if the plate is large enough


@dataclass(slots=True)
class PlateView(Plate):
    """A plate whose frames are cropped and scaled from those in the file. width, height: the view's size.

    part: the crop in the file's frames, (x, y, w, h), even numbers.
    """

    part: PixelBox = (0, 0, 0, 0)

    def decoded(self, index: int) -> ImageArray:
        """Decode, crop and scale one frame and return it as limited-range I420, without the cache."""
        x, y, w, h = self.part
        whole = Plate.decoded(self, index)
        view = np.empty((self.height * 3 // 2, self.width), np.uint8)
        for source, target, half in zip(planes(whole), planes(view), (1, 2, 2), strict=True):
            cut = source[y // half : (y + h) // half, x // half : (x + w) // half]
            smaller = target.shape[0] < cut.shape[0]
            how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
            target[:] = cv2.resize(cut, target.shape[::-1], interpolation=how)
        return view


def avatar_in_view(avatar: Avatar, width: int, height: int) -> Avatar:
    """Return the avatar with its plate cropped to this aspect ratio around the face and scaled to this size.

    width, height: pixels, even.
    """
    plate = avatar.plate
    if (plate.width, plate.height) == (width, height):
        return avatar
    x, y, w, h = part = view_part(plate, width, height)
    scale = np.array([width / w, height / h])
    # The aspect ratios differ by up to a pixel, which a similarity cannot represent: use the mean scale.
    to_view = similarity.resize_matrix(float(scale.mean()), float(scale.mean()))
    to_view[:, 2] -= to_view[:, :2] @ np.array([x, y], np.float64)
    placements = np.stack([similarity.compose(to_view, each) for each in plate.placements])
    given = {field.name: getattr(plate, field.name) for field in fields(Plate) if field.init}
    view = PlateView(**given | {"width": width, "height": height, "placements": placements, "part": part})
    return replace(avatar, plate=view)


def view_part(plate: Plate, width: int, height: int) -> PixelBox:
    """Return the largest part of the plate with the aspect ratio of `width` and `height`, around the mean face.

    The part is (x, y, w, h), even.
    """
    scale = min(plate.width / width, plate.height / height)
    w, h = (min(limit, int(round(side * scale))) & ~1 for side, limit in ((width, plate.width), (height, plate.height)))
    middle = np.array([ROI_SIZE_PX / 2, ROI_SIZE_PX / 2, 1.0])
    face: NDArray[np.float64] = (plate.placements @ middle).mean(axis=0)
    x = int(np.clip(face[0] - w / 2, 0, plate.width - w)) & ~1
    y = int(np.clip(face[1] - h * FACE_HEIGHT, 0, plate.height - h)) & ~1
    return x, y, w, h
