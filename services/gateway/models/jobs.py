"""Answers about jobs and the inbox."""

from datetime import datetime
from pathlib import Path
from typing import Any, Self

from services.gateway.models.base import Answer
from shared.jobs.view import JobState, JobView, SegmentStatus

STRIP_CELLS = 48


class FailingSegment(Answer):
    """The segment that holds up a job: its number from 1, the number of attempts, and why the last one failed.

    unit: the name of a clip engine's unit, "" for a segment of frames.
    """

    number: int
    unit: str
    attempts: int
    reason: str


class JobFacts(Answer):
    """A job as pages show it.

    reason: what the job waits for, or why it is parked. kind: for a parked job failed, memory, no_space or damaged.
    created: wall clock seconds. done, total: frames. steps: progress of a clip engine's units, in words; "" for a frame
    engine. Until its clip is written, a clip engine's job has no frames. percent: finished share of the work of all
    units. fps: frames a second of all workers on it. eta: seconds, null if unknown. strip: the segments' states on one
    short line, a letter for one or several segments. preview: changes with each new preview image, "" if there is none.
    result: name of the finished file. bytes: its size. captions: name of the captions file, "" for none. notes:
    sentences about the driver, such as how much of it could not be read.
    """

    id: str
    state: JobState
    reason: str
    kind: str
    avatar: str
    engine: str
    driver: str
    priority: str
    created: float
    done: int
    total: int
    steps: str
    percent: float
    fps: float
    eta: int | None
    strip: str
    failing: FailingSegment | None
    preview: str
    result: str
    bytes: int
    captions: str
    notes: list[str]


class JobRow(JobFacts):
    """A job in a list. segments: number of its segments."""

    segments: int

    @classmethod
    def of(cls, view: JobView) -> Self:
        """Return the row of a job."""
        return cls(segments=len(view.segments), **_facts(view))


class JobDetail(JobFacts):
    """A job with its segments, one by one."""

    segments: list[SegmentStatus]

    @classmethod
    def of(cls, view: JobView) -> Self:
        """Return the details of a job."""
        return cls(segments=list(view.segments), **_facts(view))


class JobCostAnswer(Answer):
    """What a job would cost.

    frames: number of frames of the result. units: number of units. seconds: time on one device like this machine's,
    null if not measured. memory: bytes of device memory. disk: bytes in the jobs folder until the job is done. All
    three are null if the engine gives no estimate. lines: the same in words, as `studio jobs submit --dry-run` prints
    it.
    """

    frames: int
    units: int
    seconds: float | None
    memory: int | None
    disk: int | None
    lines: list[str]


class JobPage(Answer):
    """A page of jobs, newest first, and the number of jobs by state."""

    counts: dict[JobState, int]
    jobs: list[JobRow]


class WorkerCount(Answer):
    """Number of live workers, number of busy ones, and the engines that they can run."""

    alive: int
    at_work: int
    engines: list[str]


class JobsState(Answer):
    """The jobs as the state socket sends them.

    counts: jobs by state. rows: the newest jobs, and all active ones. workers: null if unknown. note: why there are no
    rows, or why jobs wait, else "".
    """

    counts: dict[JobState, int]
    rows: list[JobRow]
    workers: WorkerCount | None
    note: str


class JobsMessage(Answer):
    """A message of the state socket: the jobs, when they have changed."""

    jobs: JobsState


class InboxFile(Answer):
    """A file in the inbox. modified: wall clock seconds."""

    name: str
    bytes: int
    modified: float


class Inbox(Answer):
    """The files in the studio's inbox, newest first, and the path of the folder."""

    folder: str
    files: list[InboxFile]


def _facts(view: JobView) -> dict[str, Any]:
    """Return the fields of `JobFacts`, with rounded numbers, times in seconds and the segments as a strip."""
    taken = ("id", "state", "reason", "kind", "avatar", "engine", "driver", "priority", "done", "bytes")
    failing = view.failing
    return {name: getattr(view, name) for name in taken} | {
        "created": datetime.fromisoformat(view.created).timestamp(),
        "total": view.ticks,
        "steps": view.steps,
        "percent": round(view.percent, 1),
        "fps": round(view.fps, 1),
        "eta": None if view.eta is None else round(view.eta),
        "strip": view.strip(STRIP_CELLS),
        "failing": failing
        and FailingSegment(
            number=failing.number + 1, unit=failing.unit, attempts=failing.attempts, reason=failing.reason
        ),
        "preview": f"{view.share:.4f}" if view.preview else "",
        "result": Path(view.result).name,
        "captions": Path(view.captions).name,
        "notes": list(view.notes),
    }
