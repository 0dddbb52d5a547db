"""A scripted performance: twelve seconds of talking, as points of a face and as sound.

It is computed from the points of a given face alone, so that it can ship with the studio, drive a
first start without a camera, and serve the tests as a driver whose movements are all known.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from shared.easing import smoothstep
from shared.face.blink import closure_since
from shared.face.landmarks import LEFT_EYE_CORNERS, LEFT_IRIS, POINTS, RIGHT_EYE_CORNERS, RIGHT_IRIS, SURFACE, Face
from shared.face.rest_pose import rotation_matrix
from shared.runtime.clock import SOUND_RATE_HZ

SCRIPT_S = 12.0  # length of the script, which ends with the gesture that it begins with

_UPPER_LIP = (191, 80, 81, 82, 13, 312, 311, 310, 415, 183, 42, 41, 38, 12, 268, 271, 272, 407)
_LOWER_LIP = (95, 88, 178, 87, 14, 317, 402, 318, 324, 96, 89, 179, 86, 15, 316, 403, 319, 325)
_RIGHT_UPPER_LID = (246, 161, 160, 159, 158, 157, 173)
_RIGHT_LOWER_LID = (7, 163, 144, 145, 153, 154, 155)
_LEFT_UPPER_LID = (466, 388, 387, 386, 385, 384, 398)
_LEFT_LOWER_LID = (249, 390, 373, 374, 380, 381, 382)
_BLINK_FLOOR = 0.24  # opening that a tracker measures in a closed eye, as a share of an open one
_LIP_GAP_FULL = 0.17  # lip gap of a fully open mouth in eye distances


@dataclass(frozen=True, slots=True)
class Gesture:
    """Expression and pose of a face at one moment, relative to the given face; all zero is the given face itself.

    yaw, pitch, roll: degrees added to the pose (see `shared.face.landmarks.Pose`). mouth: 0 closed to 1 wide open.
    wide: 1 spreads the lips as for "ee", -1 rounds them as for "oo". blink: 0 to 1. brow: -1 to 1.
    look_x, look_y: gaze to the frame's right and down, -1 to 1.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    mouth: float = 0.0
    wide: float = 0.0
    blink: float = 0.0
    brow: float = 0.0
    look_x: float = 0.0
    look_y: float = 0.0


@dataclass(frozen=True, slots=True)
class Syllable:
    """One syllable of the script.

    start, length: seconds. loud: loudness, 0 to 1. mouth, wide: as in `Gesture`. first, second: frequencies of the
    first two formants in hertz.
    """

    start: float
    length: float
    loud: float
    mouth: float
    wide: float
    first: float
    second: float


_VOWELS = {  # mouth, wide, first and second formant (Peterson and Barney, 1952, men)
    "a": (0.95, 0.1, 730, 1090),
    "e": (0.55, 0.6, 530, 1840),
    "i": (0.30, 0.9, 270, 2290),
    "o": (0.60, -0.6, 570, 840),
    "u": (0.28, -1.0, 300, 870),
    "m": (0.05, 0.0, 250, 1200),
}
# Phrases as (start in seconds, vowels of the syllables); a capital is stressed.
_PHRASES = ((0.7, "oAeim"), (2.3, "aeOiuAm"), (4.5, "iAomeEa"), (6.7, "uaE"), (8.0, "aOimeuAo"), (10.4, "eAm"))
_BLINKS = (1.9, 4.2, 7.6, 10.1)
_LOOKS = (  # seconds, gaze, brow
    (0.0, 0.0, 0.0, 0.0),
    (2.2, 0.5, 0.1, 0.3),
    (4.3, -0.6, -0.1, 0.8),
    (6.4, 0.1, 0.3, -0.1),
    (7.7, 0.6, -0.1, 0.6),
    (10.2, -0.3, 0.0, 0.1),
    (11.4, 0.0, 0.0, 0.0),
)


def syllables() -> tuple[Syllable, ...]:
    """Return the syllables of the script, in order."""
    chance = np.random.default_rng(11)
    spoken = []
    for start, letters in _PHRASES:
        at = start
        for letter in letters:
            length = float(chance.uniform(0.17, 0.24)) * (1.2 if letter.isupper() else 1.0)
            mouth, wide, first, second = _VOWELS[letter.lower()]
            stress = 1.0 if letter.isupper() else float(chance.uniform(0.55, 0.85))
            spoken.append(Syllable(at, length, stress, mouth * (0.6 + 0.4 * stress), wide, first, second))
            at += length
    return tuple(spoken)


_SCRIPT = syllables()


