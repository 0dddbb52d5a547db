"""A stand-in for a worker of the farm that publishes beats and does nothing else."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

from services.local.redis_server import RedisServer
from shared.config.settings import Settings
from shared.jobs.queue import JobQueue
from shared.jobs.workers import WorkerBeat, Workers

PERIOD_S = 0.5


@contextmanager
def beating_worker(settings: Settings, *engines: str) -> Iterator[None]:
    """Run a Redis in the studio's home, with beats of a worker that can do jobs of these engines."""
    over = threading.Event()

    def beat(queue: JobQueue) -> None:
        workers = Workers(queue)
        for number in itertools.count(1):
            workers.publish_beat(WorkerBeat("w", number, "box", 1, engines))
            if over.wait(PERIOD_S):
                return

    with RedisServer(settings.home), closing(JobQueue(settings)) as queue:
        thread = threading.Thread(target=beat, args=(queue,))
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
