"""Finds the 478 points of a face in a close-up by the attention model, which is cut into four networks.

The trunk finds 468 points and also returns its feature map. Three further networks refine lips and eyes: each receives
the features sampled on a 16x16 grid that is rotated and scaled to cover its region as found by the trunk. It returns
the region's points, and for an eye those of the iris, in quarters of a grid pixel; likewise a pixel of the feature map
is four pixels of the image wide.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from shared.face.landmarks import LEFT_IRIS, POINTS, RIGHT_IRIS, Points
from shared.face.networks.files import NetworkName
from shared.face.networks.network import FaceNetwork

INPUT_PX = 192
FEATURES_PX = 48
GRID_PX = 16
SPREAD = 1.5  # size of the grid as a multiple of the box of the region's points

# The points that each region's network finds, in the network's order, as numbers of the MediaPipe face topology
# (Apache 2.0; see NOTICE).
LIPS = np.array(
    [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270, 409]  # outer edge
    + [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 191, 80, 81, 82, 13, 312, 311, 310, 415]  # inner edge
    + [76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306, 184, 74, 73, 72, 11, 302, 303, 304, 408]  # between, outside
    + [62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292, 183, 42, 41, 38, 12, 268, 271, 272, 407]  # between, inside
)
RIGHT_EYE = np.array(
    [33, 7, 163, 144, 145, 153, 154, 155, 133, 246, 161, 160, 159, 158, 157, 173]  # edge of the opening
    + [130, 25, 110, 24, 23, 22, 26, 112, 243, 247, 30, 29, 27, 28, 56, 190]  # rings around the opening
    + [226, 31, 228, 229, 230, 231, 232, 233, 244, 113, 225, 224, 223, 222, 221, 189]
    + [35, 124, 46, 53, 52, 65, 143, 111, 117, 118, 119, 120, 121, 128, 245, 156, 70, 63, 105, 66, 107, 55, 193]
)
LEFT_EYE = np.array(
    [263, 249, 390, 373, 374, 380, 381, 382, 362, 466, 388, 387, 386, 385, 384, 398]
    + [359, 255, 339, 254, 253, 252, 256, 341, 463, 467, 260, 259, 257, 258, 286, 414]
    + [446, 261, 448, 449, 450, 451, 452, 453, 464, 342, 445, 444, 443, 442, 441, 413]
    + [
        265,
        353,
        276,
        283,
        282,
        295,
        372,
        340,
        346,
        347,
        348,
        349,
        350,
        357,
        465,
        383,
        300,
        293,
        334,
        296,
        336,
        285,
        417,
    ]
)
OPENING_POINTS = 16  # points on the edge of an eye's opening, which come first; the iris gets their mean depth


class _Region(NamedTuple):
    """A region of the face whose points a network refines.

    points: numbers of the points that the network finds, those of the iris last. level: numbers of the points, left and
    right in the image, whose line defines the region's rotation.
    """

    network: NetworkName
    points: NDArray[np.int64]
    level: tuple[int, int]


REGIONS = (
    _Region("lips", LIPS, (61, 291)),
    _Region("right_eye", np.append(RIGHT_EYE, RIGHT_IRIS + np.arange(5)), (33, 133)),
    _Region("left_eye", np.append(LEFT_EYE, LEFT_IRIS + np.arange(5)), (362, 263)),
)
REFINED = np.concatenate([region.points for region in REGIONS])
_LEVEL = np.array([region.level for region in REGIONS])
_BOXED = np.stack(
    [LIPS, np.resize(RIGHT_EYE, len(LIPS)), np.resize(LEFT_EYE, len(LIPS))]
)  # repeated from the start, to make all the same length


class AttentionMesh:
    """Finds the points of the one face in a close-up. Not thread-safe."""

    def __init__(self) -> None:
        self._trunk = FaceNetwork("trunk")
        self._regions = [FaceNetwork(region.network) for region in REGIONS]

    def find(self, close_up: NDArray[np.uint8]) -> tuple[Points, float]:
        """Return (478, 3) points, with 0 to 1 across the close-up, and the probability that it shows a face, 0 to 1.

        close_up: (192, 192, 3) uint8 RGB.
        """
        given = np.multiply(close_up, np.float32(1 / 255), dtype=np.float32)
        surface, presence, features = self._trunk(given[None])
        points = np.empty((POINTS, 3), np.float32)
        points[:RIGHT_IRIS] = surface.reshape(-1, 3)
        linear, origin = _grids(points[:RIGHT_IRIS, :2] * np.float32(FEATURES_PX / INPUT_PX))
        refined = []
        for network, seen, turn in zip(self._regions, _sample(features[0], linear, origin), linear, strict=True):
            refined += [each.reshape(-1, 2) @ turn.T for each in network(seen[None])]
        shift = np.repeat(origin * np.float32(INPUT_PX / FEATURES_PX), [len(each.points) for each in REGIONS], axis=0)
        points[REFINED, :2] = np.concatenate(refined) + shift
        for iris, eye in ((RIGHT_IRIS, RIGHT_EYE), (LEFT_IRIS, LEFT_EYE)):
            points[iris : iris + 5, 2] = points[eye[:OPENING_POINTS], 2].mean()
        points /= np.float32(INPUT_PX)
        return points, 1 / (1 + math.exp(-float(presence.item())))


def _grids(at: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The linear part (3, 2, 2) and offset (3, 2) of each region's map from grid pixels to feature pixels.

    A region is the box of its points in its rotated frame, enlarged by SPREAD. at: (468, 2) points in pixels of the
    feature map.
    """
    across = at[_LEVEL[:, 1]] - at[_LEVEL[:, 0]]
    cosine, sine = across.T / np.hypot(across[:, 0], across[:, 1])
    upright = np.stack([cosine, -sine, sine, cosine], axis=1).reshape(-1, 2, 2)  # from the region's axes to the map's
    turned = at[_BOXED] @ upright
    low, high = turned.min(axis=1), turned.max(axis=1)
    linear = upright * ((high - low) * np.float32(SPREAD / GRID_PX))[:, None]
    centre = (upright @ ((low + high) / 2)[..., None])[..., 0]
    return linear, centre - linear.sum(axis=2) * np.float32(GRID_PX / 2)


