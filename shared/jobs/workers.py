"""Liveness of workers: each writes a rising beat to Redis, so that repeated reads show who is alive without any clock.

For a command that reads only once, Redis also expires a key of each worker that has been silent for SILENT_S.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace

from pydantic import TypeAdapter

from shared.jobs.queue import JobQueue, redis_error
from shared.jobs.store import Store

KEY = "studio:workers"
FOLDER = "workers"  # in the store
SILENT_S = 15.0  # time by the observer's own clock, or Redis's, without a new beat after which a worker counts as dead
GONE_S = 120.0  # time after which a silent worker is removed from the list


@dataclass(frozen=True, slots=True)
class WorkerBeat:
    """A worker's description of itself. job, unit: its current work, "" while it waits. alive: set by the observer."""

    name: str
    beat: int
    host: str
    pid: int
    engines: tuple[str, ...]
    gpu: int | None = None
    job: str = ""
    unit: str = ""
    fps: float = 0.0
    alive: bool = True


_BEAT = TypeAdapter(WorkerBeat)


@dataclass(slots=True)
class Workers:
    """The workers in Redis. Call `read_all` repeatedly: a worker whose beat stops changing is dead."""

    queue: JobQueue
    clock: Callable[[], float] = time.monotonic
    _seen: dict[str, tuple[int, float]] = field(default_factory=dict)

    def publish_beat(self, worker: WorkerBeat) -> None:
        """Report that this worker is alive; does nothing if Redis does not answer."""
        client = self.queue.client()
        if client is None:
            return
        try:
            with client.pipeline(transaction=False) as pipe:
                pipe.hset(KEY, worker.name, json.dumps(asdict(worker)))
                pipe.set(_life(worker.name), worker.beat, px=int(1000 * SILENT_S))
                pipe.execute()
        except redis_error() as error:
            self.queue.mark_away(error)

    def leave(self, name: str) -> None:
        """Remove this worker, at its end."""
        client = self.queue.client()
        if client is None:
            return
        try:
            client.hdel(KEY, name)
            client.delete(_life(name))
        except redis_error() as error:
            self.queue.mark_away(error)

    def read_all(self) -> list[WorkerBeat] | None:
        """Return all workers, None if Redis does not answer.

        A worker that is read for the first time counts as alive if its key in Redis has not expired.
        """
        client = self.queue.client()
        if client is None:
            return None
        try:
            found = [each for each in map(_worker, client.hgetall(KEY).values()) if each]
            lives = client.mget([_life(each.name) for each in found]) if found else []
        except redis_error() as error:
            self.queue.mark_away(error)
            return None
        heard = {each.name for each, life in zip(found, lives, strict=True) if life is not None}
        now = self.clock()
        for each in found:
            before = self._seen.get(each.name)
            if before is None or before[0] != each.beat:
                self._seen[each.name] = each.beat, now
            elif now - before[1] > GONE_S:
                self.leave(each.name)
        return sorted(
            (replace(each, alive=each.name in heard and now - self._seen[each.name][1] <= SILENT_S) for each in found),
            key=lambda each: each.name,
        )


@dataclass(slots=True)
class WorkerFiles:
    """The workers' beats in the store, one file per worker, written less often than in Redis, for when that is away."""

    store: Store
    clock: Callable[[], float] = time.monotonic
    _seen: dict[str, tuple[bytes, float]] = field(default_factory=dict)

    def publish_beat(self, worker: WorkerBeat) -> None:
        """Report that this worker is alive; delete the files of workers silent for GONE_S. Raises StudioError."""
        self.store.write(f"{FOLDER}/{worker.name}.json", json.dumps(asdict(worker)).encode())
        now, there = self.clock(), {}
        for name in self.store.list(FOLDER):
            raw = self.store.read(f"{FOLDER}/{name}")
            if raw is None:
                continue
            before = self._seen.get(name)
            there[name] = before if before and before[0] == raw else (raw, now)
            if now - there[name][1] > GONE_S:
                self.store.remove(f"{FOLDER}/{name}")
        self._seen = there

    def leave(self, name: str) -> None:
        """Remove this worker's entry when it stops. Raises StudioError."""
        self.store.remove(f"{FOLDER}/{name}.json")


def _life(name: str) -> str:
    """The key that exists as long as a worker sends beats."""
    return f"{KEY}:{name}"


def _worker(raw: bytes | str) -> WorkerBeat | None:
    try:
        return _BEAT.validate_json(raw)
    except ValueError:
        return None
