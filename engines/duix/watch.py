"""Polling of one task of a service until its end is recorded."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from engines.duix.client import (
    ACCEPTED,
    DONE,
    FAILED,
    NO_TASK,
    SYSTEM_ERROR,
    WRONG_PARAMETERS,
    NotSentError,
    Reply,
    ServiceClient,
    UnclearError,
)
from engines.duix.data_folder import DataFolder, Stage, TaskRecord, result_name
from shared.errors import StudioError


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait for the service, in seconds.

    poll: between two queries. look: between two checks for a cancellation. grace: how long a submitted task may be
        unknown to the service. file: how long a finished file may be missing. stall: longest time without progress.
        least: shortest time limit of a whole task. For long speech both grow. silence: how long a service may leave
        queries unanswered. first_pause, longest_pause: time before a busy service is tried again, doubling from the
        first to the longest.
    """

    poll: float = 2.0
    look: float = 0.1
    grace: float = 10.0
    file: float = 15.0
    stall: float = 600.0
    least: float = 900.0
    silence: float = 120.0
    first_pause: float = 5.0
    longest_pause: float = 30.0


class SilentError(StudioError):
    """A service that no longer answers. why: the reason in a few words."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(
            f"Duix-Avatar at {url} does not answer ({why}); check that its container is running, then retry."
        )
        self.why = why


STALL_SHARE = 0.05  # of a task's time limit: progress is reported in whole percents


class Watch:
    """Watches one task; call `step` once per poll, with the folder's lock held.

    times: time limit of the task as a multiple of the speech's length. progress: percent.
    """

    def __init__(
        self, folder: DataFolder, url: str, record: TaskRecord, patience: Patience, times: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._folder, self._url, self._record, self._clock = folder, url, record, clock
        self._patience = patience
        self._limit = max(patience.least, times * record.seconds)
        self._stall = max(patience.stall, STALL_SHARE * times * record.seconds)
        self._begun = self._moved = self._heard = clock()
        self._missing: float | None = None
        self._seen: tuple[object, ...] = ()
        self.progress = 0

    def step(self, client: ServiceClient) -> TaskRecord | None:
        """Query the service once and return the task's record.

        A task's end is on disk before this returns. None if the service never received the task. Raises SilentError.
        """
        now = self._clock()
        try:
            reply = client.query(self._record.code)
        except (NotSentError, UnclearError) as error:
            if now - self._heard > self._patience.silence:
                raise SilentError(self._url, str(error)) from None
            return self._record
        self._heard = now
        if reply.code == NO_TASK:
            return self._unknown(now)
        self._missing = None
        if reply.code in (WRONG_PARAMETERS, SYSTEM_ERROR):
            return self._failed(f"says {reply.code}: {reply.said or 'no reason'}")
        if reply.code == ACCEPTED:
            return self._told(reply, now)
        return self._late(now)

    def _told(self, reply: Reply, now: float) -> TaskRecord:
        if reply.status in DONE:
            return self._written("done", result=reply.result)
        if reply.status in FAILED:
            return self._failed(f"failed: {reply.said or 'no reason'}")
        if self._record.stage == "sent":
            self._written("accepted")
        self.progress = reply.progress
        seen = reply.status, reply.progress, reply.said, self._folder.growth(self._record.code)
        if seen != self._seen:
            self._seen, self._moved = seen, now
        return self._late(now)

    def _unknown(self, now: float) -> TaskRecord | None:
        """Handle a task that the service does not know: not yet, no longer, or never."""
        # The task is done, but the process that received this answer did not record it.
        if self._folder.result(self._record.code) is not None:
            return self._written("done", result=result_name(self._record.code))
        self._missing = now if self._missing is None else self._missing
        sent = self._record.stage == "sent"
        if now - self._missing < (self._patience.grace if sent else self._patience.file):
            return self._record
        return None if sent else self._failed("has lost the task, as after a restart; retry")

    def _late(self, now: float) -> TaskRecord:
        if now - self._moved > self._stall:
            return self._failed(
                f"has made no progress for {self._stall / 60:.0f} minutes; restart its container, then retry"
            )
        if now - self._begun > self._limit:
            return self._failed(
                f"has not finished within {self._limit / 60:.0f} minutes; split the job, or raise duix.time_limit"
            )
        return self._record

    def _failed(self, said: str) -> TaskRecord:
        return self._written("failed", said=f"Duix-Avatar at {self._url} {said}.")

    def _written(self, stage: Stage, result: str = "", said: str = "") -> TaskRecord:
        self._record = replace(self._record, stage=stage, result=result, said=said)
        self._folder.write(self._record)
        return self._record
