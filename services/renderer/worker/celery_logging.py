"""Celery's log reduced to one line per event that concerns an operator."""

import logging
import signal
import warnings
from typing import Any

from shared.runtime.logs import get_logger
from shared.runtime.stop_signals import StopSignals

log = get_logger()


class OneLine(logging.Handler):
    """Log handler that shows Celery's warnings without tracebacks, and repeated ones once."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._last = ""

    def emit(self, record: logging.LogRecord) -> None:
        if "WorkerLostError" in record.getMessage():
            log.warning("celery_child_died")
            return
        said = next((line.strip() for line in record.getMessage().splitlines() if line.strip()), "")
        start = said[:40]
        if "DeprecationWarning" in said:  # about settings that are intended
            return
        if said and start != self._last:
            log.warning("celery_warning", message=said)
        self._last = start


def quiet_celery() -> None:
    """Replace Celery's logging, and log when the worker is ready, which means that Redis is connected."""
    from billiard.util import get_logger
    from celery import signals
    from celery.platforms import SecurityWarning
    from celery.worker import state

    # Celery warns about running as root because of pickle, which is not accepted here.
    warnings.simplefilter("ignore", SecurityWarning)
    handler = OneLine()

    def set_up(**_: Any) -> None:
        root = logging.getLogger()
        root.handlers[:] = [handler]
        root.setLevel(logging.WARNING)
        get_logger().handlers[:] = [logging.NullHandler()]  # the pool's log repeats the same events with less detail

    def ready(**_: Any) -> None:
        log.info("worker_ready")
        StopSignals((signal.SIGTERM,), end)  # does the same as Celery's handler, without printing

    def end() -> None:
        state.should_stop = 0

    signals.setup_logging.connect(set_up, weak=False)
    signals.worker_ready.connect(ready, weak=False)
