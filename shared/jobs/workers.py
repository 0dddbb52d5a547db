"""Which workers live: each shows it in Redis with a rising beat, so that two looks tell, without any clock.

For a command that looks once, Redis drops the key of a worker that has been silent for a while.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace

import redis
from pydantic import TypeAdapter

from shared.jobs.queue import JobQueue
from shared.jobs.store import Store

KEY = "studio:workers"
FOLDER = "workers"  # of the store
SILENT_S = 15.0  # of the observer's own time, or of Redis's, until a worker counts as gone
GONE_S = 120.0  # until it is no longer shown


@dataclass(frozen=True, slots=True)
class WorkerBeat:
    """A worker as it described itself. unit: of `job`, "" while it waits. alive: as the observer sees it."""

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
    """The known workers. Poll it: a worker whose beat stops changing is dead."""

    queue: JobQueue
    clock: Callable[[], float] = time.monotonic
    _seen: dict[str, tuple[int, float]] = field(default_factory=dict)

    def publish_beat(self, worker: WorkerBeat) -> None:
        """Report that this worker is alive; does nothing where Redis is away."""
        client = self.queue.client()
        if client is None:
            return
        try:
            with client.pipeline(transaction=False) as pipe:
                pipe.hset(KEY, worker.name, json.dumps(asdict(worker)))
                pipe.set(_life(worker.name), worker.beat, px=int(1000 * SILENT_S))
                pipe.execute()
        except redis.RedisError as error:
            self.queue.mark_away(error)

    def leave(self, name: str) -> None:
        """Remove this worker, which ends."""
        client = self.queue.client()
        if client is None:
            return
        try:
            client.hdel(KEY, name)
            client.delete(_life(name))
        except redis.RedisError as error:
            self.queue.mark_away(error)

    def read_all(self) -> list[WorkerBeat] | None:
        """All workers, None where Redis is away.

        One seen for the first time counts as alive where Redis has heard of it.
        """
        client = self.queue.client()
        if client is None:
            return None
        try:
            found = [each for each in map(_worker, client.hgetall(KEY).values()) if each]
            lives = client.mget([_life(each.name) for each in found]) if found else []
        except redis.RedisError as error:
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
    """The workers' beats in the store, less often, for when Redis is away: one file per worker."""

    store: Store
    clock: Callable[[], float] = time.monotonic
    _seen: dict[str, tuple[bytes, float]] = field(default_factory=dict)

    def publish_beat(self, worker: WorkerBeat) -> None:
        """Report that this worker is alive; drop the files of long silent workers. Raises StudioError."""
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
        """Remove this worker, which ends. Raises StudioError."""
        self.store.remove(f"{FOLDER}/{name}.json")


def _life(name: str) -> str:
    """The key that is there while a worker speaks."""
    return f"{KEY}:{name}"


def _worker(raw: bytes | str) -> WorkerBeat | None:
    try:
        return _BEAT.validate_json(raw)
    except ValueError:
        return None
