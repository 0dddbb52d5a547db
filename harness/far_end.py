"""Latency of speech at a viewer in a LiveKit room: until it begins, and until silence after an interrupt.

A complete channel, driven by speech, is published to its own LiveKit server. A subscriber in a separate process records
when the sound began, when the mouth moved and when the sound stopped. A vowel is sent as a voice agent does, in blocks
of 20 ms as they are produced, and interrupted at a random phase of the program's ticks.
"""

import contextlib
import json
import random
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import httpx2
import numpy as np
from numpy.typing import NDArray
from websockets.sync.client import ClientConnection, connect

from engines.mesh.topology import INNER_LOWER, INNER_UPPER
from harness.channel import Studio, sample_channel, wait_for
from harness.viewers.subscriber import Received, finished_subscriber, start
from services.local.livekit_server import find_server
from shared.avatar.model import load_avatar
from shared.face.similarity import apply_similarity
from shared.media.array_types import PixelBox
from shared.runtime.clock import SOUND_RATE_HZ

BLOCK_SAMPLES = SOUND_RATE_HZ // 50
TRIALS = 10
REST, SPEAK = 2.5, 1.4  # seconds of silence before each vowel, and of a vowel before its interrupt
CLEAR = 4.0  # the mouth counts as moved when it differs by this many times the variation of a waiting face


def vowel(seconds: float) -> NDArray[np.int16]:
    """Return the vowel "a", (n,) int16 at SOUND_RATE_HZ: harmonics of 120 Hz, formants at 730, 1090 and 2440 Hz."""
    at = np.arange(round(seconds * SOUND_RATE_HZ)) / SOUND_RATE_HZ
    sound = np.zeros(len(at))
    for number in range(1, 34):
        hertz = 120 * number
        gain = sum(w / (1 + ((hertz - f) / 90) ** 2) for f, w in ((730, 1.0), (1090, 0.6), (2440, 0.2)))
        sound += gain * np.sin(2 * np.pi * hertz * at + number)
    return np.asarray(14_000 * sound / np.abs(sound).max(), np.int16)


def measure() -> dict[str, Any]:
    """Measure a voice's latency at the subscriber, in milliseconds over TRIALS trials.

    first_sound_ms, first_frame_ms: from sending the first block to the first sound and to the first movement of the
    mouth. silence_ms: from the interrupt to the last sound. Returns {"skipped": reason} without a LiveKit server.
    """
    if find_server() is None:
        return {"skipped": "there is no livekit-server; deploy/livekit.sh builds one"}
    with sample_channel("--livekit", "--driver", "speech") as (run, _):
        wait_for(lambda: run.state()["outputs"]["livekit"]["state"] == "live", 30, "published")
        seconds = 8 + TRIALS * (REST + SPEAK + 0.5)
        with subscribed(run, seconds) as watching:
            time.sleep(5)
            trials = [speak_and_interrupt(run) for _ in range(TRIALS)]
            received = finished_subscriber(watching)
    sounds, frames, silences = [], [], []
    for begun, interrupted in trials:
        begun, interrupted = begun - received.begun, interrupted - received.begun
        sounds += [1000 * (at - begun) for at in received.onsets if 0 < at - begun < SPEAK][:1]
        frames += [1000 * (at - begun) for at in first_movement(received, begun)]
        silences += [1000 * (max(at for at in received.silences if at < interrupted + 1) - interrupted)]
    return {
        "trials": len(trials),
        "first_sound_ms": spread(sounds),
        "first_frame_ms": spread(frames),
        "silence_ms": spread(silences),
        "frames_a_second": round(len(received.frames) / (received.frames[-1][0] - received.frames[0][0]), 1),
    }


@contextlib.contextmanager
def subscribed(run: Studio, seconds: float) -> Iterator[Any]:
    """Run a subscriber process that records the channel and its mouth region for some seconds."""
    given = httpx2.post(
        f"{run.base}/api/v1/channels/main/viewers", headers={"Authorization": f"Bearer {run.token}"}, trust_env=False
    ).raise_for_status()
    process = start(given.json()["url"], given.json()["token"], seconds, mouth_box(run))
    try:
        yield process
    finally:
        process.kill()


def mouth_box(run: Studio) -> PixelBox:
    """Return (x, y, w, h) of the sample avatar's lips in the program, with room for an open mouth."""
    avatar = load_avatar(run.home / "avatars" / "sample")
    lips = avatar.face.points[np.concatenate([INNER_UPPER, INNER_LOWER]), :2]
    placed = apply_similarity(avatar.plate.placements[0], lips)
    (left, top), (right, bottom) = placed.min(axis=0), placed.max(axis=0)
    return round(left), round(top), round(right - left), max(4, round(bottom - top + 0.25 * (right - left)))


def speak_and_interrupt(run: Studio) -> tuple[float, float]:
    """Send a vowel and interrupt it; return the times of the first block and of the interrupt, monotonic seconds."""
    time.sleep(REST)
    sound = vowel(SPEAK + 1)
    with connect(f"ws{run.base[4:]}/api/v1/channels/main/speech", compression=None, proxy=None) as socket:
        socket.send(json.dumps({"token": run.token, "rate": SOUND_RATE_HZ, "format": "s16"}))
        socket.recv(5)
        time.sleep(0.2 + random.random() * 0.04)
        begun = time.monotonic()
        _produce(socket, sound, begun, SPEAK + random.random() * 0.04)
        interrupted = time.monotonic()
        socket.send('{"do": "interrupt"}')
        time.sleep(0.3)
    return begun, interrupted


def _produce(socket: ClientConnection, sound: NDArray[np.int16], begun: float, seconds: float) -> None:
    """Send the sound in real time, each block at the time at which a synthesiser would have produced it."""
    for number in range(int(seconds / 0.02)):
        time.sleep(max(0.0, begun + number * 0.02 - time.monotonic()))
        socket.send(sound[number * BLOCK_SAMPLES : (number + 1) * BLOCK_SAMPLES].tobytes())


def first_movement(received: Received, begun: float) -> list[float]:
    """Return [time] of the first change of the mouth against the second before `begun`, [] if there was none."""
    before = np.array([luma for at, luma in received.box if begun - 1 < at < begun])
    if len(before) < 5:
        return []
    unrest = max(float(np.abs(before - np.median(before)).max()), 0.5)
    after = [(at, luma) for at, luma in received.box if begun < at < begun + SPEAK]
    moved = [abs(luma - float(np.median(before))) > CLEAR * unrest for _, luma in after]
    return [at for (at, _), pair in zip(after, pairwise(moved), strict=False) if all(pair)][:1]


def spread(values: list[float]) -> dict[str, float | int]:
    """Return median, 95th percentile and number of values in milliseconds."""
    if not values:
        return {"count": 0}
    return {
        "median": round(float(np.median(values)), 1),
        "p95": round(float(np.percentile(values, 95)), 1),
        "count": len(values),
    }
