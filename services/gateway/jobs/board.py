"""The gateway's view of the jobs: polled in a thread once a second while a page is open, sent to pages on change."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from services.gateway.channel.event_log import EventLog
from services.gateway.jobs.submit import cost_by_process, speech_by_process, submit_by_process
from services.gateway.models.jobs import JobCostAnswer, JobDetail, JobPage, JobRow, JobsMessage, JobsState, WorkerCount
from shared.config.settings import Settings
from shared.errors import StudioError
from shared.jobs.index import JobIndex
from shared.jobs.manifest import ID, folder, read_job_manifest
from shared.jobs.queue import JobQueue
from shared.jobs.redis_address import redis_url
from shared.jobs.staff import NO_WORKER, REDIS_SILENT, staffed_engines, with_waiting_reason
from shared.jobs.status import WantedState, delete_job, result, retry_parked, set_wanted_state, status
from shared.jobs.store import Store, open_store
from shared.jobs.view import JobState, JobView
from shared.jobs.workers import WorkerBeat, Workers

JobAction = WantedState | Literal["retry"]
STATES: tuple[JobState, ...] = get_args(JobState)
PERIOD_S = 1.0
RESTING = 20  # pause after a poll, in durations of the poll: a slow store takes at most a twentieth of a core
WATCHED_S = 3.0  # seconds after `watched` for which a page counts as open; a page calls it four times a second
ROWS = 50
MOMENT_S = 0.25  # seconds in which the rows of active jobs are refreshed
SUBMITTING = 2  # simultaneous submissions: each opens its driver in a separate process
AT_WORK: tuple[JobState, ...] = ("rendering", "assembling", "parked", "paused")  # refreshed first, in this order
WAITING: tuple[JobState, ...] = ("queued", "rendering", "assembling")  # states in which a job needs a worker
SAID = {
    "done": ("is done.", "info"),
    "parked": ("is parked: {reason}", "error"),
    "cancelled": ("is cancelled.", "info"),
}


@dataclass(frozen=True, slots=True)
class JobFigures:
    """Figures of the jobs for the metrics page.

    jobs: number by state. depths: messages by queue, None if Redis does not answer. workers: by name, whether the
    worker is alive.
    """

    jobs: dict[str, int]
    depths: dict[str, int] | None
    workers: dict[str, bool]


class JobBoard:
    """The jobs of this studio as pages show them.

    Coroutines, `refresh_soon` and `watched` are called in the event loop. All other methods access the store and are
    called in a thread.
    """

    def __init__(self, settings: Settings, event_log: EventLog) -> None:
        self._settings, self._event_log = settings, event_log
        self._opened: Store | None = None
        self._queue = JobQueue(settings)
        self._workers = Workers(self._queue)
        self._asked = float("-inf")
        self._states: dict[str, str] = {}  # by id: states of the jobs in AT_WORK at the last poll
        self._gate = asyncio.Semaphore(SUBMITTING)
        self._soon = asyncio.Event()
        self._text = ""

    async def run(self) -> None:
        """Poll the jobs once a second while a page is open, until cancelled."""
        while True:
            took = 0.0
            if time.monotonic() - self._asked < WATCHED_S:
                before = time.monotonic()
                self._tell(await asyncio.to_thread(self.overview))
                took = time.monotonic() - before
            try:
                async with asyncio.timeout(max(PERIOD_S, RESTING * took)):
                    await self._soon.wait()
            except TimeoutError:
                pass  # no early refresh was requested
            self._soon.clear()

    def refresh_soon(self) -> None:
        """Poll the jobs immediately, because one was changed. Called in the event loop."""
        self._soon.set()

    def watched(self) -> str:
        """Note that a page is open; returns the jobs as JSON for it, "" before the first poll."""
        self._asked = time.monotonic()
        return self._text

    def _tell(self, found: JobsState) -> None:
        text = JobsMessage(jobs=found).model_dump_json()
        if text != self._text:
            self._text = text
        for row in found.rows:
            # Add an event for each job that was finished, parked or cancelled while a page was open.
            if self._states.get(row.id, row.state) != row.state and row.state in SAID:
                words, kind = SAID[row.state]
                self._event_log.add(f"Job {row.id} ({row.driver}) {words.format(reason=row.reason)}", kind)
        self._states = {row.id: row.state for row in found.rows if row.state in AT_WORK}

    def overview(self) -> JobsState:
        """Return counts by state, the newest jobs and all active ones.

        If the jobs cannot be read, there are no rows, and `note` is the reason.
        """
        try:
            order = self._index().order()
            at_work = sorted((AT_WORK.index(state), name) for name, state in order if state in AT_WORK)[:ROWS]
            staff = self._workers.read_all()
            fresh = self._refreshed_rows([name for _, name in at_work])
            names = [name for name, _ in order[: -ROWS - 1 : -1]] + [name for _, name in at_work] + list(self._states)
            views = [*fresh.values(), *self._index().rows([name for name in dict.fromkeys(names) if name not in fresh])]
            counts = Counter(state for _, state in order)
            workers, note = self._staff(staff, sum(counts[state] for state in WAITING))
            rows = [JobRow.of(with_waiting_reason(each, staff)) for each in views]
            return JobsState(counts=counts, rows=rows, workers=workers, note=note)
        except StudioError as error:
            return JobsState(counts={}, rows=[], workers=None, note=str(error))

    def _staff(self, found: list[WorkerBeat] | None, waiting: int) -> tuple[WorkerCount | None, str]:
        """Return how many workers live and work (None if unknown), and a sentence if `waiting` jobs lack a worker."""
        living = [worker for worker in found or [] if worker.alive]
        note = ""
        if waiting and found is None and redis_url(self._settings):
            note = REDIS_SILENT
        elif waiting and not living:
            note = self._queue.refusal() or NO_WORKER
        if found is None:
            return None, note
        engines = sorted(staffed_engines(living))
        return WorkerCount(alive=len(living), at_work=sum(bool(each.job) for each in living), engines=engines), note

    def _refreshed_rows(self, names: list[str]) -> dict[str, JobView]:
        """Refresh these jobs from the store, in order, for MOMENT_S at most; returns the refreshed rows by id."""
        found = {}
        until = time.monotonic() + MOMENT_S
        for name in names:
            if (seen := self._index().refresh(name)) is not None:
                found[name] = seen
            if time.monotonic() > until:
                break
        return found

    def figures(self, engines: list[str]) -> JobFigures:
        """Return the figures for the metrics page. engines: those whose queues are counted."""
        try:
            counts = Counter[str](state for _, state in self._index().order())
        except StudioError:
            counts = Counter()
        workers = {worker.name: worker.alive for worker in self._workers.read_all() or []}
        return JobFigures(dict(counts), self._queue.depths(engines), workers)

    def page(self, state: str, limit: int, offset: int) -> JobPage:
        """Return a page of the jobs in this state ("" for all), newest first. Raises StudioError."""
        order = self._index().order()[::-1]
        # Refresh the active jobs before filtering by state, so that a job that has just ended has its new state.
        fresh = self._refreshed_rows([name for name, each in order if each in AT_WORK])
        order = [(name, fresh[name].state if name in fresh else each) for name, each in order]
        names = [name for name, each in order if state in ("", each)]
        counts = Counter(each for _, each in order)
        wanted = names[offset : offset + limit]
        views, staff = {each.id: each for each in self._index().rows(wanted)} | fresh, self._workers.read_all()
        shown = [with_waiting_reason(views[name], staff) for name in wanted if name in views]
        return JobPage(counts=counts, jobs=[JobRow.of(each) for each in shown])

    def has(self, job: str) -> bool:
        """Whether a job with this id exists. A string that does not have the form of an id is never looked up."""
        return bool(ID.fullmatch(job)) and self._store().read(f"{folder(job)}/job.json") is not None

    def show(self, job: str) -> JobDetail:
        """Return one job with its segments. Raises StudioError."""
        return JobDetail.of(with_waiting_reason(status(self._store(), job), self._workers.read_all()))

    def apply_action(self, job: str, how: JobAction) -> JobDetail:
        """Retry what failed in a job, or set its wanted state. Raises StudioError if the job's state forbids it."""
        store = self._store()
        if how == "retry":
            retry_parked(store, job)
        else:
            set_wanted_state(store, job, how)
        self._index().refresh(job)
        self.wake(job)
        return self.show(job)

    def wake(self, job: str) -> None:
        """Notify the workers of a job; without Redis they find it by themselves later."""
        manifest = read_job_manifest(self._store(), job)
        self._queue.wake(job, manifest.engine, manifest.priority, len(manifest.graph.shown))

    def remove(self, job: str) -> None:
        """Delete a job and its files. Raises StudioError unless the job is finished or cancelled."""
        delete_job(self._store(), job)
        self._index().drop([job])

    def preview(self, job: str) -> bytes | None:
        """Return the newest frame of a job, JPEG, None if there is none."""
        return self._store().read(f"{folder(job)}/preview.jpg")

    def result(self, job: str) -> tuple[Path, str]:
        """Return the local path of a job's result and the file name for its download.

        Raises StudioError if the job is not finished.
        """
        store = self._store()
        made = result(store, job)
        if not made:
            raise StudioError("This job is not finished; wait until its state is done.")
        name = made.file
        called = f"{Path(status(store, job).driver).stem}-{job}{Path(name).suffix}"
        return store.fetch(f"{folder(job)}/{name}"), called

    def captions(self, job: str) -> tuple[Path, str]:
        """Return the local path of a finished job's WebVTT file and the file name for its download.

        Raises StudioError if there is none.
        """
        _, called = self.result(job)
        made = result(self._store(), job)
        if not made or not made.captions:
            raise StudioError("This job has no captions; only a job that was submitted with a text has them.")
        path = self._store().fetch(f"{folder(job)}/{made.captions}")
        return path, Path(called).with_suffix(path.suffix).name

    async def submit(self, asked: dict[str, Any]) -> str:
        """Submit a job; returns its id. Raises HTTPException."""
        async with self._gate:
            job = str((await submit_by_process(asked))["id"])
        await asyncio.to_thread(self.wake, job)
        return job

    async def speech(self, text: str, voice: str) -> tuple[str, str]:
        """Synthesise a text; returns the paths of the speech and of its captions. Raises HTTPException."""
        async with self._gate:
            return await speech_by_process(text, voice)

    async def cost(self, asked: dict[str, Any]) -> JobCostAnswer:
        """Return the estimated cost of a job. Raises HTTPException."""
        async with self._gate:
            return JobCostAnswer(**await cost_by_process(asked))

    def _index(self) -> JobIndex:
        return JobIndex(self._store(), self._queue)

    def _store(self) -> Store:
        if self._opened is None:
            self._opened = open_store(self._settings.jobs_url)
        return self._opened
