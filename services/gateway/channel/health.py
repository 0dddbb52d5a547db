"""The channel's health: pulses of the services, one state word, a minute of history, and events on changes."""

import time
from collections import Counter, deque
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from services.gateway.channel.event_log import EventLog
from services.gateway.channel.program_feed import ProgramFeed
from shared.runtime.clock import US, now
from shared.scene import Scene
from shared.wire.message import Message, WireError
from shared.wire.pulse import Pulse

SERVICES = ("capture", "generator", "compositor", "gateway")
SILENT_AFTER_US = 2 * US  # a service that has sent no pulse for this long is recovering
FROZEN_AFTER_US = US // 2  # without a program frame for this long, the channel is recovering
HISTORY_S = 60  # seconds
ChannelWord = Literal["ON AIR", "IDLE", "STARTING", "RECOVERING", "OFF"]
CHANNEL_WORDS: tuple[ChannelWord, ...] = get_args(ChannelWord)


@dataclass(frozen=True, slots=True)
class EngineDelay:
    """Delay of an engine that takes several frames at a time, as the generator's fact `delay` reports it.

    frames: driver frames per call. calls: calls until a frame has left the model's window. interval_ms: time between
    driver frames. call_ms: duration of a call. ms: from motion to face. floor_ms: the lower bound of ms.
    """

    frames: float
    calls: float
    interval_ms: float
    call_ms: float
    floor_ms: float
    ms: float


@dataclass(frozen=True, slots=True)
class ServiceHistory:
    """A minute of a service's figures, one entry a second, oldest first."""

    fps: list[float]
    p50: list[float]
    p95: list[float]


@dataclass(frozen=True, slots=True)
class ServiceHealth:
    """A service as the console shows it.

    state: as the service reports it; starting before its first pulse; recovering while it sends none. fps: frames
    finished a second. p50, p95: milliseconds from the capture of the driver frame until the service finished its frame.
    drops: by reason, since the service started. drop_rate: drops a second in total; drop_rates: by reason. age: seconds
    since its last pulse, null before the first. rss: resident bytes.
    """

    state: str
    fps: float
    p50: float
    p95: float
    drops: dict[str, int]
    drop_rate: float
    drop_rates: dict[str, float]
    note: str
    age: float | None
    rss: int
    pid: int
    history: ServiceHistory


@dataclass(slots=True)
class PulseHistory:
    """The newest pulse of a service and its arrival time, with a minute of history, one entry a second."""

    pulse: Pulse
    at: int
    fps: deque[float] = field(default_factory=lambda: deque(maxlen=HISTORY_S))
    p50: deque[float] = field(default_factory=lambda: deque(maxlen=HISTORY_S))
    p95: deque[float] = field(default_factory=lambda: deque(maxlen=HISTORY_S))
    delay: deque[float] = field(default_factory=lambda: deque(maxlen=HISTORY_S))  # through the engine, milliseconds
    recent_drops: deque[dict[str, int]] = field(default_factory=lambda: deque(maxlen=11))


