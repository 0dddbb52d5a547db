"""Rendering of one avatar's frame for a motion: the portrait is sampled through the moved mesh, layer by layer."""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.mesh.eyes import Eyes
from engines.mesh.head import RIM_PX, HeadMesh
from engines.mesh.layers import split_portrait
from engines.mesh.motion import REST, MeshMotion
from engines.mesh.mouth import MouthPainter
from engines.mesh.rasterizer import far_to_near, lay_over_background, rasterise
from engines.mesh.tracker_calibration import FILE, calibrate_tracker, kept_calibration
from shared.avatar.detail import sharpened_for_drawing
from shared.avatar.mask import moving_matte
from shared.avatar.model import ROI_SIZE_PX, Avatar
from shared.avatar.portrait_skin import PortraitSkin
from shared.face import similarity
from shared.face.landmarks import SURFACE, Face
from shared.face.mouth_seen import mouth_covered
from shared.media.array_types import ImageArray

INNER = slice(int(RIM_PX), ROI_SIZE_PX - int(RIM_PX))
BAND_ROWS = (
    52  # rows that are sampled and composed at a time, few enough to stay in the cache: 9 bands make the whole ROI
)


class MeshRenderer:
    """Draws one avatar's portrait, with everything that is measured from it once."""

    def __init__(self, avatar: Avatar) -> None:
        self._roi = avatar.roi
        self._own_plate = avatar.own_plate
        self._points, self._mask = avatar.face.points, avatar.mask
        self._skin = None if avatar.own_plate else PortraitSkin(avatar.roi, avatar.face)
        self._head = HeadMesh(avatar.face, avatar.rest, own_plate=avatar.own_plate)
        ticks = np.arange(ROI_SIZE_PX, dtype=np.float32)
        self._map = list(np.meshgrid(ticks, ticks))  # `rasterise` writes every pixel again, see `head`
        roi = avatar.roi if avatar.own_plate else self._sharpened(avatar)
        self._layers = split_portrait(roi, avatar.face)
        self._eyes = Eyes(roi, avatar.face)
        self._mouth = MouthPainter(roi, avatar.face)
        self._covered = mouth_covered(avatar.roi, avatar.face)
        self._band = np.empty((BAND_ROWS, INNER.stop - INNER.start, 4), np.uint8)
        self._reading = kept_calibration(
            avatar.engine_file("mesh", FILE), lambda: calibrate_tracker(self.draw, avatar.face, turns=avatar.own_plate)
        )

    def _sharpened(self, avatar: Avatar) -> ImageArray:
        """Return the ROI sharpened by the detail that it loses when its face is turned to the body's."""
        moved, (map_x, map_y) = self._head.move(REST), self._map
        triangles = far_to_near(self._head.triangles, moved.vertices[:, 2])
        rasterise(moved.vertices, self._head.source, triangles, map_x, map_y, INNER.start, INNER.stop)
        face = self._points.copy()
        face[:SURFACE] = moved.vertices[:SURFACE]
        scale = float(np.median([similarity.scale_of(each) for each in avatar.plate.placements]))

        def draw(image: ImageArray) -> ImageArray:
            return np.asarray(cv2.remap(image, map_x, map_y, cv2.INTER_LINEAR), np.uint8)

        return sharpened_for_drawing(avatar.roi, avatar.face, draw, Face(face), scale)

    def render(self, motion: MeshMotion) -> NDArray[np.uint8]:
        """Return the frame in which a tracker reads this motion; its form is that of `draw`."""
        return self.draw(self._reading.corrected(motion))

    def draw(self, motion: MeshMotion) -> NDArray[np.uint8]:
        """Draw the motion without correction.

        (512, 512, 3) uint8 RGB on the portrait's own plate, else (512, 512, 4) with the face's matte.
        """
        if self._covered:  # a covered mouth has no lips to part, and shows no teeth
            motion = replace(motion, lips=REST.lips, seal=REST.seal)
        moved = self._head.move(motion)
        map_x, map_y = self._map
        triangles = far_to_near(self._head.triangles, moved.vertices[:, 2])
        out = self._roi.copy()  # the rim never moves and is kept
        for top in range(INNER.start, INNER.stop, BAND_ROWS):
            rasterise(moved.vertices, self._head.source, triangles, map_x, map_y, top, top + BAND_ROWS)
            band = slice(top, top + BAND_ROWS), INNER
            cv2.remap(
                self._layers.person,
                map_x[band],
                map_y[band],
                cv2.INTER_LINEAR,
                dst=self._band,
                borderMode=cv2.BORDER_REPLICATE,
            )
            cv2.cvtColor(self._band, cv2.COLOR_RGBA2RGB, dst=out[band])
            lay_over_background(self._band, self._layers.background[band], out[band])
        self._eyes.draw(out, self._map, moved.vertices, moved.rigid, motion.gaze, motion.lids)
        if not self._covered:
            self._mouth.draw(out, moved.vertices, moved.rigid)
        if self._own_plate:
            return out
        face = self._points.copy()
        face[:SURFACE] = moved.vertices[:SURFACE]
        with_matte = np.empty((*out.shape[:2], 4), np.uint8)
        matte = moving_matte(Face(face), self._mask, self._skin)
        cv2.mixChannels([out, matte], [with_matte], [0, 0, 1, 1, 2, 2, 3, 3])
        return with_matte
