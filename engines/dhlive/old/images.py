"""Input images of the old network, 256 pixels a side, in BGR order.

They are the face with a hole, the mouth to fill it, and the reference images.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.dhlive.networks.old import SIDE_PX
from engines.dhlive.old.face import MOUTH_COLUMNS, MOUTH_ROWS, OldFace
from engines.dhlive.old.points import CHEEKS, JAW, LEFT_EYE, LIPS_INNER, LIPS_OUTER, NOSE_EDGE, NOSE_MIDDLE, RIGHT_EYE
from shared.media.array_types import ImageArray

BLUE, GREEN, RED, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
CONTRAST = 60  # grey levels around its mean that a mouth image is stretched to
RIM_PX, RIM_STEP = 20, 13  # width over which the drawn face fades out, and the step per pixel
THICK_PX = 2

Placed = NDArray[np.float64]


def in_crop(points: Placed, rect: NDArray[np.int64]) -> Placed:
    """Convert (K, 2) points from plate pixels to pixels of the crop."""
    return np.asarray((points[:, :2] - rect[:2]) * (SIDE_PX / float(rect[2] - rect[0])))


def holed(crop: ImageArray, face: OldFace, frame: int) -> ImageArray:
    """Return the crop with the area between nose and jaw black, down to the jaw's lowest position in the film."""
    points, hole = (in_crop(each[frame], face.rects[frame]) for each in (face.points, face.hole))
    jaw = points[JAW]
    jaw[3:-3, 1] = hole[3:-3, 1]
    outline = np.concatenate([jaw[3:-3], points[NOSE_EDGE[::-1]]]).astype(np.int32)
    image = crop.copy()
    cv2.fillPoly(image, [outline], (0, 0, 0))
    return image


def mouth_laid(image: ImageArray, face: OldFace, frame: int) -> ImageArray:
    """Place a grey, contrast-stretched mouth image, (15, 30, 3), on the lips; return (256, 256, 3).

    Nose and eyes are drawn as lines.
    """
    grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), (MOUTH_COLUMNS, MOUTH_ROWS)).astype(np.float32)
    least = int(grey.mean()) - CONTRAST
    spread = ((grey - least) / (2 * CONTRAST) * 255.0).clip(0, 255).astype(np.uint8).reshape(-1)
    left, top, right, bottom = (int(value) for value in face.rects[frame])
    laid = np.zeros((bottom - top, right - left, 3), np.uint8)
    x, y = face.mouth[frame, :, 0] - left, face.mouth[frame, :, 1] - top
    inside = (x >= 0) & (y >= 0) & (x < right - left) & (y < bottom - top)
    laid[y[inside], x[inside]] = spread[inside, None]
    drawn = np.asarray(cv2.resize(laid, (SIDE_PX, SIDE_PX)), np.uint8)
    draw_features(drawn, in_crop(face.points[frame], face.rects[frame]))
    return drawn


def reference(crop: ImageArray, face: OldFace, frame: int) -> ImageArray:
    """Return a reference image, (256, 256, 6): the crop, and all lines of the face."""
    points = in_crop(face.points[frame], face.rects[frame])
    lines = np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8)
    _draw(lines, points, LIPS_OUTER, BLUE, closed=True)
    _draw(lines, points, LIPS_INNER, BLUE, closed=True)
    draw_features(lines, points)
    _draw(lines, points, JAW, RED)
    _draw(lines, points, CHEEKS, WHITE)
    return np.concatenate([crop, lines], axis=2)


def draw_features(image: ImageArray, points: Placed) -> None:
    """Draw nose and eyes into an image."""
    _draw(image, points, NOSE_EDGE, GREEN)
    _draw(image, points, NOSE_MIDDLE, GREEN)
    _draw(image, points, LEFT_EYE, GREEN, closed=True)
    _draw(image, points, RIGHT_EYE, GREEN, closed=True)


def _draw(
    image: ImageArray, points: Placed, line: list[int], colour: tuple[int, int, int], *, closed: bool = False
) -> None:
    at = [(int(x), int(y)) for x, y in points[line]]
    for a, b in zip(at, at[1:] + at[:1] if closed else at[1:], strict=closed):
        cv2.line(image, a, b, colour, THICK_PX)


def rim() -> NDArray[np.uint8]:
    """Return the opacity of the drawn face, (256, 256) uint8, decreasing over the outer pixels."""
    across = np.minimum(np.arange(SIDE_PX), np.arange(SIDE_PX)[::-1]).clip(max=RIM_PX - 1)
    inside = np.minimum.outer(across, across)
    return np.asarray(255 - RIM_STEP * (RIM_PX - 1 - inside), np.uint8)
