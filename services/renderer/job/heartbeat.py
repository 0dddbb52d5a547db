"""A claim kept alive while its unit is done, and given up when it is lost or not wanted any more."""

import threading
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType, TracebackType
from typing import Any, Literal, Self

import structlog

from shared.errors import StudioError
from shared.jobs.claims import BEAT_S, Claim, give_back, record_failure, write_beat
from shared.jobs.status import read_wanted_state
from shared.jobs.store import Store

log = structlog.get_logger()

LOOK_S = 0.5  # between two looks at what is wished
PATIENCE_LOOKS = 2  # for what is being made when the unit must stop; then the process ends
STALLED_S = 600.0  # without progress: the engine hangs
STALLED = "There was no progress for {:.0f} minutes; check what the engine waits for, then retry."

Told = Callable[[str, int, int], None]  # a unit's name, steps done, of how many
StopReason = Literal["cancelled", "handed back", "lost", "gone"]


class Stopped(Exception):
    """The unit must not continue.

    why: cancelled by the operator, handed back because the worker ends, lost to another worker, or the job is gone.
    """

    def __init__(self, why: StopReason) -> None:
        super().__init__(why)
        self.why: StopReason = why


class Heartbeat:
    """Beats for a claim from a thread of its own; a context manager. The unit calls `report_progress` as it gets on.

    leaving: whether the worker is about to end. die: ends the process, for a unit that does not stop or hangs; None in
    a foreground process, which its user ends. told: called with the progress. facts: of the beats before the unit
    reports any.
    """

    def __init__(
        self,
        store: Store,
        claim: Claim,
        worker: str,
        leaving: Callable[[], bool] = lambda: False,
        die: Callable[[], None] | None = None,
        told: Told = lambda unit, done, total: None,
        facts: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self._store, self._claim, self._worker = store, claim, worker
        self._leaving, self._die, self._told = leaving, die, told
        self._beat = 0
        self._facts = dict(facts)
        self._started = self._moved = time.monotonic()
        self._why: StopReason | None = None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)

    def report_progress(self, done: int, total: int) -> None:
        """The unit gets on. done, total: its steps. Raises Stopped when it must not continue."""
        self._moved = time.monotonic()
        fps = done / max(1e-3, self._moved - self._started)
        self._facts = {"done": done, "total": total, "fps": round(fps, 2)}
        self.raise_if_stopped()
        self._told(self._claim.unit, done, total)

    def raise_if_stopped(self) -> None:
        """Raise Stopped when the unit must not continue; says nothing of its progress."""
        if self._why is not None:
            raise Stopped(self._why)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        asked = 0  # looks since it must stop, not seconds: a process may have been frozen meanwhile
        due = 0.0
        while not self._end.wait(LOOK_S):
            now = time.monotonic()
            try:
                if self._why is None:
                    self._why = self._look()
                if now >= due and self._why != "lost":
                    due = now + BEAT_S
                    self._beat += 1
                    if not write_beat(self._store, self._claim, self._beat, self._worker, self._facts):
                        self._why = "lost"
            except StudioError as error:
                log.warning("heartbeat_not_written", unit=self._claim.unit, why=str(error))
                continue
            asked += self._why is not None
            if self._die and (asked > PATIENCE_LOOKS or now - self._moved > STALLED_S):
                self._give_up_claim()
                self._die()

    def _give_up_claim(self) -> None:
        """The process ends in the middle of a unit: end the claim so that no worker waits for the lease to end."""
        try:
            if self._why in ("cancelled", "handed back"):
                give_back(self._store, self._claim)
            elif self._why is None:
                record_failure(self._store, self._claim, STALLED.format(STALLED_S / 60), "failed")
        except StudioError:
            pass  # then the claim expires

    def _look(self) -> StopReason | None:
        if self._store.read(f"jobs/{self._claim.job}/job.json") is None:
            return "gone"
        if read_wanted_state(self._store, self._claim.job) == "cancelled":
            return "cancelled"
        return "handed back" if self._leaving() else None
