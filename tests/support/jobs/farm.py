"""A whole farm in separate processes, and the questions that tests ask it.

The state of jobs, the worker of each unit, the number of attempts.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import psutil

from harness.channel import wait_for
from services.renderer.job.submit import JobRequest, submit_to_store
from shared.config.settings import Settings, load_settings
from shared.jobs import claims as units
from shared.jobs.graph import render_name
from shared.jobs.manifest import Priority
from shared.jobs.queue import JobQueue
from shared.jobs.redis_address import own_redis
from shared.jobs.status import result
from shared.jobs.store import Store, open_store
from tests.support.engines import clip_engine
from tests.support.engines.counting_engine import SLOW
from tests.support.files.media_material import decoded
from tests.support.files.sound_files import wav

ENGINES = {
    "counter": "tests.support.engines.counting_engine:Counter",
    "elsewhere": "tests.support.engines.counting_engine:Elsewhere",
} | clip_engine.ENGINES
FPS, SEGMENT_S = 10, 2.0
PATIENCE_S = 300.0  # seconds that a busy machine may take for what takes a few


def wait(until: Callable[[], object], what: str, patience: float = PATIENCE_S, every: float = 0.05) -> None:
    """Wait until `until` is true; fail after `patience` seconds."""
    wait_for(until, patience, what, every)


def alive(process: psutil.Process) -> bool:
    """Whether a process still runs; one that has ended and is not reaped, as an orphan may be, does not."""
    with suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def wait_ended(processes: Iterable[psutil.Process], what: str) -> None:
    """Wait until none of these processes runs."""
    all_of_them = list(processes)
    wait(lambda: not any(alive(each) for each in all_of_them), what)


def kill(process: psutil.Process) -> None:
    """Kill a process and all its descendants."""
    for each in (process, *descendants(process)):
        with suppress(psutil.NoSuchProcess):  # it ended together with another one
            each.kill()


def speech(path: Path, seconds: float) -> Path:
    """Write a tone, which is enough for an engine that only counts."""
    samples = (np.sin(np.arange(int(seconds * 48_000)) * 0.05) * 8000).astype("<i2")
    path.write_bytes(wav(samples.astype(np.int16)))
    return path


@dataclass
class Running:
    """A studio folder, its settings, and the processes that were started for it."""

    home: Path
    settings: Settings
    store: Store
    queue: JobQueue
    environment: dict[str, str]
    slow: Path  # while there is this file, the second segment is not done
    claims: dict[str, set[tuple[str, int]]] = field(default_factory=dict)

    @contextmanager
    def process(self, *arguments: str, **more: str) -> Iterator[psutil.Process]:
        """Run a process of the studio; it is killed with all its descendants afterwards."""
        log = (self.home / "log").open("ab")
        command = [sys.executable, "-m", *arguments]
        started = subprocess.Popen(
            command, env=self.environment | more, stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
        process = psutil.Process(started.pid)
        try:
            yield process
        finally:
            kill(process)
            started.wait()
            log.close()

    def submit(
        self, driver: Path, priority: Priority = "normal", *, quietly: bool = False, engine: str = "counter"
    ) -> str:
        """Submit a job and return its id. quietly: without waking a worker."""
        request = JobRequest(self.home / "avatars" / "sample", driver, engine=engine, priority=priority)
        manifest = submit_to_store(self.store, request, self.settings)
        if not quietly:
            self.queue.wake(manifest.id, engine, priority)
        return manifest.id

    def look(self, job: str) -> bool:
        """Note the claims that exist; return whether the job is done."""
        seen = self.claims.setdefault(job, set())
        for name in self.store.list(f"jobs/{job}/units"):
            state = units.read_unit_state(self.store, job, name)
            seen |= {(name, number) for number in range(1, state.claim + 1)}
        return bool(result(self.store, job))

    def rendering(self, job: str, index: int) -> bool:
        """Whether this segment is being rendered now."""
        return self.at_work(job, render_name(index))

    def at_work(self, job: str, unit: str) -> bool:
        """Whether a worker is at this unit now."""
        state = units.read_unit_state(self.store, job, unit)
        return state.open and not state.done

    def process_at(self, job: str, unit: str, workers: Sequence[psutil.Process]) -> psutil.Process:
        """Return the process of these workers that does a unit. workers: as yielded by `process`."""
        state = units.read_unit_state(self.store, job, unit)
        beat = units.read_beat(self.store, job, unit, state.claim)
        assert beat is not None
        return next(at_work for each in workers if beat.worker.endswith(f".{(at_work := child(each)).pid}"))

    def finish(self, job: str, patience: float = PATIENCE_S) -> list[str]:
        """Wait for the job; return the hashes of its frames."""
        wait(lambda: self.look(job), f"job {job} done; {self.said()}", patience, every=0.03)
        return decoded(self.store.fetch(f"jobs/{job}/result.mp4"))[1]

    def again(self, job: str) -> int:
        """Return how many renders of segments were repetitions."""
        tried = [name for name, _ in self.claims[job] if name.startswith("render")]
        return len(tried) - len(set(tried))

    def said(self) -> str:
        """Return the end of the processes' log."""
        return (
            (self.home / "log").read_text(errors="replace", encoding="utf-8")[-3000:]
            if (self.home / "log").exists()
            else ""
        )

    def logged(self, *words: str) -> bool:
        """Whether a process has logged a line with all these words."""
        lines = (self.home / "log").read_text(errors="replace", encoding="utf-8").splitlines()
        return any(all(word in line for word in words) for line in lines)

    def redis(self) -> psutil.Process:
        """Return the process of the studio's own Redis; wait until it runs."""

        def found() -> psutil.Process | None:
            facts = json.loads((self.home / "redis" / "redis.json").read_text(encoding="utf-8"))
            with suppress(psutil.NoSuchProcess):
                if alive(redis := psutil.Process(facts["pid"])):
                    return redis
            return None

        return wait_for(found, PATIENCE_S, f"a Redis that runs; {self.said()}")

    def redis_url(self) -> str | None:
        """Return the address of the studio's own Redis."""
        return own_redis(self.home)


