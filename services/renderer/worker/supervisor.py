"""`studio worker`: supervises Celery's processes, publishes the worker's beat, and runs the caretaker of the jobs."""

import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Protocol

from engines.registry import canonical_name
from services.renderer.worker.caretaker import SWEEP_S, Caretaker
from services.renderer.worker.engine_probe import probe_engines
from services.renderer.worker.metrics import FOLDER, MetricsPage, QueueCollector
from services.renderer.worker.shared_state import SharedState
from services.renderer.worker.store_probe import probe
from shared.config.child_environment import child_environment
from shared.config.settings import Settings
from shared.errors import StudioError
from shared.jobs.queue import JobQueue
from shared.jobs.redis_address import redis_url
from shared.jobs.store import Store, open_store
from shared.jobs.workers import WorkerBeat, WorkerFiles, Workers
from shared.runtime.logs import get_logger
from shared.runtime.restart import RestartPolicy
from shared.runtime.stop_signals import TERMINAL, StopSignals

log = get_logger()

NICE = 10  # nice value, so that a live channel on the same machine has priority
LEAVE_S = 8.0  # time for handing back the segment in progress
STALLED_S = 30.0  # time without taking any of the waiting messages after which Celery is restarted
RESTART_S = (0.5, 1.0, 2.0, 5.0, 10.0)
BEAT_S = 2.0
FILE_PERIOD_BEATS = 5  # beats from one write of the worker's file in the store to the next


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """Options of `studio worker`. engines: () for all that run here. gpu: number of the GPU. metrics: loopback port."""

    engines: tuple[str, ...] = ()
    gpu: int | None = None
    metrics: int | None = None


class Keeper(Protocol):
    """Keeps Redis running if the settings name none. A context manager; `turn` is called several times a second."""

    def turn(self) -> None:
        """Start Redis if it does not run, and wait until it answers. Raises StudioError."""

    def __enter__(self) -> Any: ...

    def __exit__(self, *_: object) -> None: ...


def run_worker(settings: Settings, given: WorkerOptions, keeper: Keeper) -> None:
    """Run a worker until Ctrl-C or SIGTERM; a second signal ends it immediately.

    Raises StudioError before anything is started.
    """
    ending = StopSignals(TERMINAL)
    os.nice(NICE)
    store = open_store(settings.jobs_url)
    probe(store)
    with keeper:
        keeper.turn()
        worker = RenderWorker(settings, store, given, engines_of(settings, given))
        worker.start()
        try:
            while not ending:
                keeper.turn()
                worker.turn()
                time.sleep(0.2)
        finally:
            worker.leave(lambda: ending.count > 1)


def engines_of(settings: Settings, given: WorkerOptions) -> tuple[str, ...]:
    """Return the worker's engines: the requested ones, or all that this machine can run.

    Raises StudioError if a requested engine cannot run, or if no engine can.
    """
    found = probe_engines(worker_environment(settings, given))
    wanted = tuple(canonical_name(name, settings.engines) for name in given.engines)
    if unknown := [name for name in wanted if name not in found]:
        raise StudioError(f"There is no engine '{unknown[0][:60]}'; choose one of {', '.join(sorted(found))}.")
    for name in wanted:
        if found[name]:
            raise StudioError(found[name])
    if wanted:
        return wanted
    for name, reason in found.items():
        if reason:
            log.info("engine_left_out", engine=name, why=reason)
    chosen = tuple(name for name, reason in found.items() if not reason)
    if not chosen:
        raise StudioError("No engine can run on this machine; `studio doctor` shows what is missing.")
    return chosen


