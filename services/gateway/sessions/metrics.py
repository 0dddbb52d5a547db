"""Prometheus metrics of the sessions: their number, figures of each, and the capacity for more."""

from collections import Counter
from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.gateway.sessions.board import SessionBoard

STATES = ("opening", "connecting", "live", "reconnecting", "failed")
FIGURES = (
    ("studio_session_fps", "fps", "Frames a second that leave for the room"),
    ("studio_session_viewers", "viewers", "Participants other than the avatar"),
    ("studio_session_kilobits", "kbps", "Sent into the room, kbit/s"),
    ("studio_session_dropped", "dropped", "Frames and blocks of sound left out since it joined"),
    ("studio_session_sound_holes", "sound_holes", "Times that the room's queue of sound ran dry since it joined"),
    ("studio_session_held_back", "held_back", "1 while its network holds its frames back, 0 while not"),
    ("studio_session_queue_milliseconds", "queue_ms", "Sound that waits in the room's queue"),
)


class SessionCollector(Collector):
    """Collects metrics from the session board on demand. Ended sessions are in no metric."""

    def __init__(self, board: SessionBoard) -> None:
        self._board = board

    def collect(self) -> Iterable[Metric]:
        running = [kept for kept in self._board.sessions() if not kept.ended]
        counts = Counter(kept.state for kept in running)
        states = GaugeMetricFamily("studio_sessions", "Sessions by state", labels=["state"])
        for state in STATES:
            states.add_metric([state], counts[state])
        yield states
        for name, figure, meaning in FIGURES:
            family = GaugeMetricFamily(name, meaning, labels=["session"])
            for kept in running:
                family.add_metric([kept.spec.id], kept.figures.get(figure, 0.0))
            yield family
        room = self._board.capacity()
        yield GaugeMetricFamily("studio_sessions_free", "Sessions that can still be opened", value=room.free)
        yield GaugeMetricFamily("studio_session_cores", "Cores that a session takes", value=room.session_cores)
