"""Whether anything can be at work at the jobs, in a sentence for those who wait."""

from datetime import datetime
from pathlib import Path

from shared.config.settings import Settings
from shared.jobs.queue import JobQueue
from shared.jobs.redis_address import FOLDER
from shared.jobs.workers import Workers
from shared.runtime.file_lock import is_locked

FARM_LOCK = "farm.lock"  # held by the farm; its time of change is when the farm was last at work
REDIS_SILENT = "Redis does not answer, so jobs may wait until it does."
NO_WORKER = "No worker is running yet, so jobs wait; `studio worker` starts one where none comes by itself."


def farm_lock(home: Path) -> Path:
    """The lock of a home's own farm."""
    return home / FOLDER / FARM_LOCK


def staff_note(settings: Settings) -> str:
    """Return why jobs that wait will not be done now, "" where a worker is there. One look, as of this moment."""
    if settings.redis_url is None:
        lock = farm_lock(settings.home)
        if is_locked(lock):
            return ""
        try:
            since = f" since {datetime.fromtimestamp(lock.stat().st_mtime):%d %b %H:%M}"
        except OSError:
            since = ""
        return f"No worker has been running{since}; `studio jobs watch JOB` and `studio worker` start one."
    queue = JobQueue(settings)
    try:
        found = Workers(queue).read_all()
    finally:
        queue.close()
    if found is None:
        return REDIS_SILENT
    return "" if found else NO_WORKER
