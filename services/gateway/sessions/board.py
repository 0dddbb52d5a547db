"""The wanted sessions and their states.

They are kept while the studio runs, also across restarts of the gateway, and are sent to the processes that serve them.
"""

import json
import os
import secrets
import string
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from services.gateway.channel.event_log import EventLog
from services.gateway.sessions.load import ServedSession, SessionCapacity, SessionLoad
from shared.config.settings import Settings
from shared.errors import StudioError
from shared.runtime.logs import get_logger
from shared.session_spec import MAX_LISTED_BYTES, SessionSpec, packed_sessions
from shared.wire.message import WireError
from shared.wire.pulse import Pulse

log = get_logger()
ID_CHARACTERS, ID_LENGTH = string.ascii_lowercase + string.digits, 12
SERVICES = ("sessions", "faces")  # the services that serve sessions
RATES = 8  # frame rates that are kept of a session, two a second
RATE_SETTLES_S = 6.0  # seconds on air until a session's encoder reaches its frame rate
MAX_TOKEN_CHARACTERS = 8000
KEPT_ENDED = 100  # ended sessions whose state the API can still show


class SessionsFullError(StudioError):
    """Raised when no further session can be opened at the moment."""


@dataclass(slots=True)
class KeptSession:
    """A session and its state.

    key: the Idempotency-Key of its request, "" for none. created, ended: wall clock seconds; `ended` is 0 until it has
    ended. on_air: wall clock seconds at which it was first live, 0 before. rates: the last reported frame rates.
    renewed: the newest token from its room, with which it would join again, "" for none.
    """

    spec: SessionSpec
    key: str
    created: float
    ended: float = 0.0
    state: str = "opening"
    note: str = ""
    face_note: str = ""
    figures: dict[str, float] = field(default_factory=dict)
    on_air: float = 0.0
    renewed: str = field(default="", repr=False)
    rates: deque[float] = field(default_factory=lambda: deque(maxlen=RATES))

    @property
    def wanted(self) -> SessionSpec:
        """The session's specification for the processes that serve it, with the newest token."""
        return replace(self.spec, token=self.renewed or self.spec.token)

    def note_rate(self) -> None:
        """Add the newest frame rate to `rates`, unless the network limits it: then it says nothing of this machine."""
        if self.state != "live":
            self.rates.clear()
            return
        self.on_air = self.on_air or time.time()
        if self.figures.get("held_back") or time.time() - self.on_air < RATE_SETTLES_S:
            self.rates.clear()
        elif fps := self.figures.get("fps"):
            self.rates.append(fps)

    def served(self, at: float, due: float) -> ServedSession:
        """Return the session as input for the machine's load. at: current time. due: wanted frames a second."""
        lately = sum(self.rates) / len(self.rates) if len(self.rates) == RATES else due
        return ServedSession(at - self.on_air if self.on_air else 0.0, lately / due)


