"""Caretaker of the jobs, which ensures that none waits in vain.

It handles claims whose holder is dead, messages that were lost, and jobs that were parked for lack of disk space. Every
few seconds it examines the jobs that have begun, the first waiting ones of each queue, and some of the others in turn.
Of Redis it only needs that messages can be sent.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from shared.errors import StudioError
from shared.jobs.claims import LEASE_S, read_beat
from shared.jobs.index import JobIndex
from shared.jobs.manifest import Manifest, Priority, folder, read_job_manifest
from shared.jobs.queue import JobQueue, queue_name
from shared.jobs.status import jobs, parked, read_wanted_state, result, unpark
from shared.jobs.store import Store
from shared.jobs.survey import JobSurveyor, Survey
from shared.runtime.logs import get_logger

log = get_logger()

ClaimKey = tuple[str, str, int]  # job, unit's name, the claim's number
SWEEP_S = 5.0  # interval of sweeps
AGAIN_S = 10.0  # time after which a message without effect is sent again
HEAD = 24  # jobs at the head of each queue that every sweep examines
IN_TURN = 24  # further waiting jobs per sweep
AT_MOST = 32  # messages sent to an empty queue
LEARN_S = 1.5  # time per sweep for jobs that are new to the caretaker
INDEX_S = 60.0  # interval of checking that the index is complete
RESUME_FREE_BYTES = 256 << 20  # free bytes with which jobs that were parked for lack of space continue

Lane = tuple[str, Priority]  # engine and priority


@dataclass(slots=True)
class ExpiredClaims:
    """Finds claims whose beat has stopped, by remembering each claim's last beat and when it was first seen.

    longest: most seconds that count between two calls, because a pause of this process may have been one of the whole
    machine.
    """

    longest: float
    clock: Callable[[], float] = time.monotonic
    _last: float | None = None
    _time: float = 0.0
    _beats: dict[ClaimKey, tuple[int, float]] = field(default_factory=dict)

    def stale_claims(self, beats: dict[ClaimKey, int]) -> list[ClaimKey]:
        """Return the claims whose beat has not changed for LEASE_S. beats: those of all open claims."""
        now = self.clock()
        self._time += min(now - self._last, self.longest) if self._last is not None else 0.0
        self._last = now
        seen = {}
        for key, beat in beats.items():
            before = self._beats.get(key)
            seen[key] = before if before and before[0] == beat else (beat, self._time)
        self._beats = seen
        return [key for key, (_, since) in seen.items() if self._time - since >= LEASE_S]


@dataclass(slots=True)
class KnownJob:
    """An open job as the caretaker remembers it. manifest: kept only for a job that has begun."""

    created: str
    lane: Lane
    begun: bool
    manifest: Manifest | None = None


@dataclass(frozen=True, slots=True)
class SweepReport:
    """Numbers of a sweep: open jobs, messages sent, expired claims of dead workers, and unparked jobs."""

    open: int
    sent: int
    expired: int
    unparked: int


class Caretaker:
    """Takes care of all jobs in a store. Every worker has one; several do not disturb each other."""

    def __init__(
        self,
        store: Store,
        queue: JobQueue,
        clock: Callable[[], float] = time.monotonic,
        dead: Callable[[str], bool] = lambda worker: False,
    ) -> None:
        """dead: whether a claim's holder, given by name, is known to be dead, so that its lease need not expire."""
        self._store, self._queue, self._clock, self._dead = store, queue, clock, dead
        self._index = JobIndex(store, queue)
        self._board = JobSurveyor()
        self._leases = ExpiredClaims(2 * SWEEP_S, clock)
        self._open: dict[str, KnownJob] = {}
        self._ended: set[str] = set()
        self._order: list[str] = []
        self._sent: dict[ClaimKey, float] = {}
        self._roomless: set[str] = set()
        self._turn = 0
        self._indexed = float("-inf")
        self.at_work: dict[str, tuple[str, str, float]] = {}  # by worker: job, unit, frames per second

    def sweep(self, at_work: Collection[str] = ()) -> SweepReport:
        """Examine the jobs that are due, and send missing messages.

        at_work: jobs that workers report to be working on. Raises StudioError when the store cannot be read.
        """
        self._learn()
        until = self._clock() - AGAIN_S
        self._sent = {key: at for key, at in self._sent.items() if at > until}
        for job in at_work:
            if job in self._open:
                self._open[job].begun = True
        seen = {job: survey for job in self._chosen() if (survey := self._look_at(job)) is not None}
        beats = self._beats(seen)
        buried = [key for key, (worker, _) in beats.items() if self._dead(worker)]
        expired = list(
            dict.fromkeys([*buried, *self._leases.stale_claims({key: beat for key, (_, beat) in beats.items()})])
        )
        sent = self._send_expired(expired) + self._top_up(seen)
        unparked = self._make_room()
        self._see_to_index(seen)
        return SweepReport(len(self._open), sent, len(expired), unparked)

    def _learn(self) -> None:
        """Add new jobs to the open ones, for at most LEARN_S, and drop removed jobs."""
        names = jobs(self._store)
        there = set(names)
        for gone in self._open.keys() - there:
            self._close(gone)
        self._ended &= there
        until = self._clock() + LEARN_S
        before = len(self._open)
        for job in names:
            if job in self._open or job in self._ended:
                continue
            self._meet(job)
            if self._clock() > until:
                break
        if len(self._open) != before or len(self._order) != before:
            self._order = sorted(self._open, key=lambda job: (self._open[job].created, job))

    def _meet(self, job: str) -> None:
        try:
            manifest = read_job_manifest(self._store, job)
            if self._over(job):
                self._ended.add(job)
                return
            begun = bool(self._store.list(f"{folder(job)}/units"))
        except StudioError:
            self._ended.add(job)  # damaged, of another version, or gone again
            return
        self._open[job] = KnownJob(manifest.created, (manifest.engine, manifest.priority), begun)

    def _over(self, job: str) -> bool:
        return bool(result(self._store, job)) or read_wanted_state(self._store, job) == "cancelled"

    def _close(self, job: str) -> None:
        self._open.pop(job, None)
        self._roomless.discard(job)
        self._board.forget(job)
        self._order = []

    def _chosen(self) -> list[str]:
        """Return the jobs to examine in this sweep, oldest first."""
        order = [job for job in self._order if job in self._open]
        begun = [job for job in order if self._open[job].begun]
        waiting = [job for job in order if not self._open[job].begun]
        first: dict[Lane, list[str]] = {}
        for job in waiting:
            lane = first.setdefault(self._open[job].lane, [])
            if len(lane) < HEAD:
                lane.append(job)
        start = self._turn if self._turn < len(waiting) else 0
        self._turn = start + IN_TURN
        chosen = {*begun, *waiting[start : start + IN_TURN]}.union(*first.values())
        return [job for job in order if job in chosen]

    def _look_at(self, job: str) -> Survey | None:
        """Call `_see`, and log a job that cannot be read, so that the others are still examined."""
        try:
            return self._see(job)
        except StudioError as error:
            log.warning("job_not_read", job=job, why=str(error))
        except Exception:
            log.exception("job_not_read", job=job)
        return None

    def _see(self, job: str) -> Survey | None:
        """Return the state of a job's units; None if there is nothing to do for the job now."""
        known = self._open[job]
        if self._over(job):
            self._close(job)
            self._ended.add(job)
            self._index.refresh(job)
            return None
        waits = parked(self._store, job)
        if waits and waits[1] == "no_space":
            self._roomless.add(job)
        if waits or read_wanted_state(self._store, job) == "paused":
            self._index.refresh(job)
            return None
        self._roomless.discard(job)
        try:
            manifest = known.manifest or read_job_manifest(self._store, job)
        except StudioError:
            return None  # removed just now
        survey = self._board.survey(self._store, manifest)
        if survey.open or any(state.claim or manifest.graph.needs(unit) for unit, state in survey.ready):
            known.begun = True
        known.manifest = manifest if known.begun else None
        return survey

    def _beats(self, seen: dict[str, Survey]) -> dict[ClaimKey, tuple[str, int]]:
        """Return holder and beat of every open claim, and update `at_work`."""
        beats = {}
        self.at_work = {}
        for job, survey in seen.items():
            for unit, claim in survey.open:
                said = read_beat(self._store, job, unit, claim)
                if said is None:  # damaged: counts as unchanged until its lease expires or its holder writes it again
                    beats[job, unit, claim] = "", -1
                    continue
                beats[job, unit, claim] = said.worker, said.beat
                self.at_work[said.worker] = job, unit, said.fps
        return beats

    def _send_expired(self, expired: list[ClaimKey]) -> int:
        sent = 0
        for key in expired:
            job, unit, claim = key
            if key not in self._sent and self._wake(job, 1, [(unit, claim)], begun=True):
                self._sent[key] = self._clock()
                sent += 1
        return sent

    def _top_up(self, seen: dict[str, Survey]) -> int:
        """Send messages for ready units to queues that are empty; returns how many."""
        depths = self._queue.depths({self._open[job].lane[0] for job in seen})
        if depths is None:
            return 0
        room = {name: 0 if waiting else AT_MOST for name, waiting in depths.items()}
        sent = 0
        for job, survey in seen.items():
            engine, priority = self._open[job].lane
            begun = self._open[job].begun
            name = queue_name(engine, priority, begun=begun)
            ready = [(job, unit, state.claim) for unit, state in survey.ready]
            due = [key for key in ready if key not in self._sent][: room[name]]
            if due and self._wake(job, len(due), (), begun=begun):
                self._sent |= dict.fromkeys(due, self._clock())
                room[name] -= len(due)
                sent += len(due)
        return sent

    def _wake(self, job: str, count: int, expired: list[tuple[str, int]] | tuple[()], *, begun: bool) -> bool:
        engine, priority = self._open[job].lane
        return self._queue.wake(job, engine, priority, count, expired=expired, begun=begun)

    def _make_room(self) -> int:
        """Unpark the jobs that were parked for lack of disk space, once there is enough; returns how many."""
        if not self._roomless:
            return 0
        free = self._store.room()
        if free is not None and free < RESUME_FREE_BYTES:
            return 0
        for job in sorted(self._roomless):
            unpark(self._store, job)
        made, self._roomless = len(self._roomless), set()
        return made

    def _see_to_index(self, seen: dict[str, Survey]) -> None:
        for job in seen:
            if self._open[job].begun:
                self._index.refresh(job)
        if self._clock() - self._indexed >= INDEX_S:
            self._indexed = self._clock()
            self._index.order()
