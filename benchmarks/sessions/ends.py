"""Memory, files and threads that ended sessions leave behind, and the time to return after a kill of a process."""

import os
import signal
import statistics
import time
from itertools import pairwise
from pathlib import Path

from benchmarks.figures import BenchmarkFigures
from benchmarks.sessions.talking import TalkingAgents
from harness.channel import resident_bytes, wait_for
from harness.sessions.session_studio import SERVED_BY, SessionStudio
from harness.sessions.voice_agent import AVATAR, VoiceAgent

AT_ONCE = 5
WARMS = 4  # rounds before the first count, so that everything that is loaded once is loaded
SETTLES_S = 8.0  # until the last connections are taken down
MEGABYTE = 1 << 20
ON_ITS_WAY_S = 0.3  # frames that arrive within this time after a kill were sent before it


def opened_and_closed(studio: SessionStudio, count: int) -> BenchmarkFigures:
    """Memory (MB), open files and threads of each process before and after `count` sessions, a few at a time."""
    for _ in range(WARMS):
        _round(studio)
    time.sleep(SETTLES_S)
    before, began = held(studio), time.monotonic()
    for _ in range(count // AT_ONCE):
        _round(studio)
    took = time.monotonic() - began
    time.sleep(SETTLES_S)
    after = held(studio)
    return {"sessions": count // AT_ONCE * AT_ONCE, "seconds": round(took), "before": before, "after": after}


def held(studio: SessionStudio) -> BenchmarkFigures:
    """Return the memory (MB), open files and threads of each process."""
    return {
        name: {
            "mb": round(resident_bytes(pid) / MEGABYTE, 1),
            "files": len(os.listdir(f"/proc/{pid}/fd")),
            "threads": len(os.listdir(f"/proc/{pid}/task")),
        }
        for name, pid in studio.pids().items()
        if Path(f"/proc/{pid}").exists()
    }


def _round(studio: SessionStudio) -> None:
    names = [studio.open_session() for _ in range(AT_ONCE)]
    wait_for(lambda: all(studio.row(name)["state"] == "live" for name in names), 60, "all live")
    for name in names:
        studio.end_session(name)
    wait_for(lambda: not studio.pulses()["sessions"].facts.get("sessions"), 20, "all gone")


def killed(studio: SessionStudio, service: str, count: int) -> BenchmarkFigures:
    """Kill a process `count` times while a viewer watches.

    `back_s`: seconds from each kill until the viewer gets frames again or, for the faces' process, until faces are
    drawn again. `longest_gap_s`: longest time without a frame after each kill. `others_ended`: kills after which
    another process had ended too, counted for each such process; wanted is 0.
    """
    back, gaps, others = [], [], 0
    with TalkingAgents(studio) as agents:
        agent = agents.add("killed", watching=True)
        session = studio.open_session("killed")
        wait_for(lambda: len(agent.frames) > 50 and agent.started, 60, "an avatar that speaks")
        for _ in range(count):
            time.sleep(2.0)
            pids, seen = studio.pids(), len(agent.frames)
            at = time.monotonic()
            back.append(back_after_kill(studio, agent, session, service))
            _speaks_again(agent)
            arrivals = [at, *agent.arrivals[seen:], time.monotonic()]
            gaps.append(max(after - before for before, after in pairwise(arrivals)))
            others += any(studio.pids().get(name) != pids[name] for name in SERVED_BY if name != service)
        identities = sorted(agent.room.remote_participants)
        studio.end_session(session)
    return {
        "kills": count,
        "back_s": [round(each, 2) for each in back],
        "median_s": round(statistics.median(back), 2),
        "longest_gap_s": [round(each, 2) for each in gaps],
        "others_ended": others,
        "under_its_identity": identities == [AVATAR],
    }


def back_after_kill(studio: SessionStudio, agent: VoiceAgent, session: str, service: str) -> float:
    """Kill a service; return the seconds until it serves the session again. Raises AssertionError after 20 s."""
    pid, at = studio.pids()[service], time.monotonic()
    os.kill(pid, signal.SIGKILL)
    if service == "sessions":
        wait_for(lambda: agent.arrivals[-1] > at + ON_ITS_WAY_S, 20, "frames again")
    else:
        wait_for(lambda: studio.pids().get(service, pid) != pid, 20, "another process")
        wait_for(lambda: studio.draws(session), 20, "faces again")
    return time.monotonic() - at


def _speaks_again(agent: VoiceAgent) -> None:
    finished = len(agent.finished)
    wait_for(lambda: len(agent.finished) > finished, 30, "it speaks again")
