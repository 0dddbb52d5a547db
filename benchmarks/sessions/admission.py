"""Add sessions until the studio refuses one, and measure the accepted ones."""

import time

from benchmarks.figures import BenchmarkFigures
from benchmarks.sessions.talking import TalkingAgents
from harness.channel import wait_for
from harness.sessions.session_studio import SessionStudio

MOST = 40
BEAT_S = 1.0  # between two readings of the rates


def added_until_refused(studio: SessionStudio, watched_s: float) -> BenchmarkFigures:
    """Add sessions until one is refused, and measure all of them after each.

    `taken`: number of accepted sessions. `steps`: a measurement of `watched_s` seconds after each accepted session, and
    one at the end. `refused`: the answer to the refused session, None if none was.
    """
    steps: list[BenchmarkFigures] = []
    with TalkingAgents(studio) as agents:
        names: list[str] = []
        refused = None
        while len(names) < MOST:
            room = f"added-{len(names)}"
            answer = studio.ask(room)
            if answer.status_code != 201:
                refused = {"status": answer.status_code, "reason": answer.json()["detail"]}
                refused["retry_after"] = answer.headers.get("retry-after")
                break
            names.append(answer.json()["session_id"])
            agents.add(room)
            wait_for(lambda: studio.row(names[-1])["state"] == "live", 60, "a session is live")
            steps.append(_watched(studio, names, watched_s))
        steps.append(_watched(studio, names, watched_s))
        for name in names:
            studio.end_session(name)
    return {"taken": len(names), "steps": steps, "refused": refused}


def burst(studio: SessionStudio, count: int) -> BenchmarkFigures:
    """Ask for `count` sessions without a pause; return how many were reported free before, and how many were taken."""
    told = studio.capacity()["free"]
    answers = [studio.ask(f"burst-{number}") for number in range(count)]
    taken = [answer.json()["session_id"] for answer in answers if answer.status_code == 201]
    for name in taken:
        studio.end_session(name)
    return {"free": told, "asked": count, "taken": len(taken)}


def _watched(studio: SessionStudio, names: list[str], seconds: float) -> BenchmarkFigures:
    rates: dict[str, list[float]] = {name: [] for name in names}
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(BEAT_S)
        for name in names:
            if fps := studio.row(name)["figures"].get("fps"):
                rates[name].append(fps)
    # The encoder's own rate is a mean over its last seconds, so the first rates of a new session are too low.
    late = {name: seen[len(seen) // 2 :] for name, seen in rates.items()}
    room = studio.capacity()
    drops = studio.pulses()["sessions"].drops
    return {
        "sessions": len(names),
        "fps": [round(sum(seen) / len(seen), 1) if seen else 0.0 for seen in late.values()],
        "lowest": min((fps for seen in late.values() for fps in seen), default=0.0),
        "busy": room["busy"],
        "session_cores": room["session_cores"],
        "free": room["free"],
        "ticks_missed": drops.get("tick missed", 0),
    }
