"""The Celery app of the workers. Its one task advances a job by one unit; everything else is on disk.

`celery -A services.renderer.worker.celery_app flower` and Celery's other tools find it here as `app`.
"""

import os
import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import structlog

from services.renderer.worker.shared_state import SharedState
from shared.config.settings import Settings, load_settings
from shared.errors import StudioError
from shared.jobs.manifest import read_job_manifest
from shared.jobs.queue import ADVANCE, JobQueue, celery_app, transport_options
from shared.jobs.redis_address import redis_url
from shared.jobs.store import Store, open_store

if TYPE_CHECKING:
    from celery import Celery

    from services.renderer.job.step import StepResult, UnitWorker

log = structlog.get_logger()
JOB = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,99}")  # Redis is trusted with when, not with where
HURT = 70  # exit code of a child whose engine cannot be stopped otherwise


def make_celery_app(url: str) -> "Celery":
    """The app with what a worker needs in addition to a sender's needs."""
    app = celery_app(url)
    app.conf.update(
        # A message is gone when it is taken: what it was about is on disk, and a worker that dies is seen by its claim.
        task_acks_late=False,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,  # none is held back by a worker that is busy, so the order of the queues holds
        worker_concurrency=1,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_proc_alive_timeout=60,
        worker_send_task_events=True,  # for Flower
        broker_connection_retry=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options=transport_options(),
        task_default_queue="studio",
    )
    return app


class CeleryChild:
    """State of Celery's child process from one message to the next: the engine that is open."""

    def __init__(self, link: SharedState, name: str, settings: Settings) -> None:
        self._link, self._name, self._settings = link, name, settings
        self._queue = JobQueue(settings)
        self._store: Store | None = None
        self._worker: UnitWorker | None = None

    def advance(self, job: str, expired: Sequence[Sequence[Any]]) -> None:
        """Advance a job by one unit, and wake as many workers as can continue from there."""
        if not JOB.fullmatch(job):
            return
        self._link.begin_message(job)
        try:
            self._advance(job, [(str(unit), int(claim)) for unit, claim in expired])
        except StudioError as error:
            log.warning("job_not_advanced", job=job, why=str(error))
        except (TypeError, ValueError):
            log.warning("unknown_message", job=job)
        finally:
            self._link.end_message()

    def _advance(self, job: str, expired: list[tuple[str, int]]) -> None:
        from services.renderer.worker.metrics import count_unit

        worker, store = self._opened()
        if self._link.leaving:
            self._wake(store, job, 1)
            return
        began = time.monotonic()
        step = worker.advance(job, expired)
        took = time.monotonic() - began
        if step.outcome != "nothing":
            count_unit(read_job_manifest(store, job).engine, step, took)
            print_outcome(job, step, took)
        elif step.reason:
            log.warning("job_not_advanced", job=job, why=step.reason)
        if step.wake:
            self._wake(store, job, step.wake)

    def _wake(self, store: Store, job: str, count: int) -> None:
        manifest = read_job_manifest(store, job)
        self._queue.wake(job, manifest.engine, manifest.priority, count, begun=True)

    def _opened(self) -> "tuple[UnitWorker, Store]":
        """Opened with the first message: nothing heavy may happen between Celery's fork and then."""
        if self._worker is None or self._store is None:
            import cv2

            from services.renderer.job.open_job import JobOpener
            from services.renderer.job.step import UnitWorker

            # It takes every core by default; other libraries have read their limits from the environment.
            cv2.setNumThreads(int(os.environ.get("OMP_NUM_THREADS", "1")))
            store = open_store(self._settings.jobs_url)
            self._store = store
            self._worker = UnitWorker(
                store, JobOpener(store, self._settings), self._name, lambda: self._link.leaving, lambda: os._exit(HURT)
            )
        return self._worker, self._store


def add_task(app: "Celery", advance: Any) -> None:
    """Give the app its one task."""
    app.task(name=ADVANCE, ignore_result=True)(advance)


def print_outcome(job: str, step: "StepResult", took: float) -> None:
    """Log what came of a message, in one line."""
    facts: dict[str, Any] = {"job": job, "unit": step.unit}
    if step.outcome == "done":
        log.info("unit_done", **facts, seconds=round(took, 1), fps=round(step.frames / max(took, 1e-3), 1))
    elif step.outcome in ("failed", "no_space"):
        log.warning("unit_failed", **facts, outcome=step.outcome, why=step.reason, exc_info=step.error)
    else:
        log.info("unit_left", **facts, outcome=step.outcome)


def __getattr__(name: str) -> Any:
    """`app`, for Celery's own tools; made when they ask for it."""
    if name != "app":
        raise AttributeError(name)
    url = redis_url(load_settings())
    if url is None:
        raise StudioError("There is no Redis: set REDIS_URL, or start `studio worker` first.")
    return make_celery_app(url)
