"""Finds the face in a picture, offline, with the model that mediapipe's wheel carries."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.face import POINTS, Face
from shared.quiet import quiet

MIN_FACE_PX = 96  # a portrait's face needs this many pixels to be worth animating
# A second face takes over only when it scores this much better: no flicker between two people.
SWITCH_MARGIN = 1.3


def face_score(face: Face, width: int, height: int) -> float:
    """Size of a face in pixels, discounted towards the edge of the picture: the most central large
    face scores highest."""
    left, top, right, bottom = face.box
    dx = ((left + right) / 2 - width / 2) / width
    dy = ((top + bottom) / 2 - height / 2) / height
    return face.size * (1.0 - float(np.hypot(dx, dy)))


@dataclass(slots=True)
class FaceTracker:
    """Follows one face through a video, or looks at single pictures (``still=True``).

    Not thread-safe: one per thread. ``track`` takes 3 to 5 ms at 512x512 on one core.
    """

    still: bool = False
    max_faces: int = 2
    _mesh: Any = field(init=False, repr=False)
    _last: Face | None = field(init=False, default=None)
    _found: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        with quiet():
            from mediapipe.python.solutions import face_mesh

            self._mesh = face_mesh.FaceMesh(
                static_image_mode=self.still, refine_landmarks=True, max_num_faces=self.max_faces
            )
            self._mesh.process(np.zeros((64, 64, 3), np.uint8))

    def faces(self, rgb: NDArray[np.uint8]) -> list[Face]:
        """Every face in a (H, W, 3) uint8 RGB picture, best first (see `face_score`)."""
        height, width = rgb.shape[:2]
        if self._found:
            result = self._mesh.process(np.ascontiguousarray(rgb))
        else:
            with quiet():
                result = self._mesh.process(np.ascontiguousarray(rgb))
            self._found = bool(result.multi_face_landmarks)
        found = [
            Face(
                np.array([(p.x * width, p.y * height, p.z * width) for p in each.landmark], np.float32).reshape(
                    POINTS, 3
                )
            )
            for each in result.multi_face_landmarks or ()
        ]
        return sorted(found, key=lambda face: -face_score(face, width, height))

    def track(self, rgb: NDArray[np.uint8]) -> Face | None:
        """The followed face in the next picture of a video, or None while there is none.

        With several faces the one followed so far is kept unless another is clearly more central
        and larger.
        """
        faces = self.faces(rgb)
        if not faces:
            self._last = None
            return None
        best = faces[0]
        if self._last is not None and len(faces) > 1:
            anchor = self._last.points[:468, :2].mean(axis=0)
            kept = min(faces, key=lambda f: float(np.linalg.norm(f.points[:468, :2].mean(axis=0) - anchor)))
            height, width = rgb.shape[:2]
            if face_score(best, width, height) < SWITCH_MARGIN * face_score(kept, width, height):
                best = kept
        self._last = best
        return best

    def close(self) -> None:
        self._mesh.close()
