"""Celery's log as one line an event, with what concerns an operator alone."""

import logging
import signal
import warnings
from typing import Any

import structlog

from shared.runtime.stop_signals import StopSignals

log = structlog.get_logger()


class OneLine(logging.Handler):
    """Celery's warnings without tracebacks; repeated ones are shown once."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._last = ""

    def emit(self, record: logging.LogRecord) -> None:
        if "WorkerLostError" in record.getMessage():
            log.warning("work_process_died")
            return
        said = next((line.strip() for line in record.getMessage().splitlines() if line.strip()), "")
        start = said[:40]
        if "DeprecationWarning" in said:  # of settings that are as they are meant
            return
        if said and start != self._last:
            log.warning("celery_warning", why=said)
        self._last = start


def quiet_celery() -> None:
    """Take over Celery's logging, and say when Redis is there."""
    from billiard.util import get_logger
    from celery import signals
    from celery.platforms import SecurityWarning
    from celery.worker import state

    # Celery warns of root because of pickle, which is not accepted here.
    warnings.simplefilter("ignore", SecurityWarning)
    handler = OneLine()

    def set_up(**_: Any) -> None:
        root = logging.getLogger()
        root.handlers[:] = [handler]
        root.setLevel(logging.WARNING)
        get_logger().handlers[:] = [logging.NullHandler()]  # the pool says less of the same

    def ready(**_: Any) -> None:
        log.info("worker_ready")
        StopSignals((signal.SIGTERM,), end)  # as Celery's own does, without a word

    def end() -> None:
        state.should_stop = 0

    signals.setup_logging.connect(set_up, weak=False)
    signals.worker_ready.connect(ready, weak=False)
