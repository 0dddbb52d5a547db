"""Blending of the animated face into a plate frame, I420 in and I420 out; only pixels under the face change."""

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from compositing.kernel import OPAQUE, blend_held, blend_planes, coefficients, yuv_rows
from compositing.light import Fit, LightMatch, field_patch
from shared.face import similarity
from shared.media.array_types import ImageArray, PixelBox
from shared.media.colour import planes

NOWHERE: PixelBox = (0, 0, 0, 0)
SHRINK = 0.6  # below this scale the ROI is averaged down first, since linear sampling would skip pixels
HALVE = 0.5  # down to this scale the ROI is halved first, at a twentieth of the cost of any other factor
SCALE_RANGE = 0.01, 16.0  # valid scales of a placement; any other scale means that it is damaged
AS_IT_IS = np.array([1.0, 1.0, 1.0]), np.array([0.0, 0.0, 0.0])


class Buffer:
    """Reusable memory, because allocating new memory costs more than computing its content."""

    def __init__(self) -> None:
        self._bytes = np.empty(0, np.uint8)

    def of(self, *shape: int) -> NDArray[np.uint8]:
        """Return a uint8 array of this shape with undefined content, valid until the next call."""
        size = int(np.prod(shape))
        if len(self._bytes) < size:
            self._bytes = np.empty(size, np.uint8)
        return self._bytes[:size].reshape(shape)


@dataclass(slots=True)
class Blender:
    """Places the ROI frames of one avatar. Not thread-safe, because it reuses its buffers.

    mask: (512, 512) uint8, where the ROI covers the plate; a ROI frame's own matte takes precedence.
    light: fits a face to a foreign body; None for ROI frames that continue the plate unchanged.
    """

    mask: NDArray[np.uint8]
    light: LightMatch | None = None
    _reach: PixelBox = field(init=False)
    _rgba: NDArray[np.uint8] = field(init=False, repr=False)
    _patch: Buffer = field(init=False, repr=False, default_factory=Buffer)
    _field: Buffer = field(init=False, repr=False, default_factory=Buffer)
    _held: Buffer = field(init=False, repr=False, default_factory=Buffer)

    def __post_init__(self) -> None:
        self._reach = cv2.boundingRect(self.mask)  # type: ignore[assignment]
        self._rgba = np.empty((*self.mask.shape, 4), np.uint8)

    def place(
        self,
        program: ImageArray,
        pixels: NDArray[np.uint8],
        placement: NDArray[np.float64],
        gains: NDArray[np.floating[Any]] = AS_IT_IS[0],
        offsets: NDArray[np.floating[Any]] = AS_IT_IS[1],
        opacity: float = 1.0,
        frame: int | None = None,
    ) -> PixelBox:
        """Blend ROI pixels into an I420 frame, in place, and return the (x, y, w, h) that it changed.

        program: (H * 3 / 2, W) uint8, the caller's own copy of a plate frame. pixels: (S, S, 3 or 4) uint8 RGB; with
            four channels the last is the matte and replaces the mask. A ROI of another size than the mask's covers the
            same square. placement: (2, 3), mask pixels to program pixels. gains, offsets: (3,) for Y, U and V. opacity:
            0..1. frame: number of the plate frame in `program`, under which `light` caches its measurements.

        The box has even corners and is within the frame. It is (0, 0, 0, 0) if there is nothing to draw or the
        placement is not a usable matrix.
        """
        height, width = program.shape[0] * 2 // 3, program.shape[1]
        level = _level(opacity)
        scale = _usable_scale(placement)
        if level == 0 or scale == 0.0:
            return NOWHERE
        rgba, reach, to_mask = self._with_alpha(pixels)
        matrix = similarity.compose(np.asarray(placement, np.float64), to_mask)
        box = _even_box(matrix, reach, width, height)
        if box == NOWHERE:
            return NOWHERE
        rows = yuv_rows(gains, offsets)
        fit = self.light.fit(program, rgba, placement, rows, frame) if self.light else None
        patch = _warped(rgba, matrix, box, self._patch.of(box[3], box[2], 4))
        if fit is None:
            _onto(program, patch, box, level, coefficients(rows))
        else:
            lies = field_patch(fit.field, placement, box, self._field.of)
            scratch = self._held.of(box[3] // 2, box[2])
            _fitted_onto(program, patch, box, level, coefficients(rows), fit, lies, scratch)
        return box

    def _with_alpha(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], PixelBox, NDArray[np.float64]]:
        """Return the ROI as RGBA, the (x, y, w, h) of its opaque part, and the matrix to mask pixels."""
        to_mask = similarity.resize_matrix(self.mask.shape[1] / pixels.shape[1], self.mask.shape[0] / pixels.shape[0])
        if pixels.shape[2] == 4:
            return pixels, cv2.boundingRect(pixels[..., 3]), to_mask  # type: ignore[return-value]
        mask, reach = self.mask, self._reach
        if pixels.shape[:2] != mask.shape:
            mask = np.asarray(cv2.resize(mask, pixels.shape[1::-1], interpolation=cv2.INTER_AREA), np.uint8)
            reach = cv2.boundingRect(mask)  # type: ignore[assignment]
        if self._rgba.shape[:2] != pixels.shape[:2]:
            self._rgba = np.empty((*pixels.shape[:2], 4), np.uint8)
        cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2RGBA, dst=self._rgba)
        self._rgba[..., 3] = mask
        return self._rgba, reach, to_mask


