"""Change a frame of a film so that its face speaks or is turned away, by a given amount."""

import math
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.mesh.rasterizer import far_to_near, rasterise
from engines.mesh.topology import INNER_LOWER, INNER_UPPER, opening_triangles, oriented
from shared.face.landmarks import MOUTH_CORNERS, OVAL, SURFACE, Face
from shared.face.rest_pose import head_centre, rotation_matrix
from shared.face.skin_triangles import SKIN_TRIANGLES
from shared.media.array_types import ImageArray

CHIN = 152
DEPTH = 1.25  # factor on the points' depth, because trackers flatten faces
INSIDE = (52, 22, 22)  # RGB between the lips
SPEECH_HZ, GAP = 4.0, 0.12  # of a mouth that speaks: how often it opens a second, and how far in eye distances
AROUND = (
    (1.3, 0.35),
    (1.7, 0.9),
)  # rings round the face: how far from its middle, and by how many eye distances behind its outline


def speech_gap(seconds: float) -> float:
    """Return how far speaking lips are apart at a time, in eye distances."""
    return GAP * (0.5 - 0.5 * math.cos(2 * math.pi * SPEECH_HZ * seconds))


def opened_mouth(image: ImageArray, face: Face, gap: float) -> ImageArray:
    """Return the image with the face's lips further apart by `gap` eye distances.

    The part below the lips moves towards the chin, and the gap between them is dark.
    """
    points, wide = face.points[:, :2].astype(np.float64), face.eye_distance
    left, right = sorted((points[MOUTH_CORNERS[0], 0], points[MOUTH_CORNERS[1], 0]))
    line = (points[INNER_UPPER] + points[INNER_LOWER])[1:-1] / 2
    line = line[np.argsort(line[:, 0])]
    height, width = image.shape[:2]
    x = np.arange(width, dtype=np.float64)
    y = np.arange(height, dtype=np.float64)[:, None]
    y0 = np.interp(x, line[:, 0], line[:, 1])
    t = np.clip((x - left) / (right - left), 0, 1)
    opening = gap * wide * (4 * t * (1 - t)) ** 0.6
    reach = max(float(points[CHIN, 1]) - float(y0[int(np.clip((left + right) / 2, 0, width - 1))]), 2 * gap * wide)
    below = np.clip((y - y0 - opening) / (1 - opening / reach), 0, None)
    from_y = np.where(y > y0 + opening, np.minimum(y0 + below, y), np.minimum(y, y0))
    from_y = np.where(y > y0 + reach, y, from_y).astype(np.float32)
    from_x = np.broadcast_to(x, (height, width)).astype(np.float32)
    moved = cv2.remap(image, from_x, from_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    dark = (np.clip(np.minimum(y - y0, y0 + opening - y) + 0.5, 0, 1) * (opening > 0))[..., None]
    return np.asarray(np.rint(moved * (1 - dark) + np.array(INSIDE) * dark), np.uint8)


def turned_head(image: ImageArray, face: Face, yaw: float) -> ImageArray:
    """Return the image with the head turned by `yaw` degrees.

    The face and its surroundings turn as a surface in depth.
    """
    centre, home = head_centre(face), face.rotation
    skin = face.points[:SURFACE].astype(np.float64)
    middle = skin[OVAL].mean(axis=0)
    rings = [skin[OVAL]]
    for factor, back in AROUND:
        ring = middle + (skin[OVAL] - middle) * (factor, factor, 1.0)
        rings.append(ring + home[:, 2] * back * face.eye_distance)
    points = np.concatenate([skin, *rings[1:]])
    numbers = [OVAL, *(SURFACE + len(OVAL) * at + np.arange(len(OVAL)) for at in range(len(AROUND)))]
    triangles = [SKIN_TRIANGLES, opening_triangles()]
    for inner, outer in pairwise(numbers):
        a, b = np.asarray(inner), np.asarray(outer)
        after_a, after_b = np.roll(a, -1), np.roll(b, -1)
        triangles += [np.stack([a, after_a, b], axis=1), np.stack([after_a, after_b, b], axis=1)]
    pose = face.pose
    turn = rotation_matrix(pose.yaw + yaw, pose.pitch, pose.roll) @ home.T
    local = (points - centre) @ home * (1.0, 1.0, DEPTH)
    moved = (local @ home.T @ turn.T + centre).astype(np.float32)
    both = oriented(np.concatenate(triangles).astype(np.int32), points[:, :2].astype(np.float32))
    height, width = image.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    source = points[:, :2].astype(np.float32)
    rasterise(moved, source, far_to_near(both, moved[:, 2]), x, y, 0, height)
    behind = _without_head(image, face)
    drawn = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    still = (x == np.arange(width, dtype=np.float32)) & (y == np.arange(height, dtype=np.float32)[:, None])
    return np.asarray(np.where(still[..., None], behind, drawn), np.uint8)


def _without_head(image: ImageArray, face: Face) -> ImageArray:
    """Return the image with the head painted over with the mean colour around it."""
    hull = cv2.convexHull(face.points[OVAL, :2].astype(np.float32))[:, 0]
    middle = hull.mean(axis=0)
    head: NDArray[np.uint8] = np.zeros(image.shape[:2], np.uint8)
    cv2.fillConvexPoly(head, np.rint(middle + (hull - middle) * 1.6).astype(np.int32), (255,))
    ring = np.asarray(cv2.dilate(head, np.ones((9, 9), np.uint8)) - head, np.uint8)
    out = image.copy()
    out[head > 0] = np.rint(cv2.mean(image, ring)[:3])
    return out