class SessionBoard:
    """All sessions of a studio. Thread-safe: used in the event loop, and by the bus thread for pulses."""

    def __init__(self, settings: Settings, journal: EventLog, changed: Callable[[], None]) -> None:
        """changed: called when the wanted sessions have changed and should be sent."""
        self._settings, self._journal, self._changed = settings, journal, changed
        self._guard = threading.Lock()
        self._file = settings.run_dir / "sessions.json"
        self._kept: dict[str, KeptSession] = self._read()
        self._pids: dict[str, int] = {}
        self._load = SessionLoad()

    @property
    def allowed(self) -> bool:
        """Whether sessions are enabled in the settings."""
        return bool(self._settings.sessions.allowed_livekit_urls)

    def open(self, spec: SessionSpec, key: str) -> str:
        """Open a session and return its id.

        spec: the session, without an id. key: "", or an Idempotency-Key; a repeated request with the same key returns
        the existing session. Raises SessionsFullError, and StudioError for a key that was used for a different session.
        """
        with self._guard:
            for name, kept in self._kept.items():
                if key and kept.key == key and not kept.ended:
                    if _same(kept.spec, spec):
                        return name
                    raise StudioError("This Idempotency-Key was used for another session; send a new one.")
            wanted = self._wanted()
            self._check_room()
            name = "".join(secrets.choice(ID_CHARACTERS) for _ in range(ID_LENGTH))
            made = replace(spec, id=name)
            if packed_sessions([*wanted, made]).nbytes > MAX_LISTED_BYTES:
                raise SessionsFullError("The list of sessions has reached its maximum size; end a session.")
            self._kept[name] = KeptSession(made, key, time.time())
            self._write()
        self._journal.add(f"Session {name} requested: {spec.avatar} as '{spec.identity}'.")
        self._changed()
        return name

    def close(self, name: str) -> bool:
        """End a session; returns whether it existed."""
        with self._guard:
            if name not in self._kept:
                return False
            self._end(name, "It was ended by request.")
            self._write()
        self._changed()
        return True

    def get(self, name: str) -> KeptSession | None:
        """Return a running session or one of the last ended ones, None if unknown."""
        with self._guard:
            return self._kept.get(name)

    def sessions(self) -> list[KeptSession]:
        """Return all running and the last ended sessions, newest first."""
        with self._guard:
            return sorted(self._kept.values(), key=lambda kept: -kept.created)

    def wanted(self) -> list[SessionSpec]:
        """Return the sessions that have not ended."""
        with self._guard:
            return self._wanted()

    def check_room(self) -> None:
        """Raise SessionsFullError if no further session can be opened now."""
        with self._guard:
            self._check_room()

    def capacity(self) -> SessionCapacity:
        """Return how many more sessions can be opened, and the reason if none."""
        with self._guard:
            return self._capacity()

    def _check_room(self) -> None:
        if not (room := self._capacity()).free:
            raise SessionsFullError(room.reason)

    def _capacity(self) -> SessionCapacity:
        """Return the capacity by the setting `max_sessions` if it is set, else by the machine's load."""
        at, due = time.time(), float(self._settings.rate)
        served = [kept.served(at, due) for kept in self._kept.values() if not kept.ended]
        measured, most = self._load.capacity(served), self._settings.sessions.max_sessions
        if not most:
            return measured
        free = max(0, most - len(served))
        reason = "" if free else f"All {most} sessions are taken; end one, or raise sessions.max_sessions."
        return replace(measured, free=free, reason=reason)

    def receive_pulse(self, pulse: Pulse) -> bool:
        """Update the sessions from a service's pulse; returns whether the wanted sessions must be sent now.

        They must if the service has just started, or if the pulse ended a session or renewed a token. Raises WireError.
        """
        rows = pulse.facts.get("sessions", {})
        if not isinstance(rows, dict) or not all(isinstance(row, dict) for row in rows.values()):
            raise WireError("malformed")
        self._load.receive_pulse(pulse)
        with self._guard:
            started = self._pids.get(pulse.service) != pulse.pid
            self._pids[pulse.service] = pulse.pid
            changed = [self._take(pulse.service, name, row) for name, row in rows.items()]
            if any(changed):
                self._write()
        return started or any(changed)

    def _take(self, service: str, name: str, row: dict[str, Any]) -> bool:
        """Update a session from one row of a pulse.

        Return whether this changed the wanted sessions: the session has ended, or has a new token.
        """
        kept = self._kept.get(name)
        state, note = row.get("state"), row.get("note")
        if kept is None or kept.ended or not isinstance(state, str) or not isinstance(note, str):
            return False
        if service == "faces":
            kept.face_note = note[:300]
            return False
        kept.state, kept.note = state[:20], note[:300]
        figures = row.get("figures")
        kept.figures = {
            str(name): float(value)
            for name, value in (figures.items() if isinstance(figures, dict) else ())
            if isinstance(value, int | float)
        }
        kept.note_rate()
        if state == "ended":
            self._end(name, note)
        token = row.get("token")
        known = token in ("", kept.wanted.token) or state == "ended"
        if renewed := isinstance(token, str) and len(token) <= MAX_TOKEN_CHARACTERS and not known:
            kept.renewed = str(token)
        return state == "ended" or renewed

    def _end(self, name: str, note: str) -> None:
        kept = self._kept[name]
        if not kept.ended:
            kept.ended, kept.state, kept.note = time.time(), "ended", note
            kept.spec, kept.renewed = replace(kept.spec, token=""), ""
            self._journal.add(f"Session {name} has ended. {note}".strip())
        over = sorted((k for k in self._kept.values() if k.ended), key=lambda k: k.ended)[:-KEPT_ENDED]
        for each in over:
            del self._kept[each.spec.id]

    def _wanted(self) -> list[SessionSpec]:
        return [kept.wanted for kept in self._kept.values() if not kept.ended]

    def _read(self) -> dict[str, KeptSession]:
        """Read the sessions that an earlier gateway process of the same studio run has written."""
        try:
            rows = json.loads(self._file.read_text(encoding="utf-8"))
            kept = [
                KeptSession(SessionSpec(**row["spec"]), row["key"], row["created"], renewed=row["renewed"])
                for row in rows
            ]
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError):
            log.warning("sessions_not_read", path=str(self._file))
            return {}
        return {each.spec.id: each for each in kept}

    def _write(self) -> None:
        """Write the running sessions and their tokens, readable by this user only.

        The file is beside the bus's sockets, in a folder that is removed when the studio stops.
        """
        rows = [
            {"spec": asdict(kept.spec), "key": kept.key, "created": kept.created, "renewed": kept.renewed}
            for kept in self._kept.values()
            if not kept.ended
        ]
        part: Path = self._file.with_suffix(".part")
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                json.dump(rows, file)
            part.replace(self._file)
        except OSError as error:
            log.warning("sessions_not_saved", why=error.strerror)


def _same(one: SessionSpec, other: SessionSpec) -> bool:
    return replace(one, id="") == replace(other, id="")
