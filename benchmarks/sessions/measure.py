"""All benchmarks of sessions, on a studio that serves nothing else, with its own LiveKit server and agents."""

from benchmarks.figures import BenchmarkFigures
from benchmarks.sessions.admission import added_until_refused, burst
from benchmarks.sessions.cost import session_cost
from benchmarks.sessions.ends import killed, opened_and_closed
from harness.sessions.session_studio import session_studio
from services.local.livekit_server import find_server

PARTS = ("cost", "admission", "ends", "kills")
MANY = 50  # limit of sessions where admission is not measured
ENDED, KILLS, BURST = 100, 5, 10


def measure(seconds: float = 20.0, parts: tuple[str, ...] = PARTS) -> BenchmarkFigures:
    """Return all figures of sessions.

    `cost`: of one session, by part. `admission`: sessions added until one is refused. `ends`: what 100 ended sessions
    left behind. `kills`: how soon sessions return after kills.
    """
    if find_server() is None:
        return {"skipped": "there is no livekit-server; deploy/livekit.sh builds one"}
    figures: BenchmarkFigures = {}
    if "admission" in parts:
        with session_studio() as studio:
            figures["admission"] = added_until_refused(studio, seconds) | {"burst": burst(studio, BURST)}
    if set(parts) & {"cost", "ends", "kills"}:
        with session_studio(MANY) as studio:
            if "cost" in parts:
                figures["cost"] = session_cost(studio, seconds)
            if "ends" in parts:
                figures["ends"] = opened_and_closed(studio, ENDED)
            if "kills" in parts:
                figures["kills"] = {name: killed(studio, name, KILLS) for name in ("sessions", "faces")}
    return figures
