"""A worker's Prometheus metrics: Celery's child writes them to files, and the worker's main process serves them."""

import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from shared.errors import StudioError
from shared.jobs.graph import kind_of
from shared.jobs.queue import JobQueue
from shared.jobs.workers import WorkerBeat

if TYPE_CHECKING:
    from services.renderer.job.step import StepResult

FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # environment variable of prometheus_client
BUCKETS = (0.5, 1, 2, 5, 10, 20, 40, 80, 160, 320, 640)

SECONDS = Histogram(
    "studio_render_unit_seconds", "Time a unit took", ["engine", "kind"], buckets=BUCKETS, registry=None
)
FRAMES = Counter("studio_render_frames", "Frames made", ["engine"], registry=None)
UNITS = Counter("studio_render_units", "Units by outcome", ["engine", "kind", "outcome"], registry=None)
RETRIES = Counter("studio_render_retries", "Units to be retried", ["engine", "kind"], registry=None)


def count_unit(engine: str, step: "StepResult", seconds: float) -> None:
    """Count a unit and its outcome. seconds: time that it took."""
    kind = kind_of(step.unit)
    UNITS.labels(engine, kind, step.outcome).inc()
    if step.outcome == "done":
        SECONDS.labels(engine, kind).observe(seconds)
        FRAMES.labels(engine).inc(step.frames)
    elif step.wake:
        RETRIES.labels(engine, kind).inc()


class QueueCollector(Collector):
    """Gauges of waiting messages and running workers, read from Redis at each collection."""

    def __init__(self, queue: JobQueue, alive: Callable[[], Iterable[WorkerBeat]], engines: Iterable[str]) -> None:
        self._queue, self._alive, self._engines = queue, alive, list(engines)

    def collect(self) -> Iterable[Metric]:
        depth = GaugeMetricFamily("studio_jobs_queue_depth", "Messages waiting for a worker", labels=["queue"])
        found = self._queue.depths(self._engines)
        for name, count in (found or {}).items():
            depth.add_metric([name], count)
        yield depth
        yield GaugeMetricFamily("studio_jobs_redis_up", "1 while Redis answers", value=float(found is not None))
        up = GaugeMetricFamily("studio_jobs_worker_up", "1 while the worker is alive", labels=["worker"])
        fps = GaugeMetricFamily(
            "studio_jobs_worker_fps", "Frames a second that the worker renders now", labels=["worker"]
        )
        for each in self._alive():
            up.add_metric([each.name], float(each.alive))
            fps.add_metric([each.name], each.fps)
        yield from (up, fps)


class MetricsPage:
    """Server of a worker's metrics on a loopback port. folder: where Celery's child writes its metrics."""

    def __init__(self, port: int, collector: QueueCollector) -> None:
        """Start the server. Raises StudioError when the port is not available."""
        self.folder = Path(tempfile.mkdtemp(prefix="studio-metrics-"))
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=str(self.folder))  # type: ignore[no-untyped-call]
        registry.register(collector)
        try:
            self._server, _ = start_http_server(port, addr="127.0.0.1", registry=registry)
        except OSError as error:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise StudioError(
                f"The metrics cannot be served on port {port} ({error.strerror}); choose another with --metrics."
            ) from None
        self.port = int(self._server.server_port)

    def close(self) -> None:
        """Stop the server and delete the metrics files."""
        self._server.shutdown()
        self._server.server_close()
        shutil.rmtree(self.folder, ignore_errors=True)
