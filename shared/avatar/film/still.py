"""The frame of a film that makes the best portrait: frontal, sharp, eyes open, mouth closed."""

import numpy as np

from shared.avatar.film.judge import Flags
from shared.avatar.film.track import FilmTrack, SeenFace

DEGREES = 12.0  # each of these counts as one: degrees off the front,
MOUTH = 0.03  # eye distances of opening,
LIDS, SOFT = 0.2, 0.3  # and shares of the usual openness of the eyes and sharpness of the face that are missing
CLOSED = 0.012  # an opening that landmarks report of a closed mouth


def choose_still(track: FilmTrack, unfit: Flags) -> int:
    """Return the number of the best frame among those that are fit; of all with a face where none is.

    At least one frame has a face.
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
