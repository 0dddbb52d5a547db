"""What every output that leaves this machine has in common: how it says how it is, and how it tries again."""

import random
import time
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

State = Literal["off", "connecting", "live", "reconnecting", "failed"]


@dataclass(frozen=True, slots=True)
class OutputState:
    """How an output is, as the console shows it. Replaced as a whole, so any thread may read it.

    state: off (not wanted), connecting (the first time), live, reconnecting (was live, tries again by itself), failed
    (tries again seldom, or not before something is changed; the note says which).
    note: one sentence with the way out where something is wrong, else "". Never a secret.
    since: wall clock seconds at which this state began; 0 for an output that was never wanted.
    figures: numbers by name, of the output's own kind (bitrate, viewers, ...).
    """

    state: State = "off"
    note: str = ""
    since: float = 0.0
    figures: dict[str, float] = field(default_factory=dict)

    def now(self, state: State, note: str = "", **figures: float) -> "OutputState":
        """The state that follows; `since` moves only when the word changes."""
        return OutputState(state, note, self.since if state == self.state else time.time(), figures)

    def facts(self) -> dict[str, Any]:
        """As plain values for the state socket."""
        return asdict(self)


class Backoff:
    """Seconds to wait before the next attempt: exponential with equal jitter (half fixed, half random) and a cap, so
    that a failing peer is asked ever less often, never in a tight loop, and not by all studios in step."""

    def __init__(self, first: float = 1.0, cap: float = 15.0) -> None:
        self._first, self._cap = first, cap
        self._attempts = 0

    def wait(self) -> float:
        """The next pause, between `first` / 2 and `cap` seconds."""
        step = min(self._cap, self._first * 2 ** min(self._attempts, 16))
        self._attempts += 1
        return random.uniform(step / 2, step)

    def reset(self) -> None:
        """It worked: the next failure is the first again."""
        self._attempts = 0
