"""The state that every output of the program reports: recording, LiveKit and RTMP."""

import time
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

OutputPhase = Literal["off", "connecting", "live", "reconnecting", "failed"]


@dataclass(frozen=True, slots=True)
class OutputState:
    """The state of an output, as the console shows it. Immutable and replaced as a whole, so any thread may read it.

    state: off (not wanted), connecting (for the first time), live, reconnecting (was live, retries by itself), failed
    (retries rarely, or only after something is changed; the note says which).
    note: one sentence that says what is wrong and what to do, else "". Contains no secrets.
    since: wall clock seconds at which this state began; 0 for an output that was never wanted.
    figures: statistics by name, different for each kind of output (bit rate, viewers, ...).
    """

    state: OutputPhase = "off"
    note: str = ""
    since: float = 0.0
    figures: dict[str, float] = field(default_factory=dict)

    def with_phase(self, state: OutputPhase, note: str = "", **figures: float) -> "OutputState":
        """Return the next state; `since` is updated only when the phase changes."""
        return OutputState(state, note, self.since if state == self.state else time.time(), figures)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as a dictionary for the state socket."""
        return asdict(self)
