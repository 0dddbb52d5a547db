"""Measures of how well a mouth follows synthetic speech whose lip closures are known to the millisecond."""

from fractions import Fraction
from itertools import pairwise
from math import gcd

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from engines.api import VoiceBlock
from engines.mesh.speech.speech_motion import Speaker, SpeechMotion
from engines.mesh.speech.visemes import VISEMES
from shared.face.landmarks import Face
from shared.media.array_types import AudioSamples
from shared.runtime.clock import SOUND_RATE_HZ, US

RATE = Fraction(25)
CLOSED = 0.35  # a seal (see `MeshMotion`) below this is a closed mouth
CLOSURE_TOLERANCE_US = 40_000  # us between a closure in the sound and in the frames
VOICES = ("en-us+f3", "en-us+m4", "it+linda", "it+david", "nl+f5", "nl+pablo")
TEXTS = {
    "en-us": "Maybe Bob and Peter bought a map. My mom made pumpkin pie. Please move the piano, and open the box by "
    "the lamp.",
    "it": "La mamma prepara il pane. Il bambino beve poca acqua. Domani compriamo una bella lampada per Paola.",
    "nl": "Mijn moeder bakt een appel. Papa koopt bloemen op de markt. Bob belt mama op het plein.",
}


def speech(voice: str) -> tuple[AudioSamples, list[tuple[int, int]], list[tuple[int, int]]]:
    """Return a voice's sentences, (n,) int16 at 48 kHz, and (from, to) microseconds of its lip closures and its vowels.

    In a stop consonant the lips are closed from the end of the sound before it until its burst.
    """
    from training.visemes.espeak import speak_text
    from training.visemes.material import VISEME

    spoken = speak_text(TEXTS[voice.split("+")[0]], voice, words_a_minute=150)
    common = gcd(SOUND_RATE_HZ, spoken.rate)
    sound = resample_poly(spoken.samples.astype(np.float32), SOUND_RATE_HZ // common, spoken.rate // common)
    quiet = _quiet(sound)
    closures: list[tuple[int, int]] = []
    vowels: list[tuple[int, int]] = []
    for before, phoneme, after in zip(
        (None, *spoken.phonemes), spoken.phonemes, (*spoken.phonemes[1:], None), strict=False
    ):
        start = round(phoneme.start * US)
        end = round(after.start * US) if after else len(sound) * US // SOUND_RATE_HZ
        first = phoneme.symbol[:1]
        if first in ("p", "b") and before is not None and before.symbol.strip():
            at = start
            while at > start - 120_000 and quiet[max(0, at // 10_000 - 1)]:
                at -= 10_000
            closures.append((at, start if first == "p" else max(start, end - 20_000)))
        elif first == "m":
            closures.append((start, end))
        elif VISEMES[VISEME.get(first, 0)] in ("a", "e", "i", "o", "u"):
            vowels.append((start, end))
    return np.asarray(np.clip(sound, -32768, 32767), np.int16), closures, vowels


def _quiet(sound: NDArray[np.float32]) -> NDArray[np.bool_]:
    count = len(sound) // 480
    loud = np.sqrt(np.mean(sound[: count * 480].reshape(count, 480).astype(np.float64) ** 2, axis=1))
    return np.append(loud < 0.012 * loud.max(), False)


def speak_sound(face: Face, sound: AudioSamples, block: int = 960) -> list[SpeechMotion]:
    """Return the speech motion that the mesh engine makes of a sound, fed in blocks of `block` samples."""
    speaker = Speaker(face, RATE)
    said: list[SpeechMotion] = []
    for at in range(0, len(sound), block):
        said += speaker.hear(VoiceBlock(at * US // SOUND_RATE_HZ, sound[at : at + block]))
    return said + speaker.flush()


def opening(said: list[SpeechMotion], own: float) -> NDArray[np.float64]:
    """Return (n,) distance of the lips per frame in eye distances. own: their distance in the avatar's portrait."""
    return np.array([own * float(s.motion.seal[0]) + float(s.motion.lips[2:7].mean()) for s in said])


def closures(face: Face) -> dict[str, float | int]:
    """Measure lip closures over all VOICES: the share that is seen, the share that is wrong, and the time error."""
    there = seen = shown = wrong = 0
    off: list[int] = []
    for voice in VOICES:
        sound, heard, _ = speech(voice)
        said = speak_sound(face, sound)
        times = [s.pts for s in said if float(s.motion.seal[0]) < CLOSED and not s.waiting]
        there += len(heard)
        for low, high in heard:
            inside = min((max(low - t, t - high, 0) for t in times), default=US)
            seen += inside <= CLOSURE_TOLERANCE_US
            off += [inside] if inside <= 4 * CLOSURE_TOLERANCE_US else []
        for t in times:
            shown += 1
            wrong += all(
                not low - CLOSURE_TOLERANCE_US <= t <= high + CLOSURE_TOLERANCE_US for low, high in heard
            ) and _spoken(sound, t)
    return {
        "in_the_sound": there,
        "seen_within_40ms": round(seen / there, 3),
        "frames_closed_without": round(wrong / max(1, shown), 3),
        "off_ms_p95": round(float(np.percentile(off, 95)) / 1000, 1),
    }


def _spoken(sound: AudioSamples, pts: int) -> bool:
    """Whether there is sound, not a pause, in the 80 ms around a time."""
    at = pts * SOUND_RATE_HZ // US
    near = sound[max(0, at - 1920) : at + 1920].astype(np.float64)
    return bool(np.sqrt(np.mean(near**2)) > 0.02 * np.abs(sound).max()) if len(near) else False


def follows(face: Face, own: float) -> dict[str, float]:
    """Return per voice, one in each language, the correlation of the mouth's opening with the loudness of vowels."""
    result = {}
    for voice in VOICES[::2]:
        sound, _, vowels = speech(voice)
        said = speak_sound(face, sound)
        level = np.array([_level(sound, s.pts) * any(a <= s.pts <= b for a, b in vowels) for s in said])
        result[voice] = round(float(np.corrcoef(_smooth(opening(said, own)), _smooth(level))[0, 1]), 3)
    return result


def _level(sound: AudioSamples, pts: int) -> float:
    at = pts * SOUND_RATE_HZ // US
    return float(np.sqrt(np.mean(sound[max(0, at - 960) : at + 960].astype(np.float64) ** 2)))


def _smooth(value: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.convolve(value, (0.25, 0.5, 0.25), "same")


def resting_movement(face: Face, own: float) -> dict[str, float]:
    """Return per kind of noise the share of frames in which the mouth moves without speech.

    A movement is an opening that differs from rest by more than 0.01 eye distances.
    """
    chance, seconds = np.random.default_rng(4), 6
    rooms = {"silence": 0.0, "quiet_room": 30.0, "loud_room": 1500.0}
    result = {}
    for name, loud in rooms.items():
        noise = chance.normal(0, loud, seconds * SOUND_RATE_HZ) if loud else np.zeros(seconds * SOUND_RATE_HZ)
        moved = np.abs(opening(speak_sound(face, np.asarray(noise, np.int16)), own) - own) > 0.01
        result[name] = round(float(moved.mean()), 3)
    return result


def same_however_cut(face: Face) -> bool:
    """Whether the motion is exactly equal for every size of the blocks in which the sound is fed."""
    sound = np.random.default_rng(6).normal(0, 2000, 2 * SOUND_RATE_HZ).astype(np.int16)
    ways = [speak_sound(face, sound, block) for block in (len(sound), 960, 441, 5000)]
    return all(
        len(a) == len(b) and all(np.array_equal(x.motion.flat(), y.motion.flat()) for x, y in zip(a, b, strict=True))
        for a, b in pairwise(ways)
    )
