"""Prometheus metrics of the jobs.

Durations and retries of units are on each worker's own metrics page.
"""

import asyncio
import time
from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily, Metric

from services.gateway.jobs.board import RESTING, STATES, JobBoard, JobFigures

KEPT_S = 5.0  # seconds for which figures are reused: the page needs no token, so requests may be frequent


class JobMetrics:
    """Reads the jobs on request, in a thread, at most every KEPT_S."""

    def __init__(self, jobs: JobBoard) -> None:
        self._jobs = jobs
        self._figures = JobFigures({}, None, {})
        self._until = float("-inf")
        self._lock = asyncio.Lock()

    async def figures(self, engines: Iterable[str]) -> JobFigures:
        """Return the newest figures. engines: those whose queues are counted."""
        async with self._lock:
            if time.monotonic() > self._until:
                began = time.monotonic()
                self._figures = await asyncio.to_thread(self._jobs.figures, list(engines))
                took = time.monotonic() - began
                self._until = time.monotonic() + max(KEPT_S, RESTING * took)
        return self._figures


def families(figures: JobFigures) -> Iterable[Metric]:
    """Yield the figures as Prometheus metric families."""
    jobs = GaugeMetricFamily("studio_jobs", "Jobs by state", labels=["state"])
    for state in STATES:
        jobs.add_metric([state], figures.jobs.get(state, 0))
    depth = GaugeMetricFamily("studio_jobs_queue_depth", "Messages that wait for a worker", labels=["queue"])
    for name, count in (figures.depths or {}).items():
        depth.add_metric([name], count)
    up = GaugeMetricFamily("studio_jobs_worker_up", "1 while a worker lives", labels=["worker"])
    for name, alive in figures.workers.items():
        up.add_metric([name], float(alive))
    redis = GaugeMetricFamily("studio_jobs_redis_up", "1 while Redis answers", value=float(figures.depths is not None))
    yield from (jobs, depth, up, redis)
