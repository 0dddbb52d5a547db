"""A body video's own face as an engine's source: the plate frame that a face is made for, and its pixels."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from engines.api import SessionContext
from engines.options import titles
from shared.avatar.model import ROI_SIZE_PX, Avatar
from shared.avatar.plate import Plate
from shared.face import similarity
from shared.media.array_types import ImageArray
from shared.media.colour import crop, i420_to_rgb

Source = Literal["auto", "portrait", "body"]  # whose face the driver moves
SHRINK = 0.6  # below this scale the plate is averaged down first, since sampling alone would skip pixels


def source_option() -> Any:
    """The field `source: Source` of an engine's options."""
    return Field(
        "auto",
        description="whose face is moved: the portrait's, or the one that the body video itself shows; auto: the "
        "portrait's where one was given, else the body's",
        json_schema_extra=titles({"auto": "automatic", "portrait": "the portrait", "body": "the body video"}),
    )


@dataclass(frozen=True, slots=True)
class BodySource:
    """An avatar's plate as the source of its face. Not thread-safe, because the plate is not.

    plate_at: returns the plate frame that is shown with a face of the given pts, see `SessionContext.plate_at`.
    """

    plate: Plate
    plate_at: Callable[[int], int]

    def sample(
        self, index: int, to_target: NDArray[np.float64], size: tuple[int, int], *, black: bool = False
    ) -> ImageArray:
        """Return an image, (h, w, 3) uint8 RGB, sampled from a plate frame.

        to_target: (2, 3) matrix from pixels of the plate frame to those of the image. size: the image's (w, h). Beyond
            the plate frame its edge pixels repeat, or the image is black if `black`.
        """
        rgb = i420_to_rgb(self.plate.frame(index))
        beyond = cv2.BORDER_CONSTANT if black else cv2.BORDER_REPLICATE
        return np.asarray(cv2.warpAffine(rgb, to_target, size, borderMode=beyond), np.uint8)

    def roi(self, index: int) -> ImageArray:
        """Return the square of a plate frame where the ROI is placed, (512, 512, 3) uint8 RGB."""
        return self.sample(index, similarity.invert(self.plate.placements[index]), (ROI_SIZE_PX, ROI_SIZE_PX))

    def patch(self, index: int, box: tuple[float, float, float, float]) -> tuple[ImageArray, NDArray[np.float64]]:
        """Return the plate's pixels under a part of the ROI, and the (2, 3) matrix from ROI pixels to them.

        box: (left, top, right, bottom) in ROI pixels. Only this part of the frame is converted to RGB, at a resolution
            that is sufficient for the ROI.
        """
        placement = self.plate.placements[index]
        left, top, right, bottom = box
        corners = similarity.apply_similarity(placement, [(left, top), (right, top), (left, bottom), (right, bottom)])
        width, height = self.plate.width, self.plate.height
        low = np.clip(np.floor(corners.min(axis=0)) - 2, 0, (width - 2, height - 2)).astype(int) & ~1
        high = np.clip((np.ceil(corners.max(axis=0)) + 3).astype(int) & ~1, low + 2, (width, height))
        x, y, w, h = int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1])
        rgb = i420_to_rgb(crop(self.plate.frame(index), x, y, w, h))
        matrix = placement.copy()
        matrix[:, 2] -= (x, y)
        scale = 1.0 / max(similarity.scale_of(placement), 1e-6)
        if scale < SHRINK:
            small = max(1, round(w * scale)), max(1, round(h * scale))
            rgb = np.asarray(cv2.resize(rgb, small, interpolation=cv2.INTER_AREA), np.uint8)
            matrix = similarity.compose(similarity.resize_matrix(small[0] / w, small[1] / h), matrix)
        return rgb, matrix


def body_source(avatar: Avatar, source: Source, context: SessionContext) -> BodySource | None:
    """Return the body as the source if the option `source` selects it and the body is not the portrait itself."""
    wanted = source == "body" or (source == "auto" and avatar.body_only)
    if not wanted or avatar.own_plate:
        return None
    return BodySource(avatar.plate, context.plate_at or avatar.plate.index)