def gesture_at(seconds: float) -> Gesture:
    """Return the performance's gesture at a time in seconds; it repeats after SCRIPT_S."""
    t = seconds % SCRIPT_S
    mouth = wide = 0.0
    for each in _SCRIPT:
        share = _bump(t, each)
        mouth = max(mouth, each.mouth * share)
        wide += each.wide * share
    blink = max(closure_since(t - start) for start in _BLINKS)
    look_x, look_y, brow = _look(t)
    turn = 2 * np.pi * t / SCRIPT_S
    fade = float(np.sin(np.pi * t / SCRIPT_S) ** 0.5)  # the head is at rest where the loop closes
    emphasis = sum(s.loud * _bump(t, s) for s in _SCRIPT if s.loud == 1.0)
    return Gesture(
        yaw=fade * float(6.5 * np.sin(2 * turn) + 3.0 * np.sin(5 * turn + 0.7) + 2.0 * np.sin(3 * turn + 2.0)),
        pitch=fade * float(4.4 * np.sin(3 * turn + 0.5) + 2.6 * np.sin(7 * turn) + 1.8 * emphasis),
        roll=fade * float(3.2 * np.sin(2 * turn + 1.9) + 1.2 * np.sin(5 * turn)),
        mouth=mouth,
        wide=float(np.clip(wide, -1.0, 1.0)),
        blink=blink,
        brow=brow,
        look_x=look_x,
        look_y=look_y,
    )


def perform(face: Face, seconds: float) -> Face:
    """Return the given face performing the script at a time in seconds."""
    return shape(face, gesture_at(seconds))


def shape(face: Face, gesture: Gesture) -> Face:
    """Return the given face making a gesture: the points are moved in head space, then the head is turned."""
    unit = face.eye_distance
    home = face.rotation
    centre = face.points[[234, 454]].mean(axis=0, dtype=np.float64) + home[:, 2] * 0.15 * unit
    local = (face.points - centre) @ home / unit
    moved = local + _speech(local, gesture) + _brows(local, gesture)
    moved = _gaze(_lids(moved, gesture), gesture)
    pose = face.pose
    turned = rotation_matrix(pose.yaw + gesture.yaw, pose.pitch + gesture.pitch, pose.roll + gesture.roll)
    return Face((moved * unit @ turned.T + centre).astype(np.float32))


def voice(seconds: float) -> NDArray[np.int16]:
    """Return the sound of the script, repeated to this length: (N,) int16, 48 kHz mono."""
    count = round(seconds * SOUND_RATE_HZ)
    once = _voice_once()
    return np.resize(once, count) if count else np.zeros(0, np.int16)


def _bump(t: float, syllable: Syllable) -> float:
    """Strength of a syllable at a time, 0 to 1; adjacent ones overlap, so the mouth does not close between them."""
    middle, half = syllable.start + syllable.length / 2, 0.72 * syllable.length
    off = abs(t - middle) / half
    return float(np.cos(np.pi / 2 * off) ** 2) if off < 1.0 else 0.0


def _look(t: float) -> tuple[float, float, float]:
    """Gaze x, gaze y and brow at a time; the gaze changes within 80 ms, the brow within a quarter of a second."""
    x = y = brow = 0.0
    for (start, x1, y1, b1), (_, x0, y0, b0) in zip(_LOOKS[1:], _LOOKS[:-1], strict=True):
        quick, slow = smoothstep((t - start) / 0.08), smoothstep((t - start) / 0.25)
        x, y, brow = x + (x1 - x0) * quick, y + (y1 - y0) * quick, brow + (b1 - b0) * slow
    return x, y, brow


def _speech(local: NDArray[np.float64], gesture: Gesture) -> NDArray[np.float64]:
    """(478, 3) movement of jaw, lips and cheeks in eye distances."""
    moved = np.zeros_like(local)
    lip = (local[13] + local[14]) / 2
    x, y = local[:, 0] - lip[0], local[:, 1] - lip[1]
    reach = np.maximum(local[152, 1] - lip[1], 0.1)
    side = np.exp(-((x / 0.42) ** 2))
    jaw = np.where(y > 0, smoothstep(y / (0.35 * reach)), 0.0) * side
    lower = np.zeros(POINTS)
    lower[list(_LOWER_LIP)] = np.exp(-((x[list(_LOWER_LIP)] / 0.2) ** 4))
    upper = np.zeros(POINTS)
    upper[list(_UPPER_LIP)] = np.exp(-((x[list(_UPPER_LIP)] / 0.2) ** 4))
    near_upper = np.where((y <= 0) & (y > -0.16), np.exp(-((x / 0.2) ** 2)) * smoothstep(1 + y / 0.16), 0.0)
    gap = _LIP_GAP_FULL * gesture.mouth
    moved[:, 1] += 0.82 * gap * np.maximum(jaw, lower) - 0.18 * gap * np.maximum(near_upper, upper)
    moved[:SURFACE, 2] += 0.10 * gap * jaw[:SURFACE]
    ring = np.exp(-((x / 0.3) ** 2) - (y / 0.16) ** 2)
    moved[:, 0] += x * ring * (0.16 * max(gesture.wide, 0.0) + 0.30 * min(gesture.wide, 0.0))
    moved[:, 2] += 0.06 * ring * min(gesture.wide, 0.0)
    moved[POINTS - 10 :] = 0.0
    return moved