class ChannelHealth:
    """Collects pulses (in the bus thread) and derives the channel's state (in the event loop, four times a second)."""

    def __init__(self, event_log: EventLog, feed: ProgramFeed) -> None:
        self.heard: dict[str, PulseHistory] = {}
        self.drops: Counter[str] = Counter()
        self.word: ChannelWord = "STARTING"
        self.since = time.time()
        self._event_log, self._feed = event_log, feed
        self._silent: set[str] = set()
        self._notes: dict[str, str] = {}
        self._sampled = 0

    def receive_pulse(self, message: Message) -> None:
        """Store a pulse. Raises WireError if it is malformed."""
        pulse = Pulse.from_dict(message.facts)
        if pulse.service not in SERVICES or not all(type(n) is int for n in pulse.drops.values()):
            raise WireError("malformed")
        known = self.heard.get(pulse.service)
        if known is None:
            self.heard[pulse.service] = PulseHistory(pulse, now())
            return
        if known.pulse.pid != pulse.pid:
            known.recent_drops.clear()
        known.pulse, known.at = pulse, now()

    def age(self, service: str, at: int) -> int | None:
        """Return the microseconds since a service's last pulse, None before the first."""
        heard = self.heard.get(service)
        return at - heard.at if heard else None

    def service_facts(self, service: str) -> dict[str, Any]:
        """Return the facts in a service's last pulse, {} before the first."""
        heard = self.heard.get(service)
        return heard.pulse.facts if heard else {}

    def scene_of(self, service: str) -> int:
        """Return the scene revision that a service last reported, -1 before its first pulse."""
        heard = self.heard.get(service)
        return heard.pulse.scene if heard else -1

    def delays(self) -> list[float]:
        """Return the delays, in ms, of an engine that takes several frames at a time: one a second for a minute."""
        heard = self.heard.get("generator")
        return list(heard.delay) if heard else []

    def by_voice(self, scene: Scene) -> bool:
        """Whether the driver is a voice rather than a face."""
        return scene.driver_ref.is_voice or self.service_facts("capture").get("voice") is True

    def needs_driver_image(self, scene: Scene) -> bool:
        """Whether the engine on air or the one in the scene needs the driver's image; True while this is unknown."""
        facts = self.service_facts("generator")
        engines = facts.get("engines")
        wanted = engines.get(scene.engine) if isinstance(engines, dict) else None
        spared = isinstance(wanted, dict) and wanted.get("needs_image") is False
        return not spared or facts.get("needs_image") is not False

    def judge(self, scene: Scene) -> None:
        """Update the state word and add what changed to the event log."""
        at = now()
        self._sample(at)
        silent = {name for name in self.heard if (self.age(name, at) or 0) > SILENT_AFTER_US}
        for name in sorted(silent - self._silent):
            self._event_log.add(f"{name} does not answer; it is being restarted.", "warning")
        for name in sorted(self._silent - silent):
            self._event_log.add(f"{name} is back.")
        self._silent = silent
        for name, heard in list(self.heard.items()):
            note = heard.pulse.note
            if note and note != self._notes.get(name):
                self._event_log.add(f"{name}: {note}", "warning")
            self._notes[name] = note
        word = self._word(scene, at, silent)
        if word != self.word:
            told = _sentence(self.word, word, scene.driver_ref.template is not None)
            self._event_log.add(told, "warning" if word in ("IDLE", "RECOVERING") else "info")
            self.word, self.since = word, time.time()

    def _word(self, scene: Scene, at: int, silent: set[str]) -> ChannelWord:
        if not scene.on_air:
            return "OFF"
        last = self._feed.last
        if last is None:
            return "STARTING"
        # Whatever the cause: while no frames reach the outputs, nothing is on air.
        if silent or at - self._feed.heard > FROZEN_AFTER_US or not self._feed.is_flowing(at):
            return "RECOVERING"
        # A host driven by a voice is on air while it waits for speech; one whose driving face is lost is idle.
        return "ON AIR" if last.state == "live" or (last.state == "idle" and self.by_voice(scene)) else "IDLE"

    def _sample(self, at: int) -> None:
        if at - self._sampled < US:
            return
        self._sampled = at
        for heard in list(self.heard.values()):
            heard.fps.append(round(heard.pulse.fps, 1))
            heard.p50.append(round(heard.pulse.p50, 1))
            heard.p95.append(round(heard.pulse.p95, 1))
            heard.recent_drops.append(heard.pulse.drops)
            if delay := delay_of(heard.pulse.facts):
                heard.delay.append(round(delay.ms, 1))
            else:
                heard.delay.clear()

    def rows(self) -> dict[str, ServiceHealth]:
        """Return the health of each service, for the console."""
        at = now()
        return {name: self._row(name, at) for name in SERVICES}

    def _row(self, name: str, at: int) -> ServiceHealth:
        heard = self.heard.get(name)
        if heard is None:
            return ServiceHealth("starting", 0.0, 0.0, 0.0, {}, 0.0, {}, "", None, 0, 0, ServiceHistory([], [], []))
        pulse, rates = heard.pulse, _rates(list(heard.recent_drops))
        return ServiceHealth(
            state="recovering" if at - heard.at > SILENT_AFTER_US else pulse.state,
            fps=round(pulse.fps, 1),
            p50=round(pulse.p50, 1),
            p95=round(pulse.p95, 1),
            drops=pulse.drops,
            drop_rate=round(sum(rates.values()), 1),
            drop_rates={reason: round(rate, 1) for reason, rate in rates.items()},
            note=pulse.note,
            age=round((at - heard.at) / US, 2),
            rss=pulse.rss,
            pid=pulse.pid,
            history=ServiceHistory(list(heard.fps), list(heard.p50), list(heard.p95)),
        )


def delay_of(facts: dict[str, Any]) -> EngineDelay | None:
    """Return the delay in the generator's facts; only an engine that takes several frames at a time reports one."""
    told, names = facts.get("delay"), [each.name for each in fields(EngineDelay)]
    if not isinstance(told, dict) or not all(type(told.get(name)) in (int, float) for name in names):
        return None
    return EngineDelay(**{name: told[name] for name in names})


def _rates(drops: list[dict[str, int]]) -> dict[str, float]:
    """Return drops per second by reason, from the total counts at successive seconds."""
    if len(drops) < 2:
        return {}
    gone = {reason: count - drops[0].get(reason, 0) for reason, count in drops[-1].items()}
    return {reason: count / (len(drops) - 1) for reason, count in gone.items() if count > 0}


def _sentence(before: str, after: str, template: bool) -> str:
    if after == "IDLE" and template:
        return "Idle: the recorded motion shows no face."
    if after == "IDLE":
        return "Driver lost, idle." if before == "ON AIR" else "Idle: no face in the driver yet."
    if after == "ON AIR":
        driven = "The recorded motion moves the host, on air." if template else "Driver found, on air."
        return driven if before == "IDLE" else "On air."
    return {
        "OFF": "Off air.",
        "STARTING": "Starting.",
        "RECOVERING": "Recovering: the last frame is shown.",
    }[after]
