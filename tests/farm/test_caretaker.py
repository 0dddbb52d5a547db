"""The caretaker of waiting jobs: leases by the observer's own time, lost messages, and the cost of its sweeps."""

import json
import time
from pathlib import Path
from typing import cast

import pytest
import redis

from cli.jobs import list_jobs
from services.local.redis_server import RedisServer
from services.renderer.worker.caretaker import AT_MOST, HEAD, IN_TURN, Caretaker, ExpiredClaims
from shared.config.settings import load_settings
from shared.jobs import claims, queue
from shared.jobs.claims import LEASE_S
from shared.jobs.graph import follow_name
from shared.jobs.index import counts, summaries
from shared.jobs.queue import JobQueue, connect, queue_name
from shared.jobs.status import park, parked, set_wanted_state
from shared.jobs.store import LocalStore
from shared.jobs.workers import GONE_S, SILENT_S, WorkerBeat, WorkerFiles, Workers
from tests.support.jobs.stored_job import job

LOOKS_A_JOB = 7  # reads per waiting job: its names, and the few files that tell its state


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait longer for Redis, which may be slow on a busy machine."""
    monkeypatch.setattr(queue, "REDIS_TIMEOUT_S", 60.0)


class CaretakerClock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_lease_ends_by_the_observers_time_alone() -> None:
    clock = CaretakerClock()
    leases, key = ExpiredClaims(10.0, clock), ("job", "render-00000", 1)
    assert leases.stale_claims({key: 4}) == []
    clock.now += LEASE_S / 2
    assert leases.stale_claims({key: 5}) == [], "it beats"
    clock.now += 9.0
    assert leases.stale_claims({key: 5}) == []
    clock.now += 9.0
    assert leases.stale_claims({key: 5}) == [key]
    assert leases.stale_claims({key: 6}) == [], "it beats again"
    clock.now += 3600.0  # the observer was frozen, perhaps together with the workers
    assert leases.stale_claims({key: 6}) == []


def test_what_was_lost_is_sent_again(tmp_path: Path) -> None:
    settings, store, clock = load_settings(home=tmp_path), LocalStore(tmp_path / "jobs"), CaretakerClock()
    jobs = JobQueue(settings)
    caretaker = Caretaker(store, jobs, clock, dead=lambda worker: worker == "ghost")
    first = job(store)
    assert caretaker.sweep().sent == 0, "Redis is away"
    with RedisServer(tmp_path) as server, connect(server.url) as client:
        time.sleep(2.1)
        new, begun = (queue_name("counter", "normal", begun=begun) for begun in (False, True))
        assert caretaker.sweep().sent == 1
        assert caretaker.sweep().sent == 0, "one waits already"
        client.flushall()
        clock.now += 20
        assert caretaker.sweep().sent == 1
        assert client.llen(new) == 1
        client.flushall()
        # A worker begins and dies; it is known to be dead immediately, or after its lease.
        seen = claims.read_unit_state(store, first, follow_name(0))
        claims.claim_unit(store, first, follow_name(0), seen, "ghost")
        clock.now += 5
        swept = caretaker.sweep()
        assert (swept.expired, swept.sent, client.llen(begun)) == (1, 1, 1)
        client.flushall()
        claims.claim_unit(store, first, follow_name(0), claims.read_unit_state(store, first, follow_name(0)), "silent")
        expired = 0
        for _ in range(5):
            clock.now += 5
            expired += caretaker.sweep().expired
        assert expired == 2, "seen to stand still after three looks more"
        assert client.llen(begun) == 1, "and said once"
        set_wanted_state(store, first, "cancelled")
        assert caretaker.sweep().open == 0
    jobs.close()


def test_the_list_looks_again_at_a_job_that_the_index_has_as_queued(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, store = load_settings(home=tmp_path), LocalStore(tmp_path / "jobs")
    name = job(store)
    with RedisServer(tmp_path):
        assert counts(settings, store) == {"queued": 1}
        set_wanted_state(store, name, "cancelled")
        assert counts(settings, store) == {"queued": 1}, "the index does not know yet"
        list_jobs(as_json=True, home=tmp_path)
        assert [row["state"] for row in json.loads(capsys.readouterr().out)] == ["cancelled"]


def test_a_job_without_room_goes_on_when_there_is_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, jobs = LocalStore(tmp_path / "jobs"), JobQueue(load_settings(home=tmp_path))
    caretaker, waiting = Caretaker(store, jobs, CaretakerClock()), job(store)
    park(store, waiting, "full", "no_space")
    stuck = job(store, 1)
    park(store, stuck, "broken", "failed")
    monkeypatch.setattr(store, "room", lambda: 1)
    assert caretaker.sweep().unparked == 0
    monkeypatch.undo()
    assert caretaker.sweep().unparked == 1
    assert parked(store, waiting) is None
    assert parked(store, stuck) == ("broken", "failed")


class CountingStore(LocalStore):
    """A store that counts its reads."""

    looks = 0

    def read(self, name: str) -> bytes | None:
        self.looks += 1
        return super().read(name)

    def list(self, name: str) -> list[str]:
        self.looks += 1
        return super().list(name)


@pytest.mark.parametrize("count", [300, 1200])
def test_ten_thousand_jobs_are_listed_and_cared_for_cheaply(tmp_path: Path, count: int) -> None:
    """The number of reads by a sweep and by a list is bounded, however many jobs there are."""
    settings, store, clock = load_settings(home=tmp_path), CountingStore(tmp_path / "jobs"), CaretakerClock()
    for number in range(count):
        job(store, number)
    jobs = JobQueue(settings)
    with RedisServer(tmp_path) as server, connect(server.url) as client:
        caretaker = Caretaker(store, jobs, clock)
        while caretaker.sweep().open < count:
            clock.now += 5
        assert client.llen(queue_name("counter", "normal", begun=False)) <= AT_MOST, "the queue must not be flooded"
        for _ in range(5):
            clock.now += 5
            store.looks = 0
            caretaker.sweep()
            assert store.looks <= LOOKS_A_JOB * (HEAD + IN_TURN) + 1
        assert counts(settings, store) == {"queued": count}
        store.looks = 0
        assert len(summaries(settings, store, 50)) == 50
        assert store.looks == 1, "the names, and the rest in Redis"
        client.flushall()
        assert len(summaries(settings, store, 50)) == 50, "the index was not made again"
    jobs.close()


def redis_time_ms(client: redis.Redis) -> float:
    """Return Redis' own time, in milliseconds."""
    seconds, microseconds = client.time()
    return 1000 * seconds + microseconds / 1000