@contextmanager
def running(home: Path, avatars: Path, jobs: str = "", **told: str) -> Iterator[Running]:
    """Make a studio folder with the avatars of `avatars`, and an engine that counts."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "avatars").symlink_to(avatars / "avatars")
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("STUDIO_", "REDIS_"))}
    told = {
        "STUDIO_HOME": str(home),
        "STUDIO_ENGINES": json.dumps(ENGINES),
        "STUDIO_FPS": str(FPS),
        "STUDIO_SEGMENT_SECONDS": str(SEGMENT_S),
        "STUDIO_JOBS": jobs or str(home / "jobs"),
        **told,
    }
    settings = load_settings(
        home=home,
        engines=ENGINES,
        fps=FPS,
        segment_seconds=SEGMENT_S,
        jobs=told["STUDIO_JOBS"],
        redis_url=told.get("STUDIO_REDIS_URL"),
    )
    queue = JobQueue(settings)
    try:
        slow = home / "slow"
        yield Running(home, settings, open_store(settings.jobs_url), queue, plain | told | {SLOW: str(slow)}, slow)
    finally:
        queue.close()


def descendants(process: psutil.Process) -> list[psutil.Process]:
    """Return the children of a process, and theirs."""
    try:
        return list(process.children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def find(process: psutil.Process, word: str) -> psutil.Process | None:
    """Return the first descendant whose command line has this word."""
    for each in descendants(process):
        try:
            if word in " ".join(each.cmdline()):
                return each
        except psutil.NoSuchProcess:
            continue
    return None


def celery(process: psutil.Process) -> psutil.Process:
    """Return Celery's main process below a farm or a worker."""
    found = partial(find, process, "services.renderer --name")
    return wait_for(found, PATIENCE_S, "Celery's main process")


def child(process: psutil.Process) -> psutil.Process:
    """Return the child process of Celery that does the work."""

    def found() -> psutil.Process | None:
        with suppress(psutil.NoSuchProcess):
            return next((each for each in celery(process).children() if alive(each)), None)
        return None

    return wait_for(found, PATIENCE_S, "Celery's child")


def stop(process: psutil.Process, number: signal.Signals) -> None:
    """Send a signal and wait until the process has ended."""
    process.send_signal(number)
    wait_ended([process], f"{process} ends on {number.name}")
