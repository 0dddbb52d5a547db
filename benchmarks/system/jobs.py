"""Cost of rendering in segments instead of in one go, speed-up with more workers, and behaviour with a long queue.

To measure the speed-up, the engine sleeps COST_MS per frame, so that the number of workers and not of cores decides.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

from harness.channel import resident_bytes
from harness.sleeper import COST, ENGINES, NAME
from services.local.redis_server import RedisServer
from services.local.samples import ensure_samples
from services.renderer.job.submit import JobRequest, submit_to_store
from shared.avatar.model import load_avatar
from shared.config.child_environment import child_environment
from shared.config.settings import Settings, load_settings
from shared.jobs.index import counts, summaries
from shared.jobs.manifest import Manifest, folder
from shared.jobs.queue import JobQueue
from shared.jobs.status import status
from shared.jobs.store import LocalStore
from shared.media.colour import rgb_to_i420
from shared.media.mp4 import Mp4Writer
from shared.media.output_spec import OutputSpec
from shared.media.reader import VideoReader

COST_MS = 250
WORKERS = (1, 2, 4, 8)
SEGMENTS = 32
ROUNDS = 3
QUEUE, SUBMITS, DRAINED = 10_000, 100, 300
SMALL = OutputSpec(size=(320, 240))


def measure() -> dict[str, Any]:
    """All figures: `overhead`, `scaling`, `submit`, `queue`."""
    with tempfile.TemporaryDirectory(prefix="studio-bench-") as name:
        home = Path(name) / "home"
        ensure_samples(home, lambda stage, done: None)
        settings = load_settings(home=home, engines=ENGINES)
        return {
            "overhead": overhead(settings),
            "submit": submits(settings),
            "scaling": scaling(settings),
            "queue": queue(settings),
        }


def overhead(settings: Settings) -> dict[str, Any]:
    """CPU seconds of a job in segments of the usual length over those of the same job in a single segment.

    One worker in this process renders all of them, with its engine already open.
    """
    from services.renderer.job.open_job import JobOpener
    from services.renderer.job.step import UnitWorker

    home, usual = settings.home, settings.segment_seconds
    driver = lengthened(home / "drivers" / "sample.mp4", home / "minute.mp4", seconds=40)
    avatar = load_avatar(home / "avatars" / "sample-video")
    store = LocalStore(home / "overhead")
    worker = UnitWorker(store, JobOpener(store, settings), "bench")

    def job(segment_seconds: float, key: str) -> float:
        cut = settings.model_copy(update={"segment_seconds": segment_seconds})
        made = submit_to_store(store, JobRequest(avatar.folder, driver, key=key), cut).id
        start = time.process_time()
        while worker.advance(made).outcome == "done":
            pass
        return time.process_time() - start

    job(usual, "warm")
    rows = [(job(usual, f"cut-{n}"), job(600, f"whole-{n}")) for n in range(ROUNDS)]
    cut, whole = (statistics.median(row[column] for row in rows) for column in range(2))
    return {
        "segment_s": usual,
        "one_segment_cpu_s": round(whole, 2),
        "segments_over_one_segment": round(cut / whole, 3),
    }


def submits(settings: Settings) -> dict[str, Any]:
    """Measure the milliseconds from a request to a job that is on disk, fsynced, and announced by a message."""
    store = LocalStore(settings.home / "submits")
    driver = settings.home / "drivers" / "sample.mp4"
    times = []
    with RedisServer(settings.home):
        sender = JobQueue(settings)
        for number in range(SUBMITS):
            start = time.perf_counter()
            made = submit_to_store(
                store, JobRequest(settings.home / "avatars" / "sample", driver, NAME, key=str(number)), settings
            )
            sender.wake(made.id, NAME, made.priority)
            times.append((time.perf_counter() - start) * 1e3)
        sender.close()
    times.sort()
    return {
        "n": SUBMITS,
        "median_ms": round(statistics.median(times), 1),
        "p95_ms": round(times[SUBMITS * 95 // 100], 1),
    }


def scaling(settings: Settings) -> dict[str, Any]:
    """Measure the seconds of the same job with more and more workers, and how close the speed-up is to linear."""
    home = settings.home
    driver = lengthened(home / "drivers" / "sample.mp4", home / "scaling.mp4", seconds=SEGMENTS)
    settings = settings.model_copy(update={"segment_seconds": 1.0, "jobs": str(home / "scaling")})
    times: dict[int, float] = {}
    for number in WORKERS:
        with farm(settings, number):
            seconds_until_done(
                settings, home / "drivers" / "sample.mp4", "warm", number
            )  # every worker has its engine open
            times[number] = seconds_until_done(settings, driver, "scaling", number)
    return {
        "cost_ms_per_frame": COST_MS,
        "segments": SEGMENTS,
        "seconds": {number: round(taken, 1) for number, taken in times.items()},
        "of_linear": {number: round(times[1] / taken / number, 3) for number, taken in times.items()},
    }


def seconds_until_done(settings: Settings, driver: Path, key: str, number: int) -> float:
    """Submit a job and return the seconds until it is done. Raises RuntimeError if it is parked."""
    store, sender = LocalStore(Path(settings.jobs)), JobQueue(settings)
    request = JobRequest(settings.home / "avatars" / "sample", driver, NAME, key=f"{key}-{number}", output=SMALL)
    made = submit_to_store(store, request, settings)
    start = time.monotonic()
    sender.wake(made.id, NAME, made.priority)
    while status(store, made.id).state != "done":
        if status(store, made.id).state == "parked":
            raise RuntimeError(status(store, made.id).reason)
        time.sleep(0.1)
    sender.close()
    return time.monotonic() - start


@contextmanager
def farm(settings: Settings, workers: int, cost: float = COST_MS) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run a Redis server and `workers` workers; yields the workers' processes."""
    with RedisServer(settings.home) as server:
        environment = child_environment(settings, secrets=True, store=True, redis_url=server.url) | {COST: str(cost)}
        command = [sys.executable, "-m", "cli.app", "worker", "--engines", NAME]
        log = (settings.home / "workers.log").open("ab")
        started = [subprocess.Popen(command, env=environment, stdout=log, stderr=log) for _ in range(workers)]
        try:
            yield started
        finally:
            for process in started:
                process.terminate()
            for process in started:
                process.wait()
            log.close()