def test_workers_are_alive_by_their_beat(tmp_path: Path) -> None:
    clock, jobs = CaretakerClock(), JobQueue(load_settings(home=tmp_path))
    with RedisServer(tmp_path) as server:
        workers = Workers(jobs, clock)
        one, two = (WorkerBeat(name, 1, "host", 1, ("counter",)) for name in ("one", "two"))
        with connect(server.url) as client:
            before = redis_time_ms(client)
            workers.publish_beat(one)
            workers.publish_beat(two)
            assert [each.alive for each in workers.read_all() or []] == [True, True]
            left = cast(int, client.pttl("studio:workers:one"))
            assert 1000 * SILENT_S - (redis_time_ms(client) - before) - 1 <= left <= 1000 * SILENT_S
            client.delete("studio:workers:one")  # as Redis does after that time
        assert [each.alive for each in Workers(jobs).read_all() or []] == [False, True], "one look takes it for alive"
        workers.publish_beat(one)
        clock.now += SILENT_S + 1
        workers.publish_beat(WorkerBeat("two", 2, "host", 1, ("counter",)))
        assert [(each.name, each.alive) for each in workers.read_all() or []] == [("one", False), ("two", True)]
        clock.now += GONE_S
        workers.read_all()
        assert [each.name for each in workers.read_all() or []] == ["two"]
    jobs.close()
    files = WorkerFiles(LocalStore(tmp_path / "jobs"), clock)
    files.publish_beat(one)
    files.publish_beat(two)
    clock.now += GONE_S + 1
    files.publish_beat(WorkerBeat("two", 3, "host", 1, ("counter",)))
    assert files.store.list("workers") == ["two.json"]
