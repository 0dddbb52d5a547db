"""Rendering of a motion on a plate frame's own face.

The lower face is sampled through the moved mesh; everything else stays as filmed.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.body_source import BodySource
from engines.mesh.body.lower_face import LowerFace
from engines.mesh.body.rest import HeadPlace, film_rest
from engines.mesh.motion import MeshMotion
from engines.mesh.mouth import MouthPainter
from engines.mesh.rasterizer import blend_covered, far_to_near, rasterise
from engines.mesh.topology import INNER_LOWER, INNER_UPPER, LOWER_LIP_ROWS, UPPER_LIP_ROWS, mouth_triangles, oriented
from engines.mesh.tracker_calibration import BODY_FILE, calibrate_tracker, kept_calibration
from shared.avatar.body_faces import kept_body_faces
from shared.avatar.model import ROI_SIZE_PX, Avatar
from shared.easing import smoothstep
from shared.face import similarity
from shared.face.landmarks import OVAL, SURFACE
from shared.face.skin_triangles import SKIN_TRIANGLES

STILL_PX = 0.02  # a smaller movement leaves the face as filmed
# The matte reaches full strength this far (eye distances) inside the area that may move, and is computed at a
# resolution lower by this factor.
RIM, MATTE_STEP = 0.06, 4
# Lips that close over an open mouth are sampled slightly beside their edge, so that they do not drag teeth along: by
# this share of a lip's inner row, fully from this gap (eye distances) on.
BESIDE, BESIDE_GAP = 0.5, 0.06
AROUND_PX = 8  # margin in ROI pixels around the drawn area from which it may be sampled
# The skin that the frame at rest lends: points that move at least this freely, with a rim this soft (eye distances),
# relit to the frame's light within these factors.
LENT_FREE, LENT_RIM, LENT_LIGHT = 0.5, 0.08, (0.75, 1.33)
LIGHT_STEP = 4  # step in pixels between the samples for comparing its light
IDENTITY = np.eye(2, 3)
CornerBox = tuple[int, int, int, int]  # left, top, right, bottom
UNDRAWN_ROI = (ROI_SIZE_PX, ROI_SIZE_PX, 4)


class BodyRenderer:
    """Draws a film's own face, with everything that is measured from the film once. Not thread-safe."""

    def __init__(self, avatar: Avatar, source: BodySource) -> None:
        self._source = source
        self._faces = kept_body_faces(avatar)
        self.rest = film_rest(self._faces, avatar.plate.fps)
        self.lower = LowerFace(self.rest.face, self.rest.local)
        free = self.lower.free
        every = np.concatenate([SKIN_TRIANGLES, mouth_triangles()]).astype(np.int32)
        moving = every[(free[every] > 0.0).any(axis=1)]
        self._triangles = oriented(moving, self.rest.face.points[:SURFACE, :2])
        self._moving = np.unique(moving)
        self._rest_roi = source.roi(self.rest.frame)
        shown = self._faces.face(self.rest.frame)
        assert shown is not None  # it is the frame that the rest was found in
        self._rest_points = shown.points[:SURFACE, :2].astype(np.float64)
        self._lent = np.flatnonzero(free > LENT_FREE)
        self._mouth = MouthPainter(self._rest_roi, self.rest.face, filmed=True)
        self._ticks = np.arange(ROI_SIZE_PX, dtype=np.float32)
        self._reading = kept_calibration(
            avatar.engine_file("mesh", BODY_FILE), lambda: calibrate_tracker(self._shown, self.rest.face, turns=False)
        )

    def render(self, motion: MeshMotion, index: int) -> NDArray[np.uint8]:
        """Return a plate frame's face such that a tracker reads this motion, (512, 512, 4) uint8 RGBA.

        Transparent where the film is unchanged.
        """
        return self.draw(self._reading.corrected(motion), index)

    def draw(self, motion: MeshMotion, index: int) -> NDArray[np.uint8]:
        """Draw the motion on a plate frame's face without the tracker's correction; same form as `render`."""
        out = np.zeros(UNDRAWN_ROI, np.uint8)
        face = self._faces.face(index)
        if face is None:
            return out
        place = HeadPlace.of(face)
        filmed = place.local(face.points[:SURFACE])
        settled = self.lower.settled(filmed, float(self.rest.talks[index]))
        change = (settled - filmed + self.lower.moved(settled, motion)) @ place.turn.T * place.unit
        if float(np.abs(change[:, :2]).max()) < STILL_PX:
            return out
        own = face.points[:SURFACE].astype(np.float64)
        left, top, right, bottom = box = self._box(own, own + change)
        corner = np.array([left, top, 0.0])
        vertices = (own + change - corner).astype(np.float32)
        pixels, to_pixels = self._source.patch(index, _grown(box))
        drawn = self._sampled(vertices, _taken_from(own, filmed), pixels, to_pixels, box, cv2.INTER_CUBIC)
        lent = float(self.rest.parted[index])
        if lent > 0.0:
            self._lend(drawn, vertices, lent, place.unit, box)
        teeth = (place.placed(self.lower.teeth(settled)) - corner)[:, :2].astype(np.float32)
        self._mouth.draw(drawn, vertices, teeth, beneath=face.mouth_opening)
        matte = _matte(own[OVAL, :2], own[self._moving, :2], place.unit, box)
        cv2.mixChannels([drawn, matte], [out[top:bottom, left:right]], [0, 0, 1, 1, 2, 2, 3, 3])
        return out

    def _shown(self, motion: MeshMotion) -> NDArray[np.uint8]:
        """Return the frame at rest with a motion, composed as a viewer sees it, (512, 512, 3)."""
        drawn, under = self.draw(motion, self.rest.frame), self._rest_roi
        share = drawn[..., 3:].astype(np.float32) / 255.0
        return np.rint(under + (drawn[..., :3] - under.astype(np.float32)) * share).astype(np.uint8)

    def _box(self, own: NDArray[np.float64], moved: NDArray[np.float64]) -> CornerBox:
        """Return the bounding box of the area that may move, in whole ROI pixels."""
        both = np.concatenate([own[self._moving, :2], moved[self._moving, :2]])
        low = np.clip(np.floor(both.min(axis=0)) - 2, 0, ROI_SIZE_PX - 2).astype(int)
        high = np.clip(np.ceil(both.max(axis=0)) + 3, low + 2, ROI_SIZE_PX).astype(int)
        return int(low[0]), int(low[1]), int(high[0]), int(high[1])

    def _sampled(
        self,
        vertices: NDArray[np.float32],
        taken: NDArray[np.float64],
        pixels: NDArray[np.uint8],
        to_pixels: NDArray[np.float64],
        box: CornerBox,
        how: int,
    ) -> NDArray[np.uint8]:
        """Return the moved skin in a box of the ROI, (h, w, 3).

        vertices: relative to the box's corner. taken: (468, 2) where in the ROI each point's pixels come from.
            to_pixels: matrix from ROI pixels to `pixels`.
        """
        left, top, right, bottom = box
        xs, ys = self._ticks[left:right], self._ticks[top:bottom, None]
        map_x, map_y = (np.float32(a) * xs + (np.float32(b) * ys + np.float32(c)) for a, b, c in to_pixels)
        source = similarity.apply_similarity(to_pixels, taken).astype(np.float32)
        triangles = far_to_near(self._triangles, vertices[:, 2])
        rasterise(vertices, source, triangles, map_x, map_y, 0, bottom - top)
        return np.asarray(cv2.remap(pixels, map_x, map_y, how, borderMode=cv2.BORDER_REPLICATE), np.uint8)

    def _lend(
        self, drawn: NDArray[np.uint8], vertices: NDArray[np.float32], share: float, unit: float, box: CornerBox
    ) -> None:
        """Blend skin around the mouth from the frame at rest over the drawn face, relit to match it."""
        lent = self._sampled(vertices, self._rest_points, self._rest_roi, IDENTITY, box, cv2.INTER_LINEAR)
        cover = np.zeros(drawn.shape[:2], np.uint8)
        ring = cv2.convexHull(vertices[self._lent, :2])[:, 0]
        cv2.fillConvexPoly(cover, np.rint(ring * 16).astype(np.int32), (255,), shift=4)
        cover = np.asarray(cv2.blur(cover, (2 * int(LENT_RIM * unit) + 1,) * 2), np.uint8)
        coarse = np.s_[::LIGHT_STEP, ::LIGHT_STEP]
        soft = cover[coarse].astype(np.float64)
        rim = soft * (255.0 - soft)
        here, there = (np.tensordot(rim, each[coarse].astype(np.float64), 2) for each in (drawn, lent))
        light = np.clip(here / np.maximum(there, 1.0), *LENT_LIGHT)
        blend_covered(
            np.asarray(
                cv2.LUT(lent, np.minimum(np.arange(256.0)[None, :, None] * light, 255.0).astype(np.uint8)), np.uint8
            ),
            np.asarray(cv2.convertScaleAbs(cover, alpha=share), np.uint8),
            drawn,
            0,
            0,
        )


