"""Control image from coefficients: the mesh is bent, placed in the crop, and drawn.

The original's two programs differ in four rules: where in a pixel it is sampled (the desktop program draws at twice the
size and keeps every second pixel), how far the lower teeth hang, whether the border bends, and whether the mouth's back
wall bends. Unlike in both, the warp is not rounded to eight bits, because steps of 0.7 pixels would shift a face at
rest by 0.4.
"""

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from engines.dhlive.control.mesh import BORDER, LOWER_TEETH, TRACKED, UPPER_TEETH, FaceMesh
from engines.dhlive.control.rasterizer import draw_control
from shared.media.array_types import FloatArray


@dataclass(frozen=True, slots=True)
class _Rules:
    offset: float  # distance of a pixel's sample from its corner
    jaw: float  # canonical units by which the lower teeth are lowered
    rigid_inside: bool  # whether the border and the back wall stay rigid


class ControlRules(Enum):
    """Rules of one of the original's programs."""

    DESKTOP = "desktop"
    BROWSER = "browser"


RULES = {ControlRules.DESKTOP: _Rules(0.25, 4.0, False), ControlRules.BROWSER: _Rules(0.5, 6.0, True)}
TEETH_DOWN, TEETH_IN = 3.0, 3.9  # divisors of the first two coefficients' sum, which moves the lower teeth


class ControlPainter:
    """Draws one person's control images. Not thread-safe: it reuses its buffers."""

    def __init__(
        self, mesh: FaceMesh, offsets: FloatArray, side: int, rules: ControlRules = ControlRules.DESKTOP
    ) -> None:
        """Prepare the mesh and the buffers.

        offsets: (6, 267, 3) blend shapes. side: the crop's side in pixels.
        """
        self._mesh, self._side, self._rules = mesh, side, RULES[rules]
        bends = mesh.categories < UPPER_TEETH
        if self._rules.rigid_inside:
            bends &= mesh.categories >= 0
        self._offsets = np.ascontiguousarray((offsets * bends[:, None]).reshape(len(offsets), -1), np.float64)
        self._jaw = mesh.categories == LOWER_TEETH
        self._follows = (mesh.categories[:TRACKED] != BORDER)[:, None]
        self._depth = np.empty((side, side))

    def bent(self, coefficients: FloatArray) -> NDArray[np.float64]:
        """Return the canonical vertices deformed by (6,) coefficients, (267, 3)."""
        vertices = self._mesh.vertices + (coefficients.astype(np.float64) @ self._offsets).reshape(-1, 3)
        open_by = float(coefficients[0]) + float(coefficients[1])
        vertices[self._jaw] += (0.0, open_by / TEETH_DOWN + self._rules.jaw, max(open_by / TEETH_IN, 0.0))
        return vertices

    def draw(self, coefficients: FloatArray, matrix: NDArray[np.float64], landmarks: FloatArray) -> FloatArray:
        """Return the control image, (4, S, S) float32 RGBA 0..1.

        coefficients: (6,). matrix: (4, 4) from canonical space to crop pixels. landmarks: the filmed face's, (209, 2)
            in crop pixels, relative to which the warp is measured.
        """
        points = self.bent(coefficients) @ matrix[:3, :3].T + matrix[:3, 3]
        warps = np.zeros((len(points), 2))
        warps[:TRACKED] = (points[:TRACKED, :2] - landmarks) * (2.0 / self._side) * self._follows
        image = np.empty((4, self._side, self._side), np.float32)
        draw_control(points, warps, self._mesh.categories, self._mesh.triangles, self._rules.offset, image, self._depth)
        return image
