"""A body's own face as an engine's source: which plate frame a face is made for, and that frame's pixels."""

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

Source = Literal["auto", "portrait", "body"]  # whose face is moved
SHRINK = 0.6  # a plate that is sampled more coarsely than this is averaged down first: sampling would skip pixels


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
    """The plate of one avatar as a source. Not thread-safe, as its plate is not.

    plate_at: plate frame that is shown with a face of this pts, see `SessionContext.plate_at`.
    """

    plate: Plate
    plate_at: Callable[[int], int]

    def sample(
        self, index: int, to_target: NDArray[np.float64], size: tuple[int, int], *, black: bool = False
    ) -> ImageArray:
        """(h, w, 3) uint8 RGB of a plate frame.

        to_target: (2, 3) from the frame's pixels to those of the image; size: of it, (w, h). Beyond the frame its edge
        continues, or it is black.
        """
        rgb = i420_to_rgb(self.plate.frame(index))
        beyond = cv2.BORDER_CONSTANT if black else cv2.BORDER_REPLICATE
        return np.asarray(cv2.warpAffine(rgb, to_target, size, borderMode=beyond), np.uint8)

    def roi(self, index: int) -> ImageArray:
        """(512, 512, 3) uint8 RGB: the square of a plate frame where the ROI is placed."""
        return self.sample(index, similarity.invert(self.plate.placements[index]), (ROI_SIZE_PX, ROI_SIZE_PX))

    def patch(self, index: int, box: tuple[float, float, float, float]) -> tuple[ImageArray, NDArray[np.float64]]:
        """The pixels under a part of the ROI, fine enough for it, and the (2, 3) matrix from ROI pixels to theirs.

        box: (left, top, right, bottom) in ROI pixels. Only this part of the frame is converted.
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
    """The body as the source, where that is wanted and the avatar has another body than its portrait."""
    wanted = source == "body" or (source == "auto" and avatar.body_only)
    if not wanted or avatar.own_plate:
        return None
    return BodySource(avatar.plate, context.plate_at or avatar.plate.index)
