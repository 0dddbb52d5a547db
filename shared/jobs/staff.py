"""Sentences for users whose jobs wait: whether any worker is running, and whether one can do a certain job."""

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
FARM_LOCK = "farm.lock"  # held by the running farm, which keeps updating its modification time
REDIS_SILENT = "Redis does not answer, so jobs may wait until it does."
NO_WORKER = "No worker is running yet, so jobs wait; `studio worker` starts one where none starts by itself."


def farm_lock(home: Path) -> Path:
    """Return the path of the lock of a home's own render farm."""
    return home / FOLDER / FARM_LOCK


def staff_note(settings: Settings) -> str:
    """Return why waiting jobs will not be done now, "" if a worker is running. The state at this moment only."""
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
    """Return a sentence that says why no worker can do a job of this engine.

    "" if one can. Also "" if no worker runs or the workers are not known, because this concerns all jobs
    (`staff_note`).
    """
    living = [each for each in workers or () if each.alive]
    if not living or any(engine in each.engines for each in living):
        return ""
    those = (
        f"None of the {len(living)} running workers serves"
        if len(living) > 1
        else "The only running worker does not serve"
    )
    return (
        f"{those} the engine {engine}; run `studio worker --engines {engine}` on a machine that can run it, where "
        "`studio engines` shows what is missing."
    )


def with_waiting_reason(view: JobView, workers: Sequence[WorkerBeat] | None) -> JobView:
    """Return the view, with the reason why no worker can do the job if that is what it waits for."""
    if view.state not in UNFINISHED or view.reason or not (reason := waiting_reason(view.engine, workers)):
        return view
    return view.model_copy(update={"reason": reason})


class Staff:
    """The workers of this studio, for a command. Use it as a context manager."""

    def __init__(self, settings: Settings) -> None:
        self._named = settings.redis_url is not None  # otherwise the studio starts its own farm
        self._queue = JobQueue(settings)
        self._workers = Workers(self._queue)

    def read_all(self) -> list[WorkerBeat] | None:
        """Return all workers, None if Redis does not answer."""
        return self._workers.read_all()

    def explained(self, view: JobView) -> JobView:
        """Return the view of a watched job, with the reason why it waits.

        Either no running worker can do it, or none is running and the studio does not start workers itself.
        """
        if view.state not in UNFINISHED or view.reason:
            return view
        workers = self.read_all()
        if self._named and not staffed_engines(workers):
            return view.model_copy(update={"reason": self.absence(workers)})
        return with_waiting_reason(view, workers)

    def absence(self, workers: Sequence[WorkerBeat] | None) -> str:
        """Return why no worker runs, for a Redis that is set. workers: None if Redis does not answer."""
        if workers is None:
            return self._queue.trouble or REDIS_SILENT
        return self._queue.refusal() or NO_WORKER

    def __enter__(self) -> "Staff":
        return self

    def __exit__(self, *_: object) -> None:
        self._queue.close()
