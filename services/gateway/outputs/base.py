"""State that every output that leaves this machine reports."""

import time
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

OutputPhase = Literal["off", "connecting", "live", "reconnecting", "failed"]


@dataclass(frozen=True, slots=True)
class OutputState:
    """How an output is, as the console shows it. Replaced as a whole, so any thread may read it.

    state: off (not wanted), connecting (the first time), live, reconnecting (was live, tries again by itself), failed
    (tries again seldom, or not before something is changed; the note says which).
    note: one sentence with the way out where something is wrong, else "". Never a secret.
    since: wall clock seconds at which this state began; 0 for an output that was never wanted.
    figures: numbers by name, of the output's own kind (bitrate, viewers, ...).
    """

    state: OutputPhase = "off"
    note: str = ""
    since: float = 0.0
    figures: dict[str, float] = field(default_factory=dict)

    def with_phase(self, state: OutputPhase, note: str = "", **figures: float) -> "OutputState":
        """The next state; `since` moves only when the phase changes."""
        return OutputState(state, note, self.since if state == self.state else time.time(), figures)

    def as_dict(self) -> dict[str, Any]:
        """The state as plain values for the state socket."""
        return asdict(self)
