"""Answers about jobs and the inbox."""

from services.gateway.models.base import Answer
from shared.jobs.status import Segment, State


class FailingSegment(Answer):
    """The segment that hinders a job: its number from 1, how often it was begun, and why the last attempt failed."""

    number: int
    attempts: int
    reason: str


class JobFacts(Answer):
    """A job as a page draws it.

    reason: what it waits for or why it is parked. kind: failed, memory or no_space where it is parked. created: wall
    clock seconds. done, total: frames. fps: frames a second of all workers at it now. eta: seconds, null where it is not
    known. strip: its segments on one short line, a letter for one or several. preview: changes with each new preview
    image, "" where there is none. result: the finished file's name. bytes: its size.
    """

    id: str
    state: State
    reason: str
    kind: str
    avatar: str
    engine: str
    driver: str
    priority: str
    created: float
    done: int
    total: int
    fps: float
    eta: int | None
    strip: str
    failing: FailingSegment | None
    preview: str
    result: str
    bytes: int


class JobView(JobFacts):
    """A job in a list. segments: how many it has."""

    segments: int


class JobDetail(JobFacts):
    """A job with its segments, one by one."""

    segments: list[Segment]


class JobPage(Answer):
    """A page of jobs, newest first, and how many there are by state."""

    counts: dict[State, int]
    jobs: list[JobView]


class WorkerCount(Answer):
    """How many workers live, and how many of them are at work."""

    alive: int
    at_work: int


class JobsState(Answer):
    """The jobs as the state socket sends them.

    counts: by state. rows: the newest, and those at work however old they are. workers: null where that is not known.
    note: why there are no rows, or why they wait, else "".
    """

    counts: dict[State, int]
    rows: list[JobView]
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
    """The files in the studio's inbox, newest first, and the folder it is."""

    folder: str
    files: list[InboxFile]