_AT = np.arange(GRID_PX, dtype=np.float32) + np.float32(0.5)
_MIDDLES = np.stack([each.ravel() for each in np.meshgrid(_AT, _AT)])


def _sample(
    features: NDArray[np.float32], linear: NDArray[np.float32], origin: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The (3, 16, 16, C) features at the centres of the grids' pixels, bilinear; 0 outside the feature map.

    features: (48, 48, C), contiguous. linear, origin: the grids' maps, see `_grids`.
    """
    side, channels = features.shape[0], features.shape[2]
    at = (linear @ _MIDDLES + origin[..., None]).transpose(1, 0, 2).reshape(2, -1) - np.float32(0.5)
    inside = ((at >= 0) & (at <= side - 1)).all(axis=0)
    np.clip(at, 0, side - 1, out=at)
    whole = np.minimum(at.astype(np.intp), side - 2)
    x, y = (at - whole).astype(np.float32)
    # A pixel and its right neighbour are adjacent in memory: each row of `pairs` is two pixels.
    pairs = as_strided(features, (side * side - 1, 2 * channels), (channels * 4, 4), writeable=False)
    first = whole[1] * side + whole[0]
    mixed = pairs[first] * (1 - y)[:, None]
    mixed += pairs[first + side] * y[:, None]
    mixed = mixed.reshape(-1, 2, channels)
    mixed[:, 0] *= ((1 - x) * inside)[:, None]
    mixed[:, 1] *= (x * inside)[:, None]
    return np.asarray((mixed[:, 0] + mixed[:, 1]).reshape(-1, GRID_PX, GRID_PX, channels), np.float32)
