"""One avatar's picture under a motion: sample the portrait through the moved mesh, layer by layer."""

import cv2
import numpy as np
from numpy.typing import NDArray

from services.generator.engines.mesh.eyes import Eyes
from services.generator.engines.mesh.head import RIM, HeadMesh
from services.generator.engines.mesh.layers import split
from services.generator.engines.mesh.motion import Motion
from services.generator.engines.mesh.mouth import Mouth
from services.generator.engines.mesh.topology import SURFACE
from services.generator.engines.mesh.warp import FAR, over, rasterise
from shared.avatar import ROI_SIZE, Avatar
from shared.face import Face
from shared.mask import moving_matte

INNER = slice(int(RIM), ROI_SIZE - int(RIM))


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
        self._depth = np.empty((ROI_SIZE, ROI_SIZE), np.float32)

    def render(self, motion: Motion) -> NDArray[np.uint8]:
        """(512, 512, 3) uint8 RGB on the portrait's own plate, else (512, 512, 4) with the face's matte."""
        moved = self._head.move(motion)
        self._depth.fill(FAR)
        map_x, map_y = self._map
        rasterise(moved.vertices, self._head.source, self._head.triangles, map_x, map_y, self._depth)
        out = self._roi.copy()  # the rim, which never moves, stays
        inner = map_x[INNER, INNER], map_y[INNER, INNER]
        person = cv2.remap(self._layers.person, *inner, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        over(np.asarray(person, np.uint8), self._layers.background[INNER, INNER], out[INNER, INNER])
        self._eyes.draw(out, self._map, moved.vertices, moved.rigid, motion.gaze, motion.lids)
        self._mouth.draw(out, moved.vertices, moved.rigid)
        if self._own_plate:
            return out
        face = self._points.copy()
        face[:SURFACE] = moved.vertices[:SURFACE]
        return np.dstack([out, moving_matte(Face(face), self._mask)])
