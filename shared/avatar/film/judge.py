"""Derives from a film's track its shots, its named stretches, and the frames in which a face is placed."""

import numpy as np
from numpy.typing import NDArray

from shared.avatar.film.cuts import find_cuts
from shared.avatar.film.look import PATCH
from shared.avatar.film.report import Kind, Shot, Stretch
from shared.avatar.film.track import FilmTrack, Sight

BRIDGE_S = 0.5  # gaps up to this are bridged within a shot
FADE_S = 0.2
COVERED, LASTING = (
    0.09,
    0.055,
)  # share of unlike cells above which a face is covered: in a single frame, and in consecutive frames
BLURRED = 0.45  # share of the film's usual sharpness below which a face is blurred
TURNED_YAW, TURNED_PITCH = 40.0, 30.0  # degrees beyond which too little of the face is visible
TURNING_YAW = 30.0  # degrees; a face that is lost beyond this yaw has turned away
TURNING_DEGREES = 2.5  # lowest rotation per frame of a head that keeps turning
# Speech opens and closes the mouth, a face at rest does neither: window, and spread and level of `Face.mouth_opening`.
SPEAKING_S, SPEAKING_SPREAD, OPEN_MOUTH = 0.5, 0.010, 0.05
AT_REST = 0.012  # largest difference from the opening before or after speech at which the mouth counts as at rest
Flags = NDArray[np.bool_]


def find_shots(track: FilmTrack) -> tuple[Shot, ...]:
    """The film's shots, in order, without gaps."""
    starts = [0, *find_cuts(track.changes)]
    ends = [*starts[1:], len(track)]
    return tuple(
        Shot(first=first, end=end, like_before=not any(first <= at < end for at in track.unlike_before))
        for first, end in zip(starts, ends, strict=True)
    )


def face_parts(track: FilmTrack, shots: tuple[Shot, ...], fps: float) -> list[tuple[int, int]]:
    """Return (first, end) of the parts in which the face is placed: each in one shot, with gaps of at most 0.5 s."""
    parts: list[tuple[int, int]] = []
    longest = round(BRIDGE_S * fps)
    for shot in shots:
        inside = False
        for number in range(shot.first, shot.end):
            if track.faces[number] is None:
                continue
            if inside and number - parts[-1][1] <= longest:
                parts[-1] = parts[-1][0], number + 1
            else:
                parts.append((number, number + 1))
            inside = True
    return parts


def presence(parts: list[tuple[int, int]], shots: tuple[Shot, ...], frames: int, fps: float) -> NDArray[np.float32]:
    """Return (N,) float32 opacities, 0 to 1, of the placed face in each frame.

    The face fades over 0.2 s at the beginning and end of a part, except at a cut and at the film's beginning and end.
    """
    shown = np.zeros(frames, np.float32)
    borders = {0, frames, *(shot.first for shot in shots)}
    fade = max(1, round(FADE_S * fps))
    for first, end in parts:
        number = np.arange(first, end)
        since = np.inf if first in borders else (number - first + 1) / (fade + 1)
        left = np.inf if end in borders else (end - number) / (fade + 1)
        shown[first:end] = np.minimum(1.0, np.minimum(since, left))
    return shown


def name_stretches(track: FilmTrack, shots: tuple[Shot, ...], fps: float, excluded: Flags) -> tuple[Stretch, ...]:
    """Return the film's named stretches, ordered by kind and time."""
    flags: dict[Kind, Flags] = {
        **_missing(track, shots),
        "blurred": _blurred(track),
        "talking": (talking := speaking(track, shots, fps)),
        "closed_mouth": np.array([face is not None for face in track.faces]) & ~talking,
        "excluded": excluded,
    }
    flags["turned_away"] |= np.array(
        [
            face is not None and (abs(face.pose.yaw) > TURNED_YAW or abs(face.pose.pitch) > TURNED_PITCH)
            for face in track.faces
        ]
    )
    # A face in profile does not look like the remembered one either, so it does not count as covered.
    flags["covered"] |= _unlike(track) & ~flags["turned_away"] & ~_turning(track)
    return tuple(
        Stretch(kind=kind, first=first, end=end) for kind, flag in flags.items() for first, end in runs_of(flag)
    )


def runs_of(flags: Flags) -> list[tuple[int, int]]:
    """(first, end) of each run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return [(int(first), int(end)) for first, end in zip(edges[::2], edges[1::2], strict=True)]


def speaking(track: FilmTrack, shots: tuple[Shot, ...], fps: float) -> Flags:
    """Return (N,) flags of the frames in which the host's mouth is open or moves as in speech."""
    mouth = np.array([np.nan if face is None else face.mouth for face in track.faces])
    half = max(1, round(SPEAKING_S * fps / 2))
    talking = np.zeros(len(track), np.bool_)
    for shot in shots:
        for number in range(shot.first, shot.end):
            near = mouth[max(shot.first, number - half) : min(shot.end, number + half + 1)]
            near = near[np.isfinite(near)]
            if len(near) and np.isfinite(mouth[number]):
                talking[number] = near.std() > SPEAKING_SPREAD or mouth[number] > OPEN_MOUTH
        _draw_in(talking, mouth, shot)
    return talking


