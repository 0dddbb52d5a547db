"""Matching of a face to a foreign body without a visible seam: the body's light, and areas that keep the plate's skin.

Light is the coarse part of the image. The colour of the skin is measured on a small grid, in the plate frame and in the
ROI frame in the same way, without features, hair and anything else that is not skin; gaps in the skin are interpolated.
The face's luma is then multiplied by the quotient of the two, and the difference is added to its chroma. The plate's
shading therefore continues across the face, while finer detail and contrast stay the portrait's own. Around the
features the face may change the plate's pixels only slightly: if the ROI has hair, an ear, shadow or background there,
the plate's own skin is kept, and a strand of the plate's hair stays in front.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from compositing.held import held_zone
from shared.avatar.model import ROI_SIZE_PX, Avatar
from shared.avatar.skin import skin_mask
from shared.face import similarity
from shared.face.rest_pose import turn_to_rest
from shared.media.array_types import FloatArray, ImageArray, PixelBox
from shared.media.colour import planes

GRID = 32  # cells per side on which light is measured
FIELD = 64  # cells per side of the field passed to the kernel
LATTICE = 4  # step in program pixels between evaluations of the field, if a cell is larger
SAMPLES = 4  # pixels sampled in each direction of a cell
# Relative to the face's size: smoothness of the light around the features; on them, where it is larger to keep more of
# the portrait's own shading; and of the interpolation across gaps in the skin.
AROUND, WITHIN, BRIDGE = 0.14, 0.3, 0.5
KNEE = 1.25  # times the skin's median luma; the excess is halved, because the plate's light has no such highlights
SKIN_LUMA = 0.45, 0.7, 1.4, 1.8  # of the median; weight 0, 1, 1, 0: outside is hair, shadow or a highlight
LUMA_RANGE = 0.5, 1.496  # range of the luma factor
# Change of the plate's own pixel, in luma as a share of the skin's, in chroma in levels: applied fully up to the first
# value, not at all from the second on. The applied change is therefore at most 0.16 in luma and 6 in chroma.
LUMA_CHANGE = 0.15, 0.40
CHROMA_CHANGE = 5.0, 13.0
KEPT_FRAMES = 2048  # plate frames whose light is cached: 82 s at 25 per second, 25 MB
SkinCells = tuple[
    FloatArray, float
]  # (GRID, GRID, 3) coarse Y, U and V of a skin, and the median of its luma above black
_TO_MASK = similarity.resize_matrix(ROI_SIZE_PX / FIELD, ROI_SIZE_PX / FIELD)
_SAMPLED = GRID * SAMPLES


@dataclass(frozen=True, slots=True)
class Fit:
    """Input of the kernel for one frame.

    field: (64, 64, 4) uint8 in ROI cells: luma factor minus 0.5 in 256ths, addition to U and V plus 128, how far the
        plate is held. limits: (5,) int32, see `compositing.kernel`.
    """

    field: NDArray[np.uint8]
    limits: NDArray[np.int32]


class LightMatch:
    """Fits the ROI frames of one avatar on a foreign body to its plate frames. Not thread-safe.

    Measurements of a plate frame are cached, 12 KB each, because the plate is played repeatedly.
    """

    def __init__(self, avatar: Avatar) -> None:
        rest = turn_to_rest(avatar.face, avatar.rest)
        faces = [rest, *avatar.body_faces]
        self._kept: dict[int, SkinCells | None] = {}
        self._held = held_zone(faces, FIELD)
        self._outer = cv2.resize(self._held / 255, (GRID, GRID), interpolation=cv2.INTER_AREA)[..., None]
        self._size = rest.size * GRID / ROI_SIZE_PX
        whole = [skin_mask(face.points[:, :2], ROI_SIZE_PX, ROI_SIZE_PX) for face in faces]
        self._skin = (
            cv2.resize(np.min(whole, axis=0), (GRID, GRID), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        )

    def fit(
        self,
        program: ImageArray,
        pixels: NDArray[np.uint8],
        placement: NDArray[np.float64],
        rows: NDArray[np.floating[Any]],
        frame: int | None = None,
    ) -> Fit | None:
        """Fit one RGBA ROI frame to the plate frame under it; None if either shows too little skin.

        program: I420, the plate frame. pixels: (S, S, 4) uint8. placement: (2, 3), mask pixels to program pixels. rows:
            (3, 4) float, from (R, G, B, 1) to Y, U and V, including the plate's colour match. frame: number of the
            plate frame, for caching; the frame must be unmodified and always have the same placement. None for any
            other image.
        """
        plate = self._plate_light(program, placement, frame)
        cells = _roi_cells(pixels)
        seen = self._skin * cells[..., 3] / 255
        face = self._light(np.asarray(cells[..., :3] @ rows[:, :3].T + rows[:, 3], np.float32), seen)
        if plate is None or face is None:
            return None
        (there, level), (here, _) = plate, face
        field = np.empty((GRID, GRID, 4), np.float32)
        factor = np.clip((there[..., 0] - 16) / np.maximum(here[..., 0] - 16, 1), *LUMA_RANGE)
        field[..., 0] = (factor - 0.5) * 256
        field[..., 1:3] = there[..., 1:] - here[..., 1:] + 128
        fine = cv2.resize(field, (FIELD, FIELD), interpolation=cv2.INTER_LINEAR)
        fine[..., 3] = self._held
        return Fit(np.clip(np.rint(fine), 0, 255).astype(np.uint8), _limits(level))

    def _plate_light(self, program: ImageArray, placement: NDArray[np.float64], frame: int | None) -> SkinCells | None:
        if frame is not None and frame in self._kept:
            return self._kept[frame]
        found = self._light(_plate_cells(program, placement), self._skin)
        # The first frames stay cached: with a longer plate, evicting the oldest would evict each before its next use.
        if frame is not None and len(self._kept) < KEPT_FRAMES:
            self._kept[frame] = found
        return found

    def _light(self, yuv: FloatArray, weight: FloatArray) -> SkinCells | None:
        luma = yuv[..., 0] - 16
        sure = luma[weight > 0.5]
        if len(sure) < 8:
            return None
        level = max(float(np.median(sure)), 1.0)
        nothing, all_, still, too_bright = (share * level for share in SKIN_LUMA)
        trust = np.clip((luma - nothing) / (all_ - nothing), 0, 1) * np.clip(
            (too_bright - luma) / (too_bright - still), 0, 1
        )
        stack = np.dstack([yuv * (weight * trust)[..., None], weight * trust]).astype(np.float32)
        around, within, bridge = (
            cv2.GaussianBlur(stack, (0, 0), sigma * self._size, borderType=cv2.BORDER_CONSTANT)
            for sigma in (AROUND, WITHIN, BRIDGE)
        )
        outer, inner = around + 0.1 * bridge, within + 0.1 * bridge
        outer, inner = (each[..., :3] / np.maximum(each[..., 3:], 1e-6) for each in (outer, inner))
        return np.asarray(inner + self._outer * (outer - inner), np.float32), level


def field_patch(
    field: NDArray[np.uint8], placement: NDArray[np.float64], box: PixelBox, memory: Callable[..., NDArray[np.uint8]]
) -> NDArray[np.uint32]:
    """Return the field over a box (x, y, w, h) of the program: uint32, (h, w) or slightly larger, four bytes per pixel.

    memory: returns uint8 arrays of a shape.
    """
    x, y, w, h = box
    matrix = similarity.compose(placement, _TO_MASK)
    matrix[:, 2] -= x, y
    step = LATTICE if similarity.scale_of(matrix) > LATTICE else 1
    columns, rows = -(-w // step), -(-h // step)
    shrunk = similarity.compose(similarity.resize_matrix(1 / step, 1 / step), matrix)
    lies = memory(rows * step, columns * step, 4)
    if step == 1:
        cv2.warpAffine(
            field, shrunk, (columns, rows), dst=lies, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
    else:
        coarse = cv2.warpAffine(field, shrunk, (columns, rows), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        cv2.resize(coarse, (columns * step, rows * step), dst=lies, interpolation=cv2.INTER_LINEAR)
    return lies.view(np.uint32)[..., 0]


def _plate_cells(program: ImageArray, placement: NDArray[np.float64]) -> FloatArray:
    """Return the mean Y, U and V of the plate under each cell, (GRID, GRID, 3) float32."""
    to_mask = similarity.resize_matrix(ROI_SIZE_PX / _SAMPLED, ROI_SIZE_PX / _SAMPLED)
    matrix = similarity.compose(placement, to_mask)
    half = similarity.compose(similarity.resize_matrix(0.5, 0.5), matrix)
    cells = []
    for plane, lies in zip(planes(program), (matrix, half, half), strict=True):
        sampled = cv2.warpAffine(
            plane,
            lies,
            (_SAMPLED, _SAMPLED),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        cells.append(cv2.resize(sampled, (GRID, GRID), interpolation=cv2.INTER_AREA))
    return np.dstack(cells).astype(np.float32)


def _roi_cells(pixels: NDArray[np.uint8]) -> FloatArray:
    """Return the mean R, G, B and alpha of each ROI cell, (GRID, GRID, 4) float32, from SAMPLES squared pixels each."""
    step = max(1, pixels.shape[0] // _SAMPLED)
    sampled = np.ascontiguousarray(pixels[step // 2 :: step, step // 2 :: step])
    return cv2.resize(sampled, (GRID, GRID), interpolation=cv2.INTER_AREA).astype(np.float32)


def _limits(level: float) -> NDArray[np.int32]:
    """Return the limits of the light correction, (5,) int32.

    The luma above which the excess is halved; the change of luma from which it is attenuated, and its slope in 256ths
    per level; the same two for squared chroma, in 4096ths.
    """
    low, high = (share * level for share in LUMA_CHANGE)
    chroma_low, chroma_high = (change**2 for change in CHROMA_CHANGE)
    steps = [16 + KNEE * level, low, 256 * 256 / (high - low), chroma_low, 256 * 4096 / (chroma_high - chroma_low)]
    return np.rint(steps).astype(np.int32)
