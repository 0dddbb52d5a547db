"""One avatar's picture under a motion: sample the portrait through the moved mesh, layer by layer."""

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.mesh.eyes import Eyes
from engines.mesh.head import RIM, HeadMesh
from engines.mesh.layers import split
from engines.mesh.motion import Motion
from engines.mesh.mouth import Mouth
from engines.mesh.rasterizer import far_to_near, over, rasterise
from engines.mesh.topology import SURFACE
from engines.mesh.tracker_calibration import kept_reading, read
from shared.avatar.mask import moving_matte
from shared.avatar.model import ROI_SIZE, Avatar
from shared.face.landmarks import Face

INNER = slice(int(RIM), ROI_SIZE - int(RIM))
BAND = 52  # rows that are sampled and composed at a time, so that they are still in the cache: 9 bands make the ROI


class Picture:
    """Everything measured from the portrait once, and `render`."""

    def __init__(self, avatar: Avatar) -> None:
        self._roi = avatar.roi
        self._own_plate = avatar.own_plate
        self._points, self._mask = avatar.face.points, avatar.mask
        self._layers = split(avatar.roi, avatar.face)
        self._head = HeadMesh(avatar.face, avatar.rest, own_plate=avatar.own_plate)
        self._eyes = Eyes(avatar.roi, avatar.face)
        self._mouth = Mouth(avatar.roi, avatar.face)
        ticks = np.arange(ROI_SIZE, dtype=np.float32)
        self._map = np.meshgrid(ticks, ticks)  # every pixel is written anew by `rasterise`, see `head`
        self._band = np.empty((BAND, INNER.stop - INNER.start, 4), np.uint8)
        self._reading = kept_reading(avatar.folder, lambda: read(self.draw, avatar.face, turns=avatar.own_plate))

    def render(self, motion: Motion) -> NDArray[np.uint8]:
        """The picture in which a tracker reads this motion, see `draw`."""
        return self.draw(self._reading.corrected(motion))

    def draw(self, motion: Motion) -> NDArray[np.uint8]:
        """(512, 512, 3) uint8 RGB on the portrait's own plate, else (512, 512, 4) with the face's matte."""
        moved = self._head.move(motion)
        map_x, map_y = self._map
        triangles = far_to_near(self._head.triangles, moved.vertices[:, 2])
        out = self._roi.copy()  # the rim, which never moves, stays
        for top in range(INNER.start, INNER.stop, BAND):
            rasterise(moved.vertices, self._head.source, triangles, map_x, map_y, top, top + BAND)
            band = slice(top, top + BAND), INNER
            cv2.remap(
                self._layers.person,
                map_x[band],
                map_y[band],
                cv2.INTER_LINEAR,
                dst=self._band,
                borderMode=cv2.BORDER_REPLICATE,
            )
            cv2.cvtColor(self._band, cv2.COLOR_RGBA2RGB, dst=out[band])
            over(self._band, self._layers.background[band], out[band])
        self._eyes.draw(out, self._map, moved.vertices, moved.rigid, motion.gaze, motion.lids)
        self._mouth.draw(out, moved.vertices, moved.rigid)
        if self._own_plate:
            return out
        face = self._points.copy()
        face[:SURFACE] = moved.vertices[:SURFACE]
        with_matte = np.empty((*out.shape[:2], 4), np.uint8)
        matte = moving_matte(Face(face), self._mask)
        cv2.mixChannels([out, matte], [with_matte], [0, 0, 1, 1, 2, 2, 3, 3])
        return with_matte