def warm_up() -> None:
    """Compile or load the numba loops in advance instead of with the first frame; the first time takes seconds."""
    program = np.full((96, 64), 128, np.uint8)
    nothing, box, rows = np.zeros((64, 64, 4), np.uint8), (0, 0, 64, 64), coefficients(yuv_rows(*AS_IT_IS))
    _onto(program, nothing, box, OPAQUE, rows)
    fit = Fit(nothing, np.ones(5, np.int32))
    lies = field_patch(fit.field, similarity.resize_matrix(0.125, 0.125), box, Buffer().of)
    _fitted_onto(program, nothing, box, OPAQUE, rows, fit, lies, np.empty((32, 64), np.uint8))


def _level(opacity: float) -> int:
    return int(round(min(max(opacity, 0.0), 1.0) * OPAQUE)) if np.isfinite(opacity) else 0


def _usable_scale(placement: NDArray[np.float64]) -> float:
    if np.shape(placement) != (2, 3) or not np.isfinite(placement).all():
        return 0.0
    scale = similarity.scale_of(placement)
    return scale if SCALE_RANGE[0] <= scale <= SCALE_RANGE[1] else 0.0


def _even_box(matrix: NDArray[np.float64], reach: PixelBox, width: int, height: int) -> PixelBox:
    """Return the even-aligned box that a rectangle of the ROI covers in the frame, clipped to the frame."""
    x, y, w, h = reach
    if w == 0 or h == 0:
        return NOWHERE
    corners = similarity.apply_similarity(matrix, [(x - 1, y - 1), (x + w, y - 1), (x - 1, y + h), (x + w, y + h)])
    # Clipped before the conversion to int: coordinates far outside may exceed any integer type.
    low = np.clip(corners.min(axis=0), 0, (width, height))
    high = np.clip(corners.max(axis=0) + 1, 0, (width, height))
    left, top = int(low[0]) & ~1, int(low[1]) & ~1
    right, bottom = min(width, (int(high[0]) + 2) & ~1), min(height, (int(high[1]) + 2) & ~1)
    outside = high[0] <= 0 or high[1] <= 0 or low[0] >= width or low[1] >= height
    return NOWHERE if outside else (left, top, right - left, bottom - top)


def _warped(
    rgba: NDArray[np.uint8], matrix: NDArray[np.float64], box: PixelBox, out: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    x, y, w, h = box
    while (scale := similarity.scale_of(matrix)) <= HALVE and rgba.shape[0] % 2 == rgba.shape[1] % 2 == 0:
        half = rgba.shape[1] // 2, rgba.shape[0] // 2
        rgba = np.asarray(cv2.resize(rgba, half, interpolation=cv2.INTER_AREA), np.uint8)
        matrix = similarity.compose(matrix, similarity.resize_matrix(2.0, 2.0))
    if scale < SHRINK:
        size = max(1, round(rgba.shape[1] * scale)), max(1, round(rgba.shape[0] * scale))
        shrink = similarity.resize_matrix(size[0] / rgba.shape[1], size[1] / rgba.shape[0])
        rgba = np.asarray(cv2.resize(rgba, size, interpolation=cv2.INTER_AREA), np.uint8)
        matrix = similarity.compose(matrix, similarity.invert(shrink))
    shift = matrix.copy()
    shift[:, 2] -= (x, y)
    cv2.warpAffine(
        rgba, shift, (w, h), dst=out, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(0, 0, 0, 0)
    )
    return out


def _onto(program: ImageArray, patch: NDArray[np.uint8], box: PixelBox, level: int, rows: NDArray[np.int32]) -> None:
    x, y, w, h = box
    luma, u, v = planes(program)
    half = np.s_[y // 2 : (y + h) // 2, x // 2 : (x + w) // 2]
    blend_planes(luma[y : y + h, x : x + w], u[half], v[half], patch.view(np.uint32)[..., 0], np.int32(level), rows)


def _fitted_onto(
    program: ImageArray,
    patch: NDArray[np.uint8],
    box: PixelBox,
    level: int,
    rows: NDArray[np.int32],
    fit: Fit,
    field_pixels: NDArray[np.uint32],
    scratch: NDArray[np.uint8],
) -> None:
    x, y, w, h = box
    luma, u, v = planes(program)
    half = np.s_[y // 2 : (y + h) // 2, x // 2 : (x + w) // 2]
    over = luma[y : y + h, x : x + w], u[half], v[half]
    blend_held(*over, patch.view(np.uint32)[..., 0], np.int32(level), rows, field_pixels, fit.limits, scratch)
