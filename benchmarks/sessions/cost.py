"""Cost of a voice-driven session in cores, split by the task of its processes' threads."""

import statistics
import time
from pathlib import Path

import numpy as np

from benchmarks.figures import BenchmarkFigures
from benchmarks.sessions.talking import TalkingAgents
from engines.api import VoiceBlock
from engines.registry import load_frame_engine
from harness.channel import wait_for
from harness.sessions.session_studio import SessionStudio
from shared.avatar.model import load_avatar
from shared.runtime.clock import SOUND_RATE_HZ, US

SETTLES_S = 8.0  # until all is loaded and the encoder has found its rate
RATE_FPS = 25
# Threads by the beginning of their names as the kernel has them, which cuts them after 15 characters. "main" is the
# process's first one, "python" any other of Python's.
PARTS = {
    "faces": {"main": "wire", "python": "engine", "ZMQbg": "wire"},
    "sessions": {
        "main": "compositing",
        "python": "rooms",
        "VideoEncoder": "video encoder",
        "VideoFrame": "video encoder",
        "AudioEncoder": "audio",
        "livekit-audio": "audio",
        "AudioSource": "audio",
        "SyntheticAudio": "audio",
        "tokio": "transport",
        "network": "transport",
        "worker": "transport",
        "signaling": "transport",
        "ZMQbg": "wire",
    },
}


def session_cost(studio: SessionStudio, seconds: float) -> BenchmarkFigures:
    """Measure the cores of one session while its agent talks, by part; those of gateway and LiveKit server separately.

    `in_faces`: cores of the session as a multiple of those that 25 faces a second take in this process.
    """
    with TalkingAgents(studio) as agents:
        agents.add("cost")
        session = studio.open_session("cost")
        wait_for(lambda: studio.row(session)["state"] == "live", 40, "a session is live")
        time.sleep(SETTLES_S)
        pids = studio.pids() | {"livekit": studio.server.process.pid}
        before, began = {name: thread_seconds(pid) for name, pid in pids.items()}, time.monotonic()
        time.sleep(seconds)
        passed = time.monotonic() - began
        after = {name: thread_seconds(pid) for name, pid in pids.items()}
        figures = studio.row(session)["figures"]
        studio.end_session(session)
    taken = {
        (name, thread): (spent - before[name].get(thread, 0.0)) / passed
        for name, threads in after.items()
        for thread, spent in threads.items()
    }
    split: dict[str, float] = {}
    for (name, (_, thread)), cores in taken.items():
        part = next((part for start, part in PARTS.get(name, {}).items() if thread.startswith(start)), "rest")
        key = part if name in PARTS else name
        split[key] = split.get(key, 0.0) + cores
    beside = {name: split.pop(name, 0.0) for name in ("gateway", "livekit")}
    cores, face_ms = sum(split.values()), face_cost_ms(studio.settings.home / "avatars" / studio.settings.avatar)
    return {
        "cores": round(cores, 3),
        "in_faces": round(cores * 1000 / RATE_FPS / face_ms, 2),
        "one_face_ms": round(face_ms, 2),
        "parts": {name: round(value, 3) for name, value in sorted(split.items(), key=lambda row: -row[1])},
        "beside_it": {name: round(value, 3) for name, value in beside.items()},
        "frames_per_s": figures.get("fps"),
    }


def thread_seconds(pid: int) -> dict[tuple[int, str], float]:
    """Return the processor seconds of each thread of a process so far, by (id, name)."""
    found = {}
    for folder in Path(f"/proc/{pid}/task").iterdir():
        try:
            name = "main" if folder.name == str(pid) else (folder / "comm").read_text(encoding="utf-8").strip()
            spent = int((folder / "schedstat").read_text(encoding="utf-8").split()[0]) / 1e9
        except OSError:
            continue  # it has ended
        found[int(folder.name), name] = spent
    return found


def face_cost_ms(folder: Path, count: int = 100) -> float:
    """Return the median processor milliseconds of a voice-driven face of the mesh engine, voice analysis included."""
    session = load_frame_engine("mesh", {}).open(load_avatar(folder))
    sound, spent = np.random.default_rng(5).normal(0, 3000, SOUND_RATE_HZ).astype(np.int16), []
    block = SOUND_RATE_HZ // RATE_FPS
    for number in range(count):
        at = number % RATE_FPS * block
        began = time.thread_time()
        drawn = session.hear(VoiceBlock(number * US // RATE_FPS, sound[at : at + block]))
        if len(drawn) == 1:
            spent.append((time.thread_time() - began) * 1000)
    return statistics.median(spent)
