"""Steps of LivePortrait's published loop that the engine leaves out or does differently, for the comparison."""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from engines.liveportrait.motion.crop import CropMatrix, Square, crop_to_image, spread_mask
from engines.liveportrait.motion.smoothing import PROCESS
from shared.media.array_types import FloatArray, ImageArray

OFFLINE_VARIANCE = 3e-7  # the published default: almost no smoothing


def mean_square(corners: list[NDArray[np.float32]]) -> Square:
    """Return the upright square that is fixed for a whole driver: the mean of each frame's upright corners."""
    ends = np.mean([[*each[0], *each[2]] for each in np.asarray(corners, np.float32)], axis=0).tolist()
    left, top, right, bottom = ends
    return Square(np.array([(left + right) / 2, (top + bottom) / 2], np.float32), right - left, 0.0)


def pasted(face: ImageArray, matrix: CropMatrix, image: ImageArray) -> ImageArray:
    """Return the image with the (512, 512, 3) face crop pasted back where it was cut.

    This is the published form, for the whole image; the engine's form for the ROI alone is compared with it.
    """
    height, width = image.shape[:2]
    mask = spread_mask(matrix, (width, height))[..., None]
    placed = cv2.warpAffine(face, crop_to_image(matrix), (width, height), flags=cv2.INTER_LINEAR)
    return np.clip(mask * placed + (1 - mask) * image, 0, 255).astype(np.uint8)


def limited(image: ImageArray, longest: int = 1280, multiple: int = 2) -> ImageArray:
    """Return a source image, scaled down to at most `longest`, with its sides cut to a multiple."""
    height, width = image.shape[:2]
    if longest > 0 and max(height, width) > longest:
        factor = longest / max(height, width)
        size = (longest, int(height * factor)) if width > height else (int(width * factor), longest)
        image = np.asarray(cv2.resize(image, size), np.uint8)
        height, width = image.shape[:2]
    cut_height, cut_width = (side - side % multiple or side for side in (height, width))
    return image[:cut_height, :cut_width]


def size_ratio(source: FloatArray, driven: FloatArray) -> float:
    """Return the root of the ratio of two keypoint hulls' volumes: the original's "expression-friendly" scale."""
    return float(np.sqrt(ConvexHull(source).volume) / np.sqrt(ConvexHull(driven).volume))


def friendly(source: FloatArray, driven: FloatArray, first: FloatArray, ratio: float) -> FloatArray:
    """Add the scaled movement since the anchor to the source's own keypoints. first: `driven` at the anchor."""
    return np.asarray(source + (driven - first) * np.float32(ratio), np.float32)


def smoothed(track: FloatArray, variance: float) -> FloatArray:
    """Smooth (N, ...) values over the whole track."""
    means, spreads, predictions = [], [], []
    mean, spread = track[0].astype(np.float64), 1.0
    for i, value in enumerate(track):
        predicted = spread + (PROCESS if i else 0.0)
        gain = predicted / (predicted + variance)
        mean = mean + gain * (value - mean)
        spread = (1.0 - gain) * predicted
        means.append(mean)
        spreads.append(spread)
        predictions.append(predicted)
    out = means[-1:]
    for i in range(len(track) - 2, -1, -1):
        # the state does not move by itself, so the prediction for the next sample is this one's mean
        out.append(means[i] + spreads[i] / predictions[i + 1] * (out[-1] - means[i]))
    return np.asarray(np.stack(out[::-1]), np.float32)
