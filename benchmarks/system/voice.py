"""Accuracy, timing and cost of the mouth that a voice drives, in the engine alone and at a viewer.

Times are processor time of one thread. The speech is synthesised by espeak-ng, in voices and languages that the network
was not trained on, because its closures are known to the millisecond; without espeak-ng those figures are left out.
"""

import json
import statistics
import time
from typing import Any

import numpy as np

from engines.api import VoiceBlock
from engines.mesh.speech.speech_motion import Speaker
from engines.mesh.speech.visemes import WEIGHTS
from engines.registry import load
from harness import far_end
from harness.lip_sync import RATE, closures, follows, resting_movement, same_however_cut
from harness.sample_avatar import sample_avatar
from shared.face.landmarks import Face
from shared.runtime.clock import SOUND_RATE_HZ, US


def cost(face: Face) -> dict[str, float]:
    """Measure the processor milliseconds for the voice of one frame, without drawing the image."""
    speaker, times = Speaker(face, RATE), []
    sound = np.random.default_rng(5).normal(0, 3000, 4 * SOUND_RATE_HZ).astype(np.int16)
    for at in range(0, len(sound), 1920):
        start = time.thread_time()
        speaker.hear(VoiceBlock(at * US // SOUND_RATE_HZ, sound[at : at + 1920]))
        times.append((time.thread_time() - start) * 1e3)
    return {"median": round(statistics.median(times), 3), "p95": round(float(np.percentile(times, 95)), 3)}


def measure() -> dict[str, Any]:
    """Return all figures. `network`: those that training recorded for voices and languages that it had not heard."""
    from engines.mesh.motion import MIDDLE, lip_gaps
    from training.visemes.espeak import espeak_installed

    face = sample_avatar().face
    own = float(lip_gaps(face.points @ face.rotation / face.eye_distance)[MIDDLE].mean())
    ahead = load("mesh").info.voice_ahead_us
    figures: dict[str, Any] = {
        "voice_ahead_ms": ahead / 1000,
        "ms_per_frame": cost(face),
        "same_however_cut": same_however_cut(face),
        "mouth_moves_in_silence": resting_movement(face, own),
        "network": json.loads(WEIGHTS.with_suffix(".json").read_text(encoding="utf-8"))["held_out"],
    }
    if espeak_installed():
        figures |= {"closures": closures(face), "opening_against_voiced_loudness": follows(face, own)}
    return figures | {"at_a_viewer": far_end.measure()}
