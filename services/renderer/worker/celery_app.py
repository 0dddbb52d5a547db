"""The Celery app of the workers. Its only task advances a job by one unit; all state is on disk.

`celery -A services.renderer.worker.celery_app flower` and Celery's other tools find the app here as `app`.
"""

import os
import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from services.renderer.worker.shared_state import SharedState
from shared.config.settings import Settings, load_settings
from shared.errors import StudioError
from shared.jobs.manifest import read_job_manifest
from shared.jobs.queue import ADVANCE, JobQueue, celery_app, transport_options
from shared.jobs.redis_address import redis_url
from shared.jobs.store import Store, open_store
from shared.runtime.logs import get_logger

if TYPE_CHECKING:
    from celery import Celery

    from services.renderer.job.step import StepResult, UnitWorker

log = get_logger()
JOB = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,99}")  # a job's id becomes a path, and Redis is not trusted with paths
HURT = 70  # exit code of a child that ends itself because its engine does not stop


def make_celery_app(url: str) -> "Celery":
    """Return the Celery app with a worker's settings added to those of a sender."""
    app = celery_app(url)
    app.conf.update(
        # Acknowledge a message when it is taken: the job's state is on disk, and claims reveal a worker that dies.
        task_acks_late=False,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,  # a busy worker reserves no message, so the queues keep their order
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
    """State that Celery's child process keeps between messages, such as the open engine."""

    def __init__(self, link: SharedState, name: str, settings: Settings) -> None:
        self._link, self._name, self._settings = link, name, settings
        self._queue = JobQueue(settings)
        self._store: Store | None = None
        self._worker: UnitWorker | None = None

    def advance(self, job: str, expired: Sequence[Sequence[Any]]) -> None:
        """Advance a job by one unit, and wake a worker for each unit that has become ready."""
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
        """Return worker and store, opened with the first message so that Celery's start after the fork stays fast."""
        if self._worker is None or self._store is None:
            import cv2

            from services.renderer.job.open_job import JobOpener
            from services.renderer.job.step import UnitWorker

            # OpenCV uses every core by default; other libraries read their limits from the environment.
            cv2.setNumThreads(int(os.environ.get("OMP_NUM_THREADS", "1")))
            store = open_store(self._settings.jobs_url)
            self._store = store
            self._worker = UnitWorker(
                store, JobOpener(store, self._settings), self._name, lambda: self._link.leaving, lambda: os._exit(HURT)
            )
        return self._worker, self._store


def add_task(app: "Celery", advance: Any) -> None:
    """Register the app's only task."""
    app.task(name=ADVANCE, ignore_result=True)(advance)


def print_outcome(job: str, step: "StepResult", took: float) -> None:
    """Log the outcome of a message in one line."""
    facts: dict[str, Any] = {"job": job, "unit": step.unit}
    if step.outcome == "done":
        log.info("unit_done", **facts, seconds=round(took, 1), fps=round(step.frames / max(took, 1e-3), 1))
    elif step.outcome in ("failed", "no_space"):
        log.warning("unit_failed", **facts, outcome=step.outcome, why=step.reason, exc_info=step.error)
    else:
        log.info("unit_not_completed", **facts, outcome=step.outcome)


def __getattr__(name: str) -> Any:
    """Make `app` for Celery's own tools, when they access it."""
    if name != "app":
        raise AttributeError(name)
    url = redis_url(load_settings())
    if url is None:
        raise StudioError("There is no Redis: set REDIS_URL, or start `studio worker` first.")
    return make_celery_app(url)
