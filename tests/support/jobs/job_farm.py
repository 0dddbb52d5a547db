"""A jobs folder, and functions to submit jobs and to do them."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from harness.channel import wait_for
from services.renderer.job.open_job import JobOpener
from services.renderer.job.step import StepResult, UnitWorker
from services.renderer.job.submit import JobRequest, submit_to_store
from shared.config.settings import Settings
from shared.jobs import status
from shared.jobs.claims import read_unit_state
from shared.jobs.manifest import Manifest
from shared.jobs.store import LocalStore


@dataclass
class JobFarm:
    """A jobs folder, and functions to submit jobs and to do them. orders: folder of orders for engines."""

    home: Path
    store: LocalStore
    settings: Settings
    orders: Path
    steps: list[StepResult] = field(default_factory=list)

    def worker(self, name: str = "w") -> UnitWorker:
        return UnitWorker(self.store, JobOpener(self.store, self.settings), name)

    def submit(self, driver: Path, engine: str = "mesh", **more: object) -> Manifest:
        request = JobRequest(self.home / "avatars" / "sample", driver, engine, **more)  # type: ignore[arg-type]
        return submit_to_store(self.store, request, self.settings)

    def finish(self, job: str, worker: UnitWorker | None = None) -> list[StepResult]:
        """Advance a job until nothing is left to do; return the steps."""
        worker = worker or self.worker()
        steps: list[StepResult] = []
        while not steps or steps[-1].outcome != "nothing":
            steps.append(worker.advance(job))
        return steps[:-1]

    def result(self, job: str) -> Path:
        return self.store.root / "jobs" / job / status.status(self.store, job).result

    @contextmanager
    def meanwhile(self, job: str, unit: str, do: Callable[[], object]) -> Iterator[None]:
        """Call `do` in another thread as soon as a worker is at the unit."""

        def work() -> None:
            wait_for(lambda: read_unit_state(self.store, job, unit).open, what=f"{unit} is at work")
            do()

        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(work)
            yield
            done.result()

    def order(self, name: str, content: str = "") -> None:
        (self.orders / name).write_text(content, encoding="utf-8")
