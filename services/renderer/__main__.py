"""`python -m services.renderer ...`: the Celery processes of a worker, started and supervised by `studio worker`."""

import argparse
import os
import sys
from typing import Any

from services.renderer.worker.celery_app import CeleryChild, add_task, make_celery_app
from services.renderer.worker.shared_state import SharedState
from shared.config.settings import Settings, load_settings
from shared.jobs.queue import queue_names
from shared.jobs.redis_address import redis_url
from shared.runtime.logs import set_up_logs
from shared.runtime.process import end_with


def main() -> int:
    """Process messages until a signal; returns the exit code, 1 without a Redis."""
    parser = argparse.ArgumentParser(prog="python -m services.renderer")
    parser.add_argument("--name", required=True)
    parser.add_argument("--engines", required=True)
    parser.add_argument("--link", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    given = parser.parse_args()
    end_with(given.parent)
    settings = load_settings()
    set_up_logs("worker", settings.log_level)
    url = redis_url(settings)
    if url is None:
        return 1
    run_celery(settings, url, given.name, given.engines.split(","), SharedState(given.link))
    return 0


def run_celery(settings: Settings, url: str, name: str, engines: list[str], link: SharedState) -> None:
    """Run Celery's main process, and a child forked from it that processes the units. Exits with Celery's exit code."""
    from celery import signals

    from services.renderer.worker.celery_logging import quiet_celery

    app, main_pid = make_celery_app(url), os.getpid()
    children: list[CeleryChild] = []

    def advance(job: str, expired: list[list[Any]]) -> None:
        children[0].advance(job, expired)

    def forked(**_: Any) -> None:
        end_with(main_pid)
        set_up_logs("worker", settings.log_level)
        link.set_child(os.getpid())
        children.append(CeleryChild(link, f"{name}.{os.getpid()}", settings))

    add_task(app, advance)
    quiet_celery()
    signals.worker_process_init.connect(forked, weak=False)
    worker = app.Worker(
        hostname=f"{name}@studio", pool="prefork", concurrency=1, queues=queue_names(engines),
        without_gossip=True, without_mingle=True, quiet=True, loglevel="WARNING", task_events=True,
    )  # fmt: skip
    worker.start()
    sys.exit(worker.exitcode)


if __name__ == "__main__":
    sys.exit(main())
