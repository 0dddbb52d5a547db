"""Reasons why a job waits for a worker."""

from pathlib import Path

import pytest
import redis

from shared.config.settings import load_settings
from shared.jobs import queue, status
from shared.jobs.queue import JobQueue
from shared.jobs.staff import Staff, staff_note, staffed_engines, waiting_reason, with_waiting_reason
from shared.jobs.store import LocalStore
from shared.jobs.workers import WorkerBeat
from tests.support.jobs import job_material as material

LIVE, OTHER = (WorkerBeat(name, 1, "host", 1, engines) for name, engines in (("a", ("mesh", "duix")), ("b", ("mesh",))))
ALIEN = WorkerBeat("d", 1, "host", 1, ("stableavatar",))
DEAD = WorkerBeat("c", 1, "host", 1, ("stableavatar",), alive=False)


@pytest.mark.parametrize(
    "engine, workers, words",
    [
        ("duix", [LIVE, OTHER], ""),
        ("duix", None, ""),  # Redis is away, or no worker runs: another sentence says so once
        ("mesh", [], ""),
        ("stableavatar", [DEAD], ""),
        ("stableavatar", [LIVE, DEAD], "The only running worker does not serve the engine stableavatar"),
        ("stableavatar", [LIVE, OTHER], "None of the 2 running workers serves the engine stableavatar"),
    ],
)
def test_the_reason_is_one_sentence(engine: str, workers: list[WorkerBeat] | None, words: str) -> None:
    said = waiting_reason(engine, workers)
    assert said.startswith(words) and bool(said) == bool(words) and "\n" not in said


def test_engines_are_those_of_the_living() -> None:
    assert staffed_engines([LIVE, DEAD]) == {"mesh", "duix"} and staffed_engines(None) == frozenset()


def test_only_a_job_that_waits_has_it(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    waiting, stuck, done = (material.job(store, number) for number in range(3))
    status.park(store, stuck, "The face is nowhere.", "failed")
    material.complete(store, done)
    reasons = [with_waiting_reason(status.status(store, job), [ALIEN]).reason for job in (waiting, stuck, done)]
    assert reasons[0].startswith("The only running worker does not serve") and reasons[1:] == [
        "The face is nowhere.",
        "",
    ]


class FullRedis:
    """A Redis that answers, but has no memory left to write."""

    said = redis.exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'.")

    def hgetall(self, _: str) -> dict[bytes, bytes]:
        return {}

    def set(self, *_: object, **__: object) -> None:
        raise self.said

    def close(self) -> None:
        pass


def test_a_redis_that_is_full_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "connect", lambda _: FullRedis())
    settings = load_settings(home=tmp_path, redis_url="redis://host/0")
    assert staff_note(settings).startswith("Redis accepts no messages (command not allowed when used memory")
    store = LocalStore(tmp_path / "jobs")
    waiting = status.status(store, material.job(store, 1))
    with Staff(settings) as staff:
        assert staff.explained(waiting).reason == staff_note(settings)


def test_what_redis_refused_is_known_where_a_message_is_not_sent() -> None:
    asked = JobQueue(load_settings(redis_url="redis://host/0"))
    asked.mark_away(redis.exceptions.ConnectionError("refused"))
    assert not asked.wake("job", "mesh", "normal") and not asked.trouble  # another sentence says that Redis is away
    asked.mark_away(
        redis.exceptions.OutOfMemoryError(f"Command # 1 (HSET a b) of pipeline caused error: {FullRedis.said}")
    )
    assert not asked.wake("job", "mesh", "normal")
    assert "accepts no messages (command not allowed when used memory > 'maxmemory')" in asked.trouble