def _draw_in(talking: Flags, mouth: NDArray[np.float64], shot: Shot) -> None:
    """Shorten each run of speech in a shot, in place, to the frames in which the mouth is not at rest.

    This is needed because a frame is judged by its neighbours, so runs begin before speech and end after it.
    """
    for first, end in runs_of(talking[shot.first : shot.end]):
        first, end = first + shot.first, end + shot.first
        for number, step, border in ((first, 1, shot.first), (end - 1, -1, shot.end - 1)):
            if number == border:
                continue  # there is no frame of rest to compare with
            rest = mouth[number - step]
            while talking[number] and mouth[number] <= OPEN_MOUTH and abs(mouth[number] - rest) <= AT_REST:
                talking[number] = False
                number += step
                if not first <= number < end:
                    break


def _missing(track: FilmTrack, shots: tuple[Shot, ...]) -> dict[Kind, Flags]:
    """Flags of the frames without the host's face, by reason.

    If the face was turned away before or after a run of such frames, the whole run counts as turned away. Of any other
    run, frames with something in the face's place show another person or a cover, whichever most of them indicate.
    """
    flags: dict[Kind, Flags] = {
        kind: np.zeros(len(track), np.bool_) for kind in ("absent", "other_person", "covered", "turned_away")
    }
    lost, turning = np.array([face is None for face in track.faces]), _turning(track)
    for shot in shots:
        for first, end in runs_of(lost[shot.first : shot.end]):
            first, end = first + shot.first, end + shot.first
            sights = np.array(track.sights[first:end])
            if _turned_before_or_after(track, turning, first, end):
                flags["turned_away"][first:end] = True
                continue
            somewhere = sights != Sight.ABSENT
            if somewhere.any():
                other = int((sights == Sight.OTHER).sum()) > int((sights == Sight.HIDDEN).sum())
                flags["other_person" if other else "covered"][first:end] |= somewhere
            flags["absent"][first:end] |= ~somewhere
    return flags


def _unlike(track: FilmTrack) -> Flags:
    """Flags of the frames in which a part of the found face looks like something else."""
    share = np.array([0.0 if face is None else face.likeness.unlike for face in track.faces])
    patch = np.array([0.0 if face is None else face.likeness.patch for face in track.faces])
    padded = np.pad(share, 1, mode="edge")
    lasting = np.median([padded[:-2], padded[1:-1], padded[2:]], axis=0) > LASTING
    return np.asarray((share > COVERED) | (patch > PATCH) | ((share > LASTING) & lasting), np.bool_)


def _turned_before_or_after(track: FilmTrack, turning: Flags, first: int, end: int) -> bool:
    """Whether the face before or after a gap is half turned away, or keeps turning on both sides of the gap.

    A head that turned away turns back after the gap; a head that something passed in front of returns unchanged.
    """
    sides = [at for at in (first - 1, end) if 0 <= at < len(track)]
    faces = [face for face in (track.faces[at] for at in sides) if face is not None]
    away = any(abs(face.pose.yaw) > TURNING_YAW for face in faces)
    further = [at for at in (first - 2, end + 1) if 0 <= at < len(track)]
    return away or bool(turning[further].all() if further else False)


def _turning(track: FilmTrack) -> Flags:
    """Flags of the frames in which a head keeps turning, so that its face looks different from frame to frame.

    Two steps in the same direction are required: an object that passes in front of a face moves its points only once.
    """
    yaw, pitch = (
        np.array([np.nan if face is None else getattr(face.pose, of) for face in track.faces])
        for of in ("yaw", "pitch")
    )
    turning = np.zeros(len(track), np.bool_)
    for angle in (yaw, pitch):
        step = np.diff(angle)
        going = (step[:-1] * step[1:] > 0) & (np.minimum(np.abs(step[:-1]), np.abs(step[1:])) > TURNING_DEGREES)
        turning[1:-1] |= going
    return turning


def _blurred(track: FilmTrack) -> Flags:
    """Flags of the frames in which the face is much less sharp than usual in the film."""
    values = np.array([np.nan if face is None else face.sharpness for face in track.faces])
    blurred = np.zeros(len(values), np.bool_)
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return blurred
    usual = float(np.percentile(values[known], 60))
    blurred[known] = values[known] < BLURRED * usual
    return blurred
