"""Finds faces in images and follows one face through a video."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shared.face.landmarks import Face
from shared.face.networks.landmarker import FaceLandmarker

MIN_FACE_PX = 96  # a portrait's face needs this many pixels to be worth animating
SURVEY_PERIOD_FRAMES = 50  # interval at which a whole frame is searched for other faces
PixelBounds = tuple[int, int, int, int]  # left, top, right, bottom
# Another face is followed only if its score is better by this factor, so that tracking does not alternate between two.
SWITCH_MARGIN = 1.3


def face_score(face: Face, width: int, height: int) -> float:
    """Return the size of a face in pixels, reduced by its distance from the image's centre.

    A large face near the centre scores highest.
    """
    left, top, right, bottom = face.box
    dx = ((left + right) / 2 - width / 2) / width
    dy = ((top + bottom) / 2 - height / 2) / height
    return face.size * (1.0 - float(np.hypot(dx, dy)))


@dataclass(slots=True)
class FaceTracker:
    """Follows one face through a video, or finds the faces in single images (``still=True``). Not thread-safe.

    max_faces: most faces that `faces` finds in a single image. In a video one face is followed, which takes half the
        time of looking for a second one in every frame; the whole frame is searched every SURVEY_PERIOD_FRAMES.
    """

    still: bool = False
    max_faces: int = 2
    _landmarker: FaceLandmarker = field(init=False, repr=False)
    _survey: "FaceTracker | None" = field(init=False, repr=False, default=None)
    _last: Face | None = field(init=False, default=None)
    _region: PixelBounds | None = field(
        init=False, default=None
    )  # the only part of the image shown to the model until it follows the face there
    _until_survey: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._landmarker = FaceLandmarker(not self.still, self.max_faces)
        if not self.still:
            self._survey = FaceTracker(still=True, max_faces=self.max_faces)

    def faces(self, rgb: NDArray[np.uint8]) -> list[Face]:
        """Return the faces in a (H, W, 3) uint8 RGB image, highest `face_score` first."""
        height, width = rgb.shape[:2]
        found = [Face(points) for points in self._landmarker.find(rgb)]
        return sorted(found, key=lambda face: -face_score(face, width, height))

    def track(self, rgb: NDArray[np.uint8]) -> Face | None:
        """Return the followed face in the next frame of a video, None if there is none.

        Of several faces the one with the highest score is followed, until another one's score is clearly higher.
        """
        shown = rgb if self._region is None else _only(rgb, self._region)
        face = next(iter(self.faces(shown)), None)
        if self._survey is None:
            return face
        if self._region is not None:
            if face is None:  # the model loses the old face in one frame and finds the new one only in the next
                face = next(iter(self._survey.faces(shown)), None)
            else:
                self._region = None
        if face is None or self._last is None:
            self._until_survey = 0
        if self._until_survey == 0 and face is not None:
            face = self._choose(rgb, face)
        self._until_survey = max(0, self._until_survey - 1)
        self._last = face
        return face

    def _choose(self, rgb: NDArray[np.uint8], face: Face) -> Face:
        """Search the whole frame and return the face to follow, which may be another one."""
        assert self._survey is not None
        self._until_survey = SURVEY_PERIOD_FRAMES
        height, width = rgb.shape[:2]
        everyone = self._survey.faces(rgb)
        if len(everyone) < 2:
            return face
        best, kept = everyone[0], min(everyone, key=lambda f: _distance(f, face))
        margin = 1.0 if self._last is None else SWITCH_MARGIN
        if best is kept or face_score(best, width, height) < margin * face_score(kept, width, height):
            return face
        left, top, right, bottom = best.box
        grow_x, grow_y = 0.25 * (right - left), 0.25 * (bottom - top)
        self._region = (
            max(0, int(left - grow_x)),
            max(0, int(top - grow_y)),
            min(width, int(right + grow_x)),
            min(height, int(bottom + grow_y)),
        )
        return best

    def restart(self) -> None:
        """Discard the state; the next frame is treated as the first of a video."""
        self._landmarker.forget()
        self._last, self._region, self._until_survey = None, None, 0


def _distance(one: Face, other: Face) -> float:
    return float(np.linalg.norm(one.middle - other.middle))


def _only(rgb: NDArray[np.uint8], region: PixelBounds) -> NDArray[np.uint8]:
    """The image, black outside the region."""
    left, top, right, bottom = region
    out = np.zeros_like(rgb)
    out[top:bottom, left:right] = rgb[top:bottom, left:right]
    return out
