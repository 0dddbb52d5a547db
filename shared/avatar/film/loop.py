"""Which part of a film is played to and fro: the longest that is fit, turning where little moves."""

import numpy as np
from numpy.typing import NDArray

from shared.avatar.film.judge import Flags, runs_of
from shared.avatar.film.report import Loop, Shot
from shared.avatar.film.track import FilmTrack

MIN_LOOP_S = 1.0  # shorter, a loop is a tremor: then all but the excluded parts is fit
CALM_PERCENTILE = 95


def choose_loop(track: FilmTrack, shots: tuple[Shot, ...], fps: float, unfit: Flags, excluded: Flags) -> Loop:
    """Return the frames to play. At least one frame is not excluded.

    Where the direction turns the face moves no further and the image changes no more than in 95 of 100 of the film's
    own steps from frame to frame; cuts are not steps.
    """
    motion, change = face_motion(track), np.array([each.mean for each in track.changes])
    steps = np.ones(len(track), np.bool_)
    steps[[shot.first for shot in shots]] = False
    motions = motion[steps & np.isfinite(motion)]
    most_motion = float(np.percentile(motions, CALM_PERCENTILE)) if len(motions) else 0.0
    most_change = float(np.percentile(change[steps], CALM_PERCENTILE)) if steps.any() else 0.0
    calm = (np.nan_to_num(motion) <= most_motion) & (change <= most_change) & steps
    first, end = _longest(~(unfit | excluded))
    if end - first < MIN_LOOP_S * fps:
        first, end = _longest(~excluded)
    turns = np.flatnonzero(calm[first + 1 : end]) + first + 1  # frames with a calm step to them from the one before
    if len(turns):
        first, end = int(turns[0]) - 1, int(turns[-1]) + 1
    elif end - first > 1:
        end = first + 1  # no calm step at all: a still
    seam = [at for at in (first + 1, end - 1) if end - first > 1]
    return Loop(
        first=first,
        end=end,
        seam_motion=round(float(np.nan_to_num(motion[seam]).max(initial=0.0)), 5),
        seam_change=round(float(change[seam].max(initial=0.0)), 4),
        motion=round(most_motion, 5),
        change=round(most_change, 4),
    )


def face_motion(track: FilmTrack) -> NDArray[np.float64]:
    """(N,) how far the face's points move from the frame before, as a share of its size; NaN where either has none."""
    moved = np.full(len(track), np.nan)
    for number in range(1, len(track)):
        before, face = track.faces[number - 1], track.faces[number]
        if before is not None and face is not None:
            moved[number] = np.linalg.norm(face.stable - before.stable, axis=1).mean() / face.size
    return moved


def _longest(fit: Flags) -> tuple[int, int]:
    runs = runs_of(fit)
    return max(runs, key=lambda run: run[1] - run[0]) if runs else (0, 0)