def worker_environment(settings: Settings, given: WorkerOptions) -> dict[str, str]:
    """Return the environment of Celery's processes: the settings, the number of threads, and the GPU."""
    # Half of the cores, so that a live channel on the same machine keeps its frame rate.
    threads = max(1, (os.cpu_count() or 2) // 2)
    told = child_environment(settings, store=True, redis_url=redis_url(settings), threads=threads)
    if given.gpu is not None:
        told["CUDA_VISIBLE_DEVICES"] = str(given.gpu)
    return told


class RenderWorker:
    """Celery's processes, their supervision and the caretaker.

    `turn` is called in the main thread. The caretaker has its own thread, so that a slow store does not delay the
    detection of a dead process.
    """

    def __init__(self, settings: Settings, store: Store, given: WorkerOptions, engines: tuple[str, ...]) -> None:
        self._settings, self._store, self._given, self._engines = settings, store, given, engines
        self.name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"
        self._link = SharedState.create()
        self._queue = JobQueue(settings)
        self._workers, self._files = Workers(self._queue), WorkerFiles(store)
        self._closing = ExitStack()
        self._page = self._metrics()
        self._process: subprocess.Popen[bytes] | None = None
        self._url: str | None = None
        self._restart = RestartPolicy(RESTART_S)
        self._quit = threading.Event()
        self._idle = StallDetector(self._link, lambda: self._queue.depths(self._engines))
        self._stalled = threading.Event()
        self._carer = threading.Thread(target=self._care, name="caretaker", daemon=True)

    def start(self) -> None:
        """Start Celery and the caretaker."""
        log.info("worker_started", name=self.name, engines=",".join(self._engines), jobs=self._store.url)
        self._spawn()
        self._carer.start()

    def turn(self) -> None:
        """Restart Celery's main process if it has ended or stalled; called several times a second."""
        if self._process is None:
            if self._restart.is_due():
                self._spawn()
            return
        code = self._process.poll()
        if code is None and (self._stalled.is_set() or self._moved()):
            log.warning("celery_killed", why="stalled" if self._stalled.is_set() else "Redis has another address")
            self._stalled.clear()
            self._process.kill()
            code = self._process.wait()
        if code is not None:
            log.warning("celery_ended", code=code, again_in_s=self._restart.died())
            self._process = None

    def leave(self, at_once: Callable[[], bool]) -> None:
        """Stop the worker and hand back the segment in progress, within LEAVE_S.

        at_once: whether to stop immediately, without waiting; it is polled.
        """
        log.info("worker_stopping")
        self._link.leave()
        self._quit.set()
        if self._process is not None:
            self._process.terminate()
            deadline = time.monotonic() + LEAVE_S
            while self._process.poll() is None and time.monotonic() < deadline and not at_once():
                time.sleep(0.05)
            self._process.kill()
            self._process.wait()
        if not at_once():
            self._carer.join(2 * BEAT_S)
            self._workers.leave(self.name)
            self._files.leave(self.name)
        self._closing.close()
        self._queue.close()

    def _spawn(self) -> None:
        self._url = redis_url(self._settings) or self._url
        told = worker_environment(self._settings, self._given)
        if self._page:
            told[FOLDER] = str(self._page.folder)
        self._idle.reset()
        command = [sys.executable, "-m", "services.renderer", "--name", self.name, "--engines", ",".join(self._engines)]
        self._process = subprocess.Popen(
            [*command, "--link", str(self._link.descriptor), "--parent", str(os.getpid())],
            env=told, stdin=subprocess.DEVNULL, pass_fds=[self._link.descriptor],
            start_new_session=True,  # the terminal's Ctrl-C reaches this process only, which stops Celery
        )  # fmt: skip

    def _moved(self) -> bool:
        """Whether the studio's own Redis has another address than when Celery was started."""
        url = redis_url(self._settings)
        return url is not None and url != self._url

    def _metrics(self) -> MetricsPage | None:
        if self._given.metrics is None:
            return None
        page = MetricsPage(
            self._given.metrics, QueueCollector(self._queue, lambda: self._workers.read_all() or [], self._engines)
        )
        self._closing.callback(page.close)
        log.info("metrics_served", url=f"http://127.0.0.1:{page.port}/metrics")
        return page

    def _care(self) -> None:
        caretaker = Caretaker(self._store, self._queue, dead=self._dead)
        beat, swept, child = 0, float("-inf"), 0
        while not self._quit.wait(BEAT_S if beat else 0.0):
            beat += 1
            try:
                self._say(beat, caretaker)
                if self._idle.stalled():
                    self._stalled.set()
                if time.monotonic() - swept >= SWEEP_S or child != self._link.child:
                    swept, child = time.monotonic(), self._link.child
                    self._sweep(caretaker)
            except StudioError as error:
                log.warning("caretaker_failed", why=str(error))
            except Exception:  # the caretaker must not end before the worker does
                log.exception("caretaker_failed")

    def _sweep(self, caretaker: Caretaker) -> None:
        others = self._workers.read_all() or []
        done = caretaker.sweep([each.job for each in others if each.job])
        if done.expired or done.unparked:
            log.info("jobs_recovered", expired_claims=done.expired, unparked=done.unparked, sent=done.sent)

    def _holder(self) -> str:
        """Return the name of Celery's current child in its claims."""
        return f"{self.name}.{self._link.child}"

    def _dead(self, worker: str) -> bool:
        """Whether a claim's holder is an earlier child of this worker, which is dead."""
        return worker.startswith(f"{self.name}.") and worker != self._holder()

    def _say(self, beat: int, caretaker: Caretaker) -> None:
        job, (told, unit, fps) = self._link.job, caretaker.at_work.get(self._holder(), ("", "", 0.0))
        if job != told:  # the caretaker's figures are still those of an earlier job
            unit, fps = "", 0.0
        about = (self._engines, self._given.gpu, job, unit, fps)
        said = WorkerBeat(self.name, beat, socket.gethostname(), os.getpid(), *about)
        self._workers.publish_beat(said)
        if beat % FILE_PERIOD_BEATS == 1:
            self._files.publish_beat(said)


class StallDetector:
    """Detects that Celery no longer takes messages although some are waiting."""

    def __init__(self, link: SharedState, depths: Callable[[], dict[str, int] | None]) -> None:
        self._link, self._depths = link, depths
        self._taken = -1
        self._since: float | None = None

    def stalled(self) -> bool:
        """Return True once no message has been taken for STALLED_S although some are waiting. Called repeatedly."""
        if self._link.job or self._link.taken != self._taken or not sum((self._depths() or {}).values()):
            self._taken = self._link.taken
            self.reset()
        elif self._since is None:
            self._since = time.monotonic()
        elif time.monotonic() - self._since >= STALLED_S:
            self.reset()
            return True
        return False

    def reset(self) -> None:
        """Start measuring again, because Celery was just started or has taken a message."""
        self._since = None