def queue(settings: Settings) -> dict[str, Any]:
    """Measure a queue of ten thousand jobs: the time to list them, and memory growth while they are rendered."""
    home = settings.home
    settings = settings.model_copy(update={"jobs": str(home / "queue")})
    store = LocalStore(home / "queue")
    driver = lengthened(home / "drivers" / "sample.mp4", home / "short.mp4", seconds=0.2)
    made = submit_to_store(store, JobRequest(home / "avatars" / "sample", driver, NAME, output=SMALL), settings)
    for number in range(QUEUE - 1):
        copy_job(store, made, number)
    with RedisServer(home):
        summaries(settings, store, 50)  # builds the index
        lists = [elapsed_ms(lambda: summaries(settings, store, QUEUE)) for _ in range(7)]
        pages = [elapsed_ms(lambda: (summaries(settings, store, 50), counts(settings, store))) for _ in range(7)]
    figures = {
        "jobs": QUEUE,
        "list_all_ms": round(statistics.median(lists), 1),
        "page_of_50_and_counts_ms": round(statistics.median(pages), 1),
    }
    return figures | drain(settings, store)


def drain(settings: Settings, store: LocalStore) -> dict[str, Any]:
    """Run two workers on the queue until DRAINED jobs are done.

    Returns the resident memory and Redis' memory after a third of the jobs, and at the end.
    """
    with farm(settings, 2, cost=0) as workers:
        look = JobQueue(settings)
        wait_done(settings, store, DRAINED // 3)
        before = held_figures(workers, look)
        start = time.monotonic()
        wait_done(settings, store, DRAINED)
        taken = time.monotonic() - start
        after = held_figures(workers, look)
        look.close()
    rate = (DRAINED - DRAINED // 3) / taken
    return {"drained": DRAINED, "jobs_per_s": round(rate, 2), "a_third_done": before, "all_done": after}


def held_figures(workers: list[subprocess.Popen[bytes]], look: JobQueue) -> dict[str, float]:
    """Return the memory of the workers and of Redis in megabytes, and the number of Redis' keys."""
    processes = [each for worker in workers for each in family(worker.pid)]
    client = look.client()
    assert client is not None
    used = client.info("memory")["used_memory"]
    return {
        "workers_mb": round(sum(map(resident_bytes, processes)) / 1e6, 1),
        "redis_mb": round(used / 1e6, 2),
        "redis_keys": client.dbsize(),
    }


def family(pid: int) -> list[int]:
    """Return the process ids of a process and its descendants."""
    below = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
    return [pid, *(each for child in below for each in family(int(child)))]


def wait_done(settings: Settings, store: LocalStore, number: int) -> None:
    """Wait until so many jobs are done. Raises RuntimeError when none is done for a minute."""
    seen, since = -1, time.monotonic()
    while (found := counts(settings, store).get("done", 0)) < number:
        if found > seen:
            seen, since = found, time.monotonic()
        if time.monotonic() - since > 60:
            raise RuntimeError(f"no job was done for a minute, after {found}")
        time.sleep(1.0)


def elapsed_ms(call: Callable[[], object]) -> float:
    """Milliseconds of a call."""
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


def copy_job(store: LocalStore, made: Manifest, number: int) -> None:
    """Copy a job, without waiting for the disk, which is not measured here."""
    name = f"{made.id}-{number:05d}"
    path = store.root / folder(name) / "job.json"
    path.parent.mkdir(parents=True)
    path.write_text(made.model_copy(update={"id": name}).model_dump_json(), encoding="utf-8")


def lengthened(driver: Path, path: Path, seconds: float) -> Path:
    """Write a video of `seconds` that repeats the driver's frames, without sound; return its path."""
    if path.exists():
        return path
    with VideoReader(driver) as reader:
        fps, size = reader.fps, (reader.width, reader.height)
    count, number = round(seconds * fps), 0
    with Mp4Writer(path, *size, Fraction(fps), sound=False) as writer:
        while number < count:
            with VideoReader(driver) as reader:
                for _, rgb in reader:
                    if number < count:
                        writer.frame(rgb_to_i420(rgb), index=number)
                        number += 1
    return path


if __name__ == "__main__":
    print(json.dumps(measure()))
