"""A voice drives the host of a whole channel: lips and sound together, calm when it ends, alive when a service dies."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from harness.channel import Studio, studio, wait_for
from shared.face.tracker import FaceTracker
from shared.runtime.clock import SOUND_RATE_HZ
from tests.support.files.sound_files import wav
from tests.support.files.voice_material import silence, sound_of, voiced

FPS = 25


def speech(path: Path, syllables: int) -> float:
    """A WAV file of "ah"s at irregular times; its seconds."""
    chance = np.random.default_rng(5)
    parts = [silence(0.3)]
    for _ in range(syllables):
        parts += [voiced("a", float(chance.uniform(0.15, 0.3))), silence(float(chance.uniform(0.12, 0.4)))]
    sound = sound_of(parts)
    path.write_bytes(wav(sound))
    return len(sound) / SOUND_RATE_HZ


def recorded(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n,) opening of the mouth and (n,) loudness of the sound at each frame's time."""
    tracker, openings, times = FaceTracker(), [], []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            face = tracker.track(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))
            openings.append(face.mouth_opening if face else np.nan)
            times.append(float(frame.time or 0.0))
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        frames = list(container.decode(stream))
        rate, origin = stream.rate, float(frames[0].time or 0.0)
        sound = np.concatenate([np.asarray(f.to_ndarray(), np.float64).mean(axis=0) for f in frames])
    at = [round((t - origin) * rate) for t in times]
    loud = [float(np.sqrt(np.mean(sound[max(0, n - rate // 100) : n + rate // 100] ** 2 + 1e-12))) for n in at]
    return np.array(openings), np.array(loud)


def lag(openings: NDArray[np.float64], loud: NDArray[np.float64]) -> tuple[float, float]:
    """By how many milliseconds the mouth is later than the sound, and the correlation there."""
    shifts = range(-6, 7)
    match = [float(np.corrcoef(openings[6 + s : len(openings) - 6 + s], loud[6:-6])[0, 1]) for s in shifts]
    best = int(np.argmax(match))
    if not 0 < best < len(match) - 1:
        return 1000.0 * shifts[best] / FPS, match[best]
    low, top, high = match[best - 1 : best + 2]
    return 1000.0 * (shifts[best] + 0.5 * (low - high) / (low - 2 * top + high)) / FPS, top


def test_a_speech_file_is_spoken_in_sync_and_then_the_host_is_calm(
    live_home: Path, run_root: Path, tmp_path: Path
) -> None:
    seconds, out = speech(tmp_path / "speech.wav", 14), tmp_path / "out.mp4"
    arguments = ("--driver", str(tmp_path / "speech.wav"), "--once", "--record", str(out))
    with studio(live_home, run_root, "--port", "0", *arguments, "--duration", str(round(seconds) + 5)) as run:
        assert run.process.wait(90) == 0, run.log.read_text(encoding="utf-8")
    openings, loud = recorded(out)
    assert not np.isnan(openings).any()
    spoken = np.flatnonzero(loud > 0.02)
    assert len(spoken) / FPS > 2, "the speech is in the recording"
    during = slice(max(0, spoken[0] - 10), spoken[-1] + 10)
    late, match = lag(openings[during], loud[during])
    assert match > 0.6 and abs(late) <= 40, (late, match)
    calm = openings[spoken[-1] + FPS :]
    assert len(calm) > FPS and np.ptp(calm) < 0.3 * np.ptp(openings[during])


@pytest.fixture
def talking(live_home: Path, run_root: Path, tmp_path: Path) -> Iterator[Studio]:
    """A channel that loops a speech file."""
    speech(tmp_path / "speech.wav", 20)
    with studio(live_home, run_root, "--port", "0", "--driver", str(tmp_path / "speech.wav")) as run:
        yield run.on_air()
        run.end()


def test_a_killed_generator_costs_the_sound_nothing_and_comes_back(talking: Studio) -> None:
    os.kill(talking.pids()["generator"], signal.SIGKILL)
    sound = talking.collect_messages("sound", 3.0)
    assert max(np.abs(m.array.astype(int)).max() for _, m in sound[-50:]) > 3000, "the sound goes on"
    wait_for(
        lambda: {m.facts["state"] for _, m in talking.collect_messages("face", 0.3)} == {"live"}, 15, "it speaks again"
    )
    shown = [(m.pts - m.facts["captured"], m.facts["driven"]) for _, m in talking.collect_messages("face", 1.0)]
    assert len(set(shown)) == 1 and shown[0][1] == "voice", "faces are late by one fixed time"
