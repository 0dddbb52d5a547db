"""The state of every job when it was last read, in Redis, so that ten thousand are listed at once.

What is true stands in the store: what is missing here is read there, and what is gone there is dropped here.
"""

import hashlib
from collections import Counter
from collections.abc import Collection
from typing import cast, get_args

import redis

from shared.config.settings import Settings
from shared.errors import StudioError
from shared.jobs.queue import JobQueue
from shared.jobs.status import jobs, status
from shared.jobs.store import Store
from shared.jobs.view import JobState, JobView

# A hash as one answer instead of ten thousand.
LINES = """local all, lines = redis.call('HGETALL', KEYS[1]), {}
for at = 1, #all, 2 do lines[#lines + 1] = all[at] .. ' ' .. all[at + 1] end
return table.concat(lines, '\\n')"""


class JobIndex:
    """Two hashes of a store's jobs: `states`, state and time of each, and `rows`, all that a list shows of it."""

    def __init__(self, store: Store, queue: JobQueue) -> None:
        self._store, self._queue = store, queue
        # One Redis may serve several studios.
        key = f"studio:jobs:{hashlib.sha256(store.url.encode()).hexdigest()[:16]}"
        self._states, self._rows = f"{key}:states", f"{key}:rows"

    def order(self) -> list[tuple[str, JobState]]:
        """Every job and its state, in the order they were handed in.

        Raises StudioError when the store cannot be read.
        """
        names = jobs(self._store)
        known = self._known()
        missing = self._look([name for name in names if name not in known])
        self.drop(known.keys() - set(names))
        known |= {each.id: (each.created, each.state) for each in missing}
        return [
            (name, known[name][1]) for name in sorted((n for n in names if n in known), key=lambda n: (known[n][0], n))
        ]

    def rows(self, names: list[str]) -> list[JobView]:
        """These jobs, without their segments; those that are gone are left out."""
        found = self._kept(names)
        found |= {each.id: each for each in self._look([name for name in names if name not in found])}
        return [found[name] for name in names if name in found]

    def refresh(self, job: str) -> JobView | None:
        """Look at a job again; None where it is gone."""
        seen = self._look([job])
        if not seen:
            self.drop([job])
        return seen[0] if seen else None

    def put(self, found: Collection[JobView]) -> None:
        """Remember how these jobs stand."""
        client = self._queue.client()
        if client is None or not found:
            return
        try:
            with client.pipeline(transaction=True) as pipe:
                pipe.hset(self._rows, mapping={each.id: each.as_row() for each in found})
                pipe.hset(self._states, mapping={each.id: f"{each.created} {each.state}" for each in found})
                pipe.execute()
        except redis.RedisError as error:
            self._queue.mark_away(error)

    def drop(self, names: Collection[str]) -> None:
        """Forget jobs that are gone."""
        client = self._queue.client()
        if client is None or not names:
            return
        try:
            client.hdel(self._rows, *names)
            client.hdel(self._states, *names)
        except redis.RedisError as error:
            self._queue.mark_away(error)

    def _look(self, names: list[str]) -> list[JobView]:
        """Rows of these jobs as they are in the store, remembered for the next call."""
        found = []
        for name in names:
            try:
                found.append(status(self._store, name))
            except StudioError:
                continue  # gone since it was listed
        self.put(found)
        return found

    def _known(self) -> dict[str, tuple[str, JobState]]:
        """Time and state by job."""
        client = self._queue.client()
        if client is None:
            return {}
        try:
            lines = cast(bytes, client.eval(LINES, 1, self._states)).decode(errors="replace").splitlines()
        except redis.RedisError as error:
            self._queue.mark_away(error)
            return {}
        rows = (line.split(" ") for line in lines)
        # A state that another version of the studio wrote is not known: such a job is read from the store again.
        return {
            row[0]: (row[1], cast(JobState, row[2])) for row in rows if len(row) == 3 and row[2] in get_args(JobState)
        }

    def _kept(self, names: list[str]) -> dict[str, JobView]:
        client = self._queue.client()
        if client is None or not names:
            return {}
        try:
            raw = cast(list[bytes | None], client.hmget(self._rows, names))
            return {row.id: row for row in (JobView.from_row(each.decode()) for each in raw if each)}
        except redis.RedisError as error:
            self._queue.mark_away(error)
        except (ValueError, TypeError):
            pass  # written by another version: read from the store
        return {}


def summaries(
    settings: Settings, store: Store, limit: int, states: Collection[JobState] | None = None, offset: int = 0
) -> list[JobView]:
    """Jobs in these states, newest first, without their segments. Raises StudioError when the store cannot be read."""
    queue = JobQueue(settings)
    try:
        index = JobIndex(store, queue)
        names = [name for name, state in reversed(index.order()) if not states or state in states]
        return index.rows(names[offset : offset + limit])
    finally:
        queue.close()


def counts(settings: Settings, store: Store) -> dict[JobState, int]:
    """How many jobs are in each state. Raises StudioError when the store cannot be read."""
    queue = JobQueue(settings)
    try:
        return Counter(state for _, state in JobIndex(store, queue).order())
    finally:
        queue.close()
