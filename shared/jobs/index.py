"""Cache in Redis of every job's state as last read, so that ten thousand jobs can be listed quickly.

The store is authoritative: a job that is missing here is read from the store, and one that is gone there is dropped
here.
"""

import hashlib
from collections import Counter
from collections.abc import Collection
from typing import cast, get_args

from shared.config.settings import Settings
from shared.errors import StudioError
from shared.jobs.queue import JobQueue, redis_error
from shared.jobs.status import jobs, status
from shared.jobs.store import Store
from shared.jobs.view import JobState, JobView

# Returns a hash as one string instead of ten thousand replies.
LINES = """local all, lines = redis.call('HGETALL', KEYS[1]), {}
for at = 1, #all, 2 do lines[#lines + 1] = all[at] .. ' ' .. all[at + 1] end
return table.concat(lines, '\\n')"""


class JobIndex:
    """Two Redis hashes for a store's jobs: state and creation time of each, and its `JobView` without segments."""

    def __init__(self, store: Store, queue: JobQueue) -> None:
        self._store, self._queue = store, queue
        # Several stores may share one Redis, so the keys contain a hash of the store.
        key = f"studio:jobs:{hashlib.sha256(store.url.encode()).hexdigest()[:16]}"
        self._states, self._rows = f"{key}:states", f"{key}:rows"

    def order(self) -> list[tuple[str, JobState]]:
        """Return every job and its state, in the order of submission.

        Raises StudioError if the store cannot be read.
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
        """Return views of these jobs without their segments; jobs that are gone are omitted."""
        found = self._kept(names)
        found |= {each.id: each for each in self._look([name for name in names if name not in found])}
        return [found[name] for name in names if name in found]

    def refresh(self, job: str) -> JobView | None:
        """Read a job from the store again; return None if it is gone."""
        seen = self._look([job])
        if not seen:
            self.drop([job])
        return seen[0] if seen else None

    def put(self, found: Collection[JobView]) -> None:
        """Store these views in the index; does nothing if Redis does not answer."""
        client = self._queue.client()
        if client is None or not found:
            return
        try:
            with client.pipeline(transaction=True) as pipe:
                pipe.hset(self._rows, mapping={each.id: each.as_row() for each in found})
                pipe.hset(self._states, mapping={each.id: f"{each.created} {each.state}" for each in found})
                pipe.execute()
        except redis_error() as error:
            self._queue.mark_away(error)

    def drop(self, names: Collection[str]) -> None:
        """Remove jobs that are gone from the index."""
        client = self._queue.client()
        if client is None or not names:
            return
        try:
            client.hdel(self._rows, *names)
            client.hdel(self._states, *names)
        except redis_error() as error:
            self._queue.mark_away(error)

    def _look(self, names: list[str]) -> list[JobView]:
        """Views of these jobs, read from the store and put into the index."""
        found = []
        for name in names:
            try:
                found.append(status(self._store, name))
            except StudioError:
                continue  # gone since it was listed
        self.put(found)
        return found

    def _known(self) -> dict[str, tuple[str, JobState]]:
        """Creation time and state in the index, by job."""
        client = self._queue.client()
        if client is None:
            return {}
        try:
            lines = cast(bytes, client.eval(LINES, 1, self._states)).decode(errors="replace").splitlines()
        except redis_error() as error:
            self._queue.mark_away(error)
            return {}
        rows = (line.split(" ") for line in lines)
        # Another version of the studio may have written an unknown state: such a job is read from the store again.
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
        except redis_error() as error:
            self._queue.mark_away(error)
        except (ValueError, TypeError):
            pass  # written by another version: read from the store
        return {}


def summaries(
    settings: Settings, store: Store, limit: int, states: Collection[JobState] | None = None, offset: int = 0
) -> list[JobView]:
    """Return views of jobs in these states (None for all), newest first, without their segments.

    Raises StudioError if the store cannot be read.
    """
    queue = JobQueue(settings)
    try:
        index = JobIndex(store, queue)
        names = [name for name, state in reversed(index.order()) if not states or state in states]
        return index.rows(names[offset : offset + limit])
    finally:
        queue.close()


def counts(settings: Settings, store: Store) -> dict[JobState, int]:
    """Return the number of jobs in each state. Raises StudioError if the store cannot be read."""
    queue = JobQueue(settings)
    try:
        return Counter(state for _, state in JobIndex(store, queue).order())
    finally:
        queue.close()