def _grown(box: CornerBox) -> tuple[float, float, float, float]:
    """Return the box enlarged by the margin from which its pixels may be sampled."""
    left, top, right, bottom = box
    return left - AROUND_PX, top - AROUND_PX, right + AROUND_PX, bottom + AROUND_PX


def _taken_from(own: NDArray[np.float64], filmed: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where in the ROI each point's pixels come from, (468, 2)."""
    taken = own[:, :2].copy()
    gaps = np.clip((filmed[INNER_LOWER, 1] - filmed[INNER_UPPER, 1]) / BESIDE_GAP, 0.0, 1.0)[1:-1, None] * BESIDE
    for rows in (UPPER_LIP_ROWS, LOWER_LIP_ROWS):
        inner, next_ = rows[0, 1:-1], rows[1, 1:-1]
        taken[inner] += gaps * (taken[next_] - taken[inner])
    return taken


def _matte(
    outline: NDArray[np.float64],
    moving: NDArray[np.float64],
    unit: float,
    box: CornerBox,
) -> NDArray[np.uint8]:
    """Return the matte of a box, (h, w) uint8: the part of the face that may move, within its outline, soft-rimmed."""
    left, top, right, bottom = box
    size = max(1, (right - left) // MATTE_STEP), max(1, (bottom - top) // MATTE_STEP)
    scale = np.array([size[0] / (right - left), size[1] / (bottom - top)])
    solid = np.zeros((2, size[1] + 2, size[0] + 2), np.uint8)  # with a border that counts as outside
    for each, ring in zip(solid, (cv2.convexHull(moving.astype(np.float32))[:, 0], outline), strict=True):
        at = (ring - (left, top) + 0.5) * scale + 0.5
        cv2.fillPoly(each, [np.rint(at * 16).astype(np.int32)], (1,), shift=4)
    both = solid[0] & solid[1]
    both[0] = both[-1] = 0
    both[:, 0] = both[:, -1] = 0
    depth = cv2.distanceTransform(both, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    soft = (smoothstep((depth - 1.0) / max(RIM * unit / MATTE_STEP, 1.0)) * 255).astype(np.uint8)
    return np.asarray(cv2.resize(soft, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR), np.uint8)