def _brows(local: NDArray[np.float64], gesture: Gesture) -> NDArray[np.float64]:
    moved = np.zeros_like(local)
    eye = local[[33, 263], 1].mean()
    height = (eye - local[:, 1]) / 0.22  # about 1 on the brows
    moved[:SURFACE, 1] = -0.055 * gesture.brow * np.exp(-(((height[:SURFACE] - 1.0) / 0.55) ** 2))
    return moved


def _lids(local: NDArray[np.float64], gesture: Gesture) -> NDArray[np.float64]:
    moved = local.copy()
    closed = gesture.blink * (1.0 - _BLINK_FLOOR)
    for upper, lower in ((_RIGHT_UPPER_LID, _RIGHT_LOWER_LID), (_LEFT_UPPER_LID, _LEFT_LOWER_LID)):
        gap = local[list(lower)] - local[list(upper)]
        moved[list(upper)] += 0.88 * closed * gap
        moved[list(lower)] -= 0.12 * closed * gap
    return moved


def _gaze(local: NDArray[np.float64], gesture: Gesture) -> NDArray[np.float64]:
    moved = local.copy()
    for iris, corners in ((RIGHT_IRIS, RIGHT_EYE_CORNERS), (LEFT_IRIS, LEFT_EYE_CORNERS)):
        width = abs(float(local[corners[0], 0] - local[corners[1], 0]))
        moved[iris : iris + 5, 0] += 0.16 * width * gesture.look_x
        moved[iris : iris + 5, 1] += 0.10 * width * gesture.look_y
    return moved


@cache
def _voice_once() -> NDArray[np.int16]:
    """The sound of the whole script once, read-only, by the source-filter model (Fant, 1960).

    Glottal pulses of varying pitch are shaped by moving resonances; the loudness follows the mouth's opening.
    """
    count = round(SCRIPT_S * SOUND_RATE_HZ)
    t = np.arange(count) / SOUND_RATE_HZ
    loud = np.zeros(count)
    tracks = np.zeros((2, count))
    weight = np.full(count, 1e-6)
    for each in _SCRIPT:
        lo = max(0, int((each.start - each.length) * SOUND_RATE_HZ))
        hi = min(count, int((each.start + 2 * each.length) * SOUND_RATE_HZ))
        off = np.abs(t[lo:hi] - each.start - each.length / 2) / (0.72 * each.length)
        share = np.where(off < 1.0, np.cos(np.pi / 2 * off) ** 2, 0.0)
        loud[lo:hi] = np.maximum(loud[lo:hi], share * each.loud * (0.25 + 0.75 * each.mouth))
        tracks[0, lo:hi] += share * each.first
        tracks[1, lo:hi] += share * each.second
        weight[lo:hi] += share
    first, second = np.where(weight > 1e-3, tracks / weight, np.array([[500.0], [1500.0]]))
    pitch = 128.0 + 9.0 * np.sin(2 * np.pi * t / 1.7) + 22.0 * loud + 1.5 * np.sin(2 * np.pi * 5.1 * t)
    phase = np.cumsum(pitch) / SOUND_RATE_HZ
    sound = np.zeros(count)
    # harmonics of the glottal source fall by 12 dB per octave; radiation at the lips adds 6 dB per octave
    for harmonic in range(1, 29):
        frequency = harmonic * pitch
        gain = _resonance(frequency, first, 90.0) + 0.5 * _resonance(frequency, second, 120.0)
        gain += 0.16 * _resonance(frequency, 2600.0, 180.0) + 0.02
        sound += gain / harmonic * np.sin(2 * np.pi * harmonic * phase)
    breath = np.random.default_rng(5).normal(0.0, 1.0, count)
    sound = (sound / np.abs(sound).max() + 0.006 * breath) * loud
    once = np.asarray(np.clip(sound / np.abs(sound).max() * 0.5, -1, 1) * 32767, np.int16)
    once.setflags(write=False)
    return once


def _resonance(
    frequency: NDArray[np.float64], centre: NDArray[np.float64] | float, width: float
) -> NDArray[np.float64]:
    """Gain of one formant, 1 at its centre."""
    return np.asarray(1.0 / (1.0 + ((frequency - centre) / width) ** 2))
