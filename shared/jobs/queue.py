"""The way to the workers: short messages through Redis that wake one up. A message lost costs time, never a job."""

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from shared.config.settings import Settings
from shared.errors import short
from shared.jobs.manifest import Priority
from shared.jobs.redis_address import redis_url
from shared.jobs.survey import Expired

if TYPE_CHECKING:
    from celery import Celery

PRIORITIES: tuple[Priority, ...] = ("high", "normal", "low")
ADVANCE = "studio.advance"  # the task's name: workers of another version know it too
REDIS_TIMEOUT_S = 1.0  # seconds that an answer of Redis may take
PROBE = "studio:probe"  # a key that is written to see whether Redis takes anything
RETRY_PAUSE_S = 2.0  # seconds before a Redis that did not answer is asked again


def queue_name(engine: str, priority: Priority, *, begun: bool) -> str:
    """The queue of an engine's jobs.

    Jobs that have begun have one of their own, which goes first: a worker finishes a job before it begins another.
    """
    return f"{engine}.{priority}.begun" if begun else f"{engine}.{priority}"


def queue_names(engines: Iterable[str]) -> list[str]:
    """The queues of these engines, in the order in which they are emptied."""
    names = list(engines)
    return [queue_name(each, level, begun=begun) for level in PRIORITIES for begun in (True, False) for each in names]


def celery_app(url: str) -> "Celery":
    """The Celery app as everybody needs it who sends.

    JSON alone, no results, and no waiting for a Redis that is away.
    """
    from celery import Celery  # a quarter of a second that only who sends spends

    app = Celery("persona-studio", broker=url, set_as_current=False)
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        result_accept_content=["json"],
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_protocol=2,
        task_publish_retry=False,
        broker_connection_timeout=REDIS_TIMEOUT_S,
        broker_transport_options=transport_options() | {"max_retries": 1, "interval_start": 0, "interval_step": 0},
        timezone="UTC",
    )
    return app


def transport_options() -> dict[str, Any]:
    """How Celery talks to Redis."""
    return {
        # Emptied in the order they are given in, not in turn. Redis takes the first of them that has something.
        "queue_order_strategy": "priority",
        "priority_steps": [0],
        # Only what a worker held unread when it died comes back so; all else the caretakers see to.
        "visibility_timeout": 3600,
        "socket_connect_timeout": REDIS_TIMEOUT_S,
        "socket_timeout": REDIS_TIMEOUT_S,
        "socket_keepalive": True,
        "health_check_interval": 5,
        "retry_on_timeout": False,
    }


def connect(url: str) -> redis.Redis:
    """A client that says within a second or two that Redis is away, with redis.RedisError."""
    return redis.Redis.from_url(
        url,
        socket_connect_timeout=REDIS_TIMEOUT_S,
        socket_timeout=REDIS_TIMEOUT_S,
        retry=Retry(NoBackoff(), 1),  # once: a connection that was fine before Redis was started again
        health_check_interval=5,
    )


class JobQueue:
    """Sends messages and says how many wait. Where Redis is away nothing fails and nothing waits long."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._url: str | None = None
        self._app: Celery | None = None
        self._client: redis.Redis | None = None
        self._quiet_until = 0.0
        self.trouble = ""  # why the last message could not be sent, in a sentence

    def wake(
        self,
        job: str,
        engine: str,
        priority: Priority,
        count: int = 1,
        *,
        expired: Expired = (),
        begun: bool = False,
    ) -> bool:
        """Have `count` workers do something for a job; False where Redis is away.

        Nothing is lost then: the job is on disk, and the next worker's caretaker finds it.
        """
        app = self._sender()
        if app is None:
            return False
        from kombu.exceptions import KombuError, OperationalError

        name = queue_name(engine, priority, begun=begun)
        try:
            with app.producer_pool.acquire(block=True, timeout=REDIS_TIMEOUT_S) as producer:
                for _ in range(count):
                    app.send_task(
                        ADVANCE, (job, [list(each) for each in expired]), queue=name, producer=producer, retry=False
                    )
        except (OperationalError, KombuError, redis.RedisError, OSError) as error:
            self._quiet_until = time.monotonic() + RETRY_PAUSE_S
            self.trouble = _refused(error)
            return False
        self.trouble = ""
        return True

    def depths(self, engines: Iterable[str]) -> dict[str, int] | None:
        """How many messages wait in each queue, None where Redis is away."""
        names = queue_names(engines)
        client = self.client()
        if client is None:
            return None
        try:
            with client.pipeline(transaction=False) as pipe:
                for name in names:
                    pipe.llen(name)
                return dict(zip(names, (int(each) for each in pipe.execute()), strict=True))
        except redis.RedisError as error:
            self.mark_away(error)
            return None

    def client(self) -> redis.Redis | None:
        """The Redis client; None where there is no Redis or it did not answer just now."""
        if time.monotonic() < self._quiet_until:
            return None
        self._find()
        return self._client

    def mark_away(self, error: redis.RedisError) -> None:
        """Redis did not answer, or answered that it takes nothing: it is not asked for a moment."""
        self._quiet_until = time.monotonic() + RETRY_PAUSE_S
        if isinstance(error, redis.ResponseError):  # it is there, and full or read only
            self.trouble = _refused(error)

    def refusal(self) -> str:
        """Return why Redis takes nothing, in a sentence, "" where it does.

        It is asked by a write, for it answers even when full.
        """
        client = self.client()
        if client is None:
            return self.trouble
        try:
            client.set(PROBE, b"", px=1000)
        except redis.RedisError as error:
            self.mark_away(error)
            return self.trouble
        self.trouble = ""
        return ""

    def close(self) -> None:
        """Let go of the connections."""
        if self._app is not None:
            self._app.close()
        if self._client is not None:
            self._client.close()
        self._app, self._client, self._url = None, None, None

    def _sender(self) -> "Celery | None":
        if time.monotonic() < self._quiet_until:
            return None
        self._find()
        if self._url is not None and self._app is None:
            self._app = celery_app(self._url)
        return self._app

    def _find(self) -> None:
        """Look where Redis is now: the studio's own may have come, gone or moved."""
        url = redis_url(self._settings)
        if url == self._url:
            return
        self.close()
        self._url = url
        self._client = connect(url) if url else None


def _refused(error: Exception) -> str:
    _, of_pipeline, said = str(error).partition(" caused error: ")  # before it stands the whole command
    reason = short(Exception(said)) if of_pipeline else short(error)
    return f"Redis accepts no messages ({reason}), so jobs wait until it does; they are safe on disk."
