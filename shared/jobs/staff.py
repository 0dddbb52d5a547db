"""Whether any worker can take the jobs, or one of them, as a sentence for users who wait."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from shared.config.settings import Settings
from shared.jobs.queue import JobQueue
from shared.jobs.redis_address import FOLDER
from shared.jobs.view import JobState, JobView
from shared.jobs.workers import WorkerBeat, Workers
from shared.runtime.file_lock import is_locked

UNFINISHED: frozenset[JobState] = frozenset({"queued", "rendering", "assembling"})
FARM_LOCK = "farm.lock"  # held by the farm; its time of change is when the farm was last at work
REDIS_SILENT = "Redis does not answer, so jobs may wait until it does."
NO_WORKER = "No worker is running yet, so jobs wait; `studio worker` starts one where none starts by itself."


def farm_lock(home: Path) -> Path:
    """The lock of a home's own farm."""
    return home / FOLDER / FARM_LOCK


def staff_note(settings: Settings) -> str:
    """Return why jobs that wait will not be done now, "" where a worker is there. One look, as of this moment."""
    with Staff(settings) as staff:
        found = staff.read_all()
        if any(each.alive for each in found or ()):
            return ""
        if settings.redis_url is not None:
            return staff.absence(found)
    lock = farm_lock(settings.home)
    if is_locked(lock):
        return ""
    try:
        since = f" since {datetime.fromtimestamp(lock.stat().st_mtime):%d %b %H:%M}"
    except OSError:
        since = ""
    return f"No worker has been running{since}; `studio jobs watch JOB` and `studio worker` start one."


def staffed_engines(workers: Sequence[WorkerBeat] | None) -> frozenset[str]:
    """Names of the engines that a living worker can run. workers: None where they are not known."""
    return frozenset(engine for each in workers or () if each.alive for engine in each.engines)


def waiting_reason(engine: str, workers: Sequence[WorkerBeat] | None) -> str:
    """Why none of the workers takes a job of this engine: one sentence.

    "" where one can, and where there are none at all or it is not known, which is not a single job's problem
    (`staff_note`).
    """
    living = [each for each in workers or () if each.alive]
    if not living or any(engine in each.engines for each in living):
        return ""
    those = f"None of the {len(living)} workers that run can" if len(living) > 1 else "The only worker that runs cannot"
    return (
        f"{those} do jobs of the engine {engine}; run `studio worker --engines {engine}` on a machine that can run it, "
        "where `studio engines` says what is missing."
    )


def with_waiting_reason(view: JobView, workers: Sequence[WorkerBeat] | None) -> JobView:
    """The view, with the reason why no worker takes the job where it waits for one."""
    if view.state not in UNFINISHED or view.reason or not (reason := waiting_reason(view.engine, workers)):
        return view
    return view.model_copy(update={"reason": reason})


class Staff:
    """The workers of this studio, for a command. A context manager."""

    def __init__(self, settings: Settings) -> None:
        self._named = settings.redis_url is not None  # else a farm of its own comes where none is
        self._queue = JobQueue(settings)
        self._workers = Workers(self._queue)

    def read_all(self) -> list[WorkerBeat] | None:
        """All workers, None where Redis is away."""
        return self._workers.read_all()

    def explained(self, view: JobView) -> JobView:
        """The view of a watched job, with the reason why it waits.

        That is: no worker can do it, or an operator runs the workers and there are none.
        """
        if view.state not in UNFINISHED or view.reason:
            return view
        workers = self.read_all()
        if self._named and not staffed_engines(workers):
            return view.model_copy(update={"reason": self.absence(workers)})
        return with_waiting_reason(view, workers)

    def absence(self, workers: Sequence[WorkerBeat] | None) -> str:
        """Return why no worker is running where an operator runs them. workers: None where Redis is away."""
        if workers is None:
            return self._queue.trouble or REDIS_SILENT
        return self._queue.refusal() or NO_WORKER

    def __enter__(self) -> "Staff":
        return self

    def __exit__(self, *_: object) -> None:
        self._queue.close()
