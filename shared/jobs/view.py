"""View of a job for the command line, the API and the index: one model, built by `shared.jobs.status.status` alone."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from shared.jobs.manifest import Priority

JobState = Literal["queued", "rendering", "assembling", "done", "paused", "cancelled", "parked"]
SegmentState = Literal["waiting", "following", "rendering", "done", "parked"]
DONE, RENDERING, WAITING, FAILING = "d", "r", "w", "f"
NAMED_UNITS = 2  # number of units at work that are named; a farm may work on hundreds
_SIGNS: dict[SegmentState, str] = {"done": DONE, "rendering": RENDERING, "parked": FAILING}


@dataclass(frozen=True, slots=True)
class SegmentStatus:
    """A segment of a job.

    attempts: number of times its rendering was begun. done: number of its ticks that are done. reason: why the last
    attempt failed, "" if none did. unit: name of a clip engine's unit, whose ticks are steps; "" for a segment of
    frames. words: its title, "" if it has none.
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
        """Name of the segment for the beginning of a sentence."""
        if not self.unit:
            return f"Segment {self.number + 1}"
        return f"Unit {self.unit} ({self.words})" if self.words else f"Unit {self.unit}"

    @property
    def at_work(self) -> str:
        """Description of a clip engine's unit at work: its title or name, with its progress if known."""
        if self.words:
            return f"{self.words} ({100 * self.done // self.ticks} %)" if self.ticks else self.words
        return f"{self.unit} at step {self.done} of {self.ticks}" if self.ticks else self.unit


UNKNOWN_CREATED = "1970-01-01T00:00:00+00:00"  # for a damaged job whose id does not contain the time of submission


class JobView(BaseModel):
    """State of a job, with the names used in JSON.

    reason: why the job waits or is parked. kind: failed, memory, no_space or damaged, for a parked job. created: time
    of submission. ticks, done: number of frames in total and done; for a clip engine `done` is 0 until the clip is
    written, and `steps` describes the progress. share: share of the work that is done, 0 to 1, by the weights of the
    units. fps: frames per second of all current workers together. eta: seconds, None if unknown. segments: empty for a
    finished job and in views from the index. preview: whether there is a preview image. result: name of the finished
    file; bytes: its size; captions: name of its captions. notes: sentences about the driver, such as how much of it
    could not be read.
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
        """Percentage of the job that is done; 100 only when the job is done."""
        return 100.0 if self.state == "done" else min(99.9, 100.0 * self.share)

    @property
    def failing(self) -> SegmentStatus | None:
        """The first segment that is parked, else the first unfinished one whose last attempt failed; None if none."""
        parked = next((each for each in self.segments if each.state == "parked"), None)
        return parked or next((each for each in self.segments if each.reason and each.state != "done"), None)

    @property
    def steps(self) -> str:
        """Progress of a clip engine's units in words.

        "3 of 12 units; video at step 40 of 100", with titles "30 of 1203 units; window 7 of 24 in step 2 of 50 (40 %)".
        "" for a frame engine's job, for one that has ended, and in a view without segments.
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
        """Return the segments' states as a line of at most `cells` signs, see `shared.jobs.view.strip`."""
        return strip([segment.state for segment in self.segments], cells)

    def as_json(self) -> dict[str, Any]:
        """Return the view as `--json` prints it.

        This has every field except `share`, which becomes `percent` with one decimal, and `steps` in words.
        """
        shown = {"percent": round(self.percent, 1), "steps": self.steps}
        return self.model_dump(mode="json", exclude={"share"}) | shown

    def as_row(self) -> str:
        """Return the view as JSON for the index: all fields except the segments."""
        return self.model_dump_json(exclude={"segments"})

    @classmethod
    def from_row(cls, row: str) -> "JobView":
        """Return the view in a row of `as_row`, without segments. Raises ValueError for a row of another version."""
        return cls.model_validate(json.loads(row) | {"segments": ()})


def strip(states: Sequence[SegmentState], cells: int) -> str:
    """Return the states of segments as at most `cells` signs, each for an equal number of segments, give or take one.

    states: state of each segment in order. A sign is FAILING or RENDERING if one of its segments is, DONE if all are.
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
