"""Chooses the frame of a film that makes the best portrait: frontal, sharp, eyes open, mouth closed."""

import numpy as np

from shared.avatar.film.judge import Flags
from shared.avatar.film.track import FilmTrack, SeenFace

# Amounts of each fault that count as one:
DEGREES = 12.0  # rotation of the head in degrees
MOUTH = 0.03  # opening of the mouth in eye distances
LIDS, SOFT = 0.2, 0.3  # missing shares of the usual opening of the eyes and of the usual sharpness of the face
CLOSED = 0.012  # opening that landmarks show for a closed mouth


def choose_still(track: FilmTrack, unfit: Flags) -> int:
    """Return the number of the best fit frame with a face, or of the best frame with a face if none is fit.

    At least one frame must have a face.
    """
    seen = [(number, face) for number, face in enumerate(track.faces) if face is not None]
    fit = [(number, face) for number, face in seen if not unfit[number]] or seen
    usual_lids = float(np.percentile([_lids(face) for _, face in fit], 70))
    usual_sharpness = float(np.percentile([face.sharpness for _, face in fit], 70))
    usual_size = float(np.median([face.size for _, face in fit]))

    def faults(face: SeenFace) -> float:
        turned = (abs(face.pose.yaw) + abs(face.pose.pitch) + 0.5 * abs(face.pose.roll)) / DEGREES
        mouth = max(0.0, face.mouth - CLOSED) / MOUTH
        lids = max(0.0, 1 - _lids(face) / max(usual_lids, 1e-6)) / LIDS
        soft = max(0.0, 1 - face.sharpness / max(usual_sharpness, 1e-6)) / SOFT
        small = max(0.0, 1 - face.size / max(usual_size, 1e-6))
        return turned + mouth + lids + soft + small

    return min(fit, key=lambda each: faults(each[1]))[0]


def _lids(face: SeenFace) -> float:
    return float(min(face.openings[0], face.openings[1]))
