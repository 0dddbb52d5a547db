"""Recordings made by a running gateway, and what is in them."""

from pathlib import Path
from typing import Any

import av
import numpy as np

from tests.support.running.gateway import GatewayStudio


def record(own: GatewayStudio, seconds: float) -> Path:
    """Start a recording and wait until it has `seconds`; return its path."""
    name = own.http.post("/channels/main/recording").json()["id"]
    path = own.settings.home / "recordings" / f"{name}.mp4"
    own.wait(lambda: recorded_s(own) >= seconds)
    return path


def frame_times(path: Path) -> list[float]:
    """Return the time at which each frame of a file is shown, in seconds."""
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0) if frame.time is not None]


def recorded_s(own: GatewayStudio) -> float:
    """Return the seconds that are recorded so far."""
    return float(own.state()["outputs"]["record"]["figures"].get("seconds", 0))


def lost_frames(gateway: dict[str, Any]) -> int:
    """Return how many ticks a gateway has counted as missing in its recording.

    gateway: its entry among the state's services.
    """
    return sum(gateway["drops"].get(reason, 0) for reason in ("record frame", "frame skipped"))


def finish(own: GatewayStudio) -> None:
    """End the recording; its file is complete afterwards."""
    own.http.delete("/channels/main/recording").raise_for_status()
    own.wait(lambda: own.state()["outputs"]["record"]["state"] == "off")


def is_whole(own: GatewayStudio, path: Path) -> bool:
    """Whether every tick of a finished recording is in it, or has been counted as missing by now."""
    video, sound, frames, _ = played(path)
    assert abs(video - sound) < 0.1
    ticks = int(video * 25)  # the first frame is shown half a tick longer, for which AAC begins before it
    return frames + lost_frames(own.state()["services"]["gateway"]) >= ticks


def played(path: Path) -> tuple[float, float, int, float]:
    """Decode all of a file: (seconds of video, seconds of sound, number of frames, loudness where there is sound)."""
    frames, samples, peaks = [], 0, []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            assert frame.time is not None
            frames.append(frame.time)
    with av.open(str(path)) as container:
        for block in container.decode(audio=0):
            samples += block.samples
            peaks.append(float(np.abs(block.to_ndarray()).max()))
    # The median, because AAC overshoots where sound begins in the middle of a wave. Missing sound was filled with
    # silence.
    loud = [peak for peak in peaks if peak > 0.01]
    return frames[-1] + 0.04, samples / 48_000, len(frames), float(np.median(loud)) if loud else 0.0
