"""One avatar's picture under a motion: sample the portrait through the moved mesh, layer by layer."""

import cv2
import numpy as np
from numpy.typing import NDArray

from services.generator.engines.mesh.eyes import Eyes
from services.generator.engines.mesh.head import RIM, HeadMesh
from services.generator.engines.mesh.layers import split
from services.generator.engines.mesh.motion import Motion
from services.generator.engines.mesh.mouth import Mouth
from services.generator.engines.mesh.warp import FAR, over, rasterise
from shared.avatar import ROI_SIZE, Avatar


class Picture:
    """Everything measured from the portrait once, and `render`."""

    def __init__(self, avatar: Avatar) -> None:
        self._roi = avatar.roi
        self._own_plate = avatar.own_plate
        self._mask = avatar.mask
        self._layers = split(avatar.roi, avatar.face)
        self._head = HeadMesh(avatar.face, avatar.rest)
        self._eyes = Eyes(avatar.roi, avatar.face)
        self._mouth = Mouth(avatar.roi, avatar.face)
        ticks = np.arange(ROI_SIZE, dtype=np.float32)
        self._identity = np.meshgrid(ticks, ticks)
        self._map = [axis.copy() for axis in self._identity]
        self._depth = np.empty((ROI_SIZE, ROI_SIZE), np.float32)

    def render(self, motion: Motion) -> NDArray[np.uint8]:
        """(512, 512, 3) uint8 RGB on the portrait's own plate, else (512, 512, 4) with the face's matte."""
        moved = self._head.move(motion)
        self._depth.fill(FAR)
        for axis, identity in zip(self._map, self._identity, strict=True):
            np.copyto(axis, identity)
        map_x, map_y = self._map
        rasterise(moved.vertices, self._head.source, self._head.triangles, map_x, map_y, self._depth)
        person = cv2.remap(self._layers.person, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        out = np.empty((ROI_SIZE, ROI_SIZE, 3), np.uint8)
        over(np.asarray(person, np.uint8), self._layers.background, out)
        self._eyes.draw(out, self._map, moved.vertices, moved.rigid, motion.gaze, motion.lids)
        self._mouth.draw(out, moved.vertices, moved.rigid)
        if self._own_plate:
            _keep_rim(out, self._roi)
            return out
        mask = cv2.remap(self._mask, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        return np.asarray(cv2.merge([*cv2.split(out), mask]), np.uint8)


def _keep_rim(out: NDArray[np.uint8], roi: NDArray[np.uint8]) -> None:
    """The outermost pixels are the portrait's own, bit for bit: there it continues into the plate."""
    rim = int(RIM)
    out[:rim], out[-rim:] = roi[:rim], roi[-rim:]
    out[:, :rim], out[:, -rim:] = roi[:, :rim], roi[:, -rim:]
