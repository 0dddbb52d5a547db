"""A job as the command line, the API and the index show it: one model, built by `shared.jobs.status.status` alone."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from shared.jobs.manifest import Priority

JobState = Literal["queued", "rendering", "assembling", "done", "paused", "cancelled", "parked"]
SegmentState = Literal["waiting", "following", "rendering", "done", "parked"]
DONE, RENDERING, WAITING, FAILING = "d", "r", "w", "f"
NAMED_UNITS = 2  # units at work that are named; a farm may be at hundreds
_SIGNS: dict[SegmentState, str] = {"done": DONE, "rendering": RENDERING, "parked": FAILING}


@dataclass(frozen=True, slots=True)
class SegmentStatus:
    """A segment of a job.

    attempts: how often its render was begun. done: of its ticks. reason: why the last attempt failed, "" where none
    did. unit: the name of a clip engine's unit, which has steps for ticks; "" for a segment of frames. words: its
    title, "" where it has none.
    """

    number: int
    state: SegmentState
    attempts: int
    ticks: int
    done: int
    reason: str
    unit: str = ""
    words: str = ""

    @property
    def title(self) -> str:
        """The beginning of a sentence about this segment."""
        if not self.unit:
            return f"Segment {self.number + 1}"
        return f"Unit {self.unit} ({self.words})" if self.words else f"Unit {self.unit}"

    @property
    def at_work(self) -> str:
        """Where a worker is, of a clip engine's unit that one is at."""
        if self.words:
            return f"{self.words} ({100 * self.done // self.ticks} %)" if self.ticks else self.words
        return f"{self.unit} at step {self.done} of {self.ticks}" if self.ticks else self.unit


UNKNOWN_CREATED = "1970-01-01T00:00:00+00:00"  # of a damaged job whose id does not say when it was handed in


class JobView(BaseModel):
    """State of a job, with the names used in JSON.

    reason: what it waits for or why it is parked. kind: failed, memory, no_space or damaged, of a parked job. ticks,
    done: frames; a clip engine's job has none done before its clip is written, and `steps` says how far it is. share:
    what is done of the work, 0 to 1, by the weights of the units. fps: frames a second of all its current workers. eta:
    seconds, None where it is not known. segments: empty in what the index keeps and for a finished job. preview:
    whether there is a preview image. result: the finished file's name, bytes: its size, captions: that of its captions.
    notes: remarks on the driver, such as how much of it could not be read.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    state: JobState
    reason: str
    kind: str
    avatar: str
    engine: str
    driver: str
    priority: Priority
    created: str
    ticks: int
    done: int
    share: float
    fps: float
    eta: float | None
    segments: tuple[SegmentStatus, ...]
    preview: bool
    result: str
    bytes: int
    captions: str = ""
    notes: tuple[str, ...] = ()

    @property
    def percent(self) -> float:
        """0 to 100; 100 only when it is done."""
        return 100.0 if self.state == "done" else min(99.9, 100.0 * self.share)

    @property
    def failing(self) -> SegmentStatus | None:
        """The segment that hinders the job: one that is parked, else one whose last attempt failed."""
        parked = next((each for each in self.segments if each.state == "parked"), None)
        return parked or next((each for each in self.segments if each.reason and each.state != "done"), None)

    @property
    def steps(self) -> str:
        """How far a clip engine's units are, in words.

        "3 of 12 units; video at step 40 of 100", with titles "30 of 1203 units; window 7 of 24 in step 2 of 50 (40 %)".
        "" for a job of frames, for one that has ended, and where the segments are not known.
        """
        units = [each for each in self.segments if each.unit]
        if not units:
            return ""
        at_work = [each for each in units if each.state == "rendering"]
        named = [each.at_work for each in at_work]
        if len(named) > NAMED_UNITS:
            named[NAMED_UNITS:] = [f"{len(named) - NAMED_UNITS} more"]
        done = f"{sum(each.state == 'done' for each in units)} of {len(units)} units"
        return "; ".join([done, ", ".join(named)]) if named else done

    def strip(self, cells: int) -> str:
        """The segments on one short line of at most `cells` signs."""
        return strip([segment.state for segment in self.segments], cells)

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints.

        Every field, the share as a percentage with one decimal, and the steps in words.
        """
        shown = {"percent": round(self.percent, 1), "steps": self.steps}
        return self.model_dump(mode="json", exclude={"share"}) | shown

    def as_row(self) -> str:
        """Return the JSON that the index keeps: everything but the segments."""
        return self.model_dump_json(exclude={"segments"})

    @classmethod
    def from_row(cls, row: str) -> "JobView":
        """Read what `as_row` wrote. Raises ValueError for a row of another version."""
        return cls.model_validate(json.loads(row) | {"segments": ()})


def strip(states: Sequence[SegmentState], cells: int) -> str:
    """Return at most `cells` signs, each for as many segments as the others (give or take one).

    states: each segment's state in order. A cell is failing or rendering when one of its segments is, done when all
    are.
    """
    signs = [_SIGNS.get(state, WAITING) for state in states]
    count = min(cells, len(signs))
    parts = [signs[index * len(signs) // count : (index + 1) * len(signs) // count] for index in range(count)]
    return "".join(_sign_of_several(part) for part in parts)


def _sign_of_several(signs: list[str]) -> str:
    for sign in (FAILING, RENDERING):
        if sign in signs:
            return sign
    if DONE in signs and WAITING in signs:
        return RENDERING
    return signs[0]
