"""Queue of short messages in Redis that wake workers. A lost message costs time, never a job."""

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from shared.config.settings import Settings
from shared.errors import short
from shared.jobs.manifest import Priority
from shared.jobs.redis_address import redis_url
from shared.jobs.survey import Expired

if TYPE_CHECKING:
    import redis
    from celery import Celery

PRIORITIES: tuple[Priority, ...] = ("high", "normal", "low")
ADVANCE = "studio.advance"  # name of the Celery task, the same in all versions of the studio
REDIS_TIMEOUT_S = 1.0  # for an answer of Redis
PROBE = "studio:probe"  # key that is written to test whether Redis accepts writes
RETRY_PAUSE_S = 2.0  # pause before a Redis that did not answer is tried again


def queue_name(engine: str, priority: Priority, *, begun: bool) -> str:
    """Return the name of the queue for an engine's jobs of this priority.

    Jobs that have begun have a separate queue, which is emptied first, so that workers finish a job before they begin
    another.
    """
    return f"{engine}.{priority}.begun" if begun else f"{engine}.{priority}"


def queue_names(engines: Iterable[str]) -> list[str]:
    """Return the names of these engines' queues, in the order in which they are emptied."""
    names = list(engines)
    return [queue_name(each, level, begun=begun) for level in PRIORITIES for begun in (True, False) for each in names]


def celery_app(url: str) -> "Celery":
    """Return a Celery app for sending: JSON only, without results, and without waiting for a Redis that is away."""
    from celery import Celery  # imported here because it takes a quarter of a second, which only senders need

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
    """Return the options of Celery's connection to Redis."""
    return {
        # Queues are emptied in the given order, not in turn: Redis pops from the first one that has a message.
        "queue_order_strategy": "priority",
        "priority_steps": [0],
        # Only returns messages that a worker had fetched but not read when it died; caretakers recover everything else.
        "visibility_timeout": 3600,
        "socket_connect_timeout": REDIS_TIMEOUT_S,
        "socket_timeout": REDIS_TIMEOUT_S,
        "socket_keepalive": True,
        "health_check_interval": 5,
        "retry_on_timeout": False,
    }


def connect(url: str) -> "redis.Redis":
    """Return a client that raises redis.RedisError within a second or two if Redis does not answer."""
    import redis  # imported here because it takes a tenth of a second, and many processes never ask Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return redis.Redis.from_url(
        url,
        socket_connect_timeout=REDIS_TIMEOUT_S,
        socket_timeout=REDIS_TIMEOUT_S,
        retry=Retry(NoBackoff(), 1),  # one retry, for a connection from before a restart of Redis
        health_check_interval=5,
    )


def redis_error() -> "type[redis.RedisError]":
    """Return the class of the errors that a client raises, for an `except` clause, without loading redis before."""
    import redis  # imported here for the reason given in `connect`

    return redis.RedisError


class JobQueue:
    """Sends messages and counts those that wait. If Redis does not answer, methods report it without raising."""

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
        """Send `count` messages that wake workers for a job; return False if Redis does not accept them.

        Nothing is lost then: the job is on disk, where a worker's caretaker finds it.
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
        except (OperationalError, KombuError, redis_error(), OSError) as error:
            self._quiet_until = time.monotonic() + RETRY_PAUSE_S
            self.trouble = _refused(error)
            return False
        self.trouble = ""
        return True

    def depths(self, engines: Iterable[str]) -> dict[str, int] | None:
        """Return the number of waiting messages in each of these engines' queues, None if Redis does not answer."""
        names = queue_names(engines)
        client = self.client()
        if client is None:
            return None
        try:
            with client.pipeline(transaction=False) as pipe:
                for name in names:
                    pipe.llen(name)
                return dict(zip(names, (int(each) for each in pipe.execute()), strict=True))
        except redis_error() as error:
            self.mark_away(error)
            return None

    def client(self) -> "redis.Redis | None":
        """Return the Redis client; None if there is no Redis or it recently did not answer."""
        if time.monotonic() < self._quiet_until:
            return None
        self._find()
        return self._client

    def mark_away(self, error: "redis.RedisError") -> None:
        """Note that Redis did not answer or refused a command: it is not used for RETRY_PAUSE_S."""
        import redis  # imported here for the reason given in `connect`

        self._quiet_until = time.monotonic() + RETRY_PAUSE_S
        if isinstance(error, redis.ResponseError):  # Redis runs but is full or read-only
            self.trouble = _refused(error)

    def refusal(self) -> str:
        """Return a sentence that says why Redis accepts no messages, "" if it does.

        Tested by a write, because a full Redis still answers reads.
        """
        client = self.client()
        if client is None:
            return self.trouble
        try:
            client.set(PROBE, b"", px=1000)
        except redis_error() as error:
            self.mark_away(error)
            return self.trouble
        self.trouble = ""
        return ""

    def close(self) -> None:
        """Close the connections."""
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
        """Look up the address of Redis: the studio's own server may have started, stopped or moved."""
        url = redis_url(self._settings)
        if url == self._url:
            return
        self.close()
        self._url = url
        self._client = connect(url) if url else None


def _refused(error: Exception) -> str:
    _, of_pipeline, said = str(error).partition(" caused error: ")  # the text before it is the whole command
    reason = short(Exception(said)) if of_pipeline else short(error)
    return f"Redis accepts no messages ({reason}), so jobs wait until it does; they are safe on disk."
