"""Heartbeat of a claimed unit: keeps the claim alive, and stops the unit when it is lost or no longer wanted."""

import threading
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType, TracebackType
from typing import Any, Literal, Self

from shared.errors import StudioError
from shared.jobs.claims import BEAT_S, Claim, give_back, record_failure, write_beat
from shared.jobs.status import read_wanted_state
from shared.jobs.store import Store
from shared.runtime.logs import get_logger

log = get_logger()

LOOK_S = 0.5  # interval of reading the job's wanted state
PATIENCE_LOOKS = 2  # further checks that a unit has to stop by itself before its process is ended
STALLED_S = 600.0  # time without progress after which the engine counts as hung
STALLED = "There was no progress for {:.0f} minutes; check what the engine is waiting for, then retry."

Told = Callable[[str, int, int], None]  # name of a unit, steps done, steps in total
StopReason = Literal["cancelled", "handed back", "lost", "gone"]


class Stopped(Exception):
    """The unit must not continue.

    why: the job was cancelled, the claim is handed back because the worker ends, it was lost to another worker, or the
    job was removed.
    """

    def __init__(self, why: StopReason) -> None:
        super().__init__(why)
        self.why: StopReason = why


class Heartbeat:
    """Writes the beats of a claim from a separate thread. A context manager; the unit calls `report_progress`.

    leaving: whether the worker is about to end. die: ends the process, if a unit does not stop or hangs; None in a
    foreground process, which its user ends. told: called with the progress. facts: content of the beats until the unit
    reports progress.
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
        """Report the unit's progress. done, total: steps of the unit. Raises Stopped when it must not continue."""
        self._moved = time.monotonic()
        fps = done / max(1e-3, self._moved - self._started)
        self._facts = {"done": done, "total": total, "fps": round(fps, 2)}
        self.raise_if_stopped()
        self._told(self._claim.unit, done, total)

    def raise_if_stopped(self) -> None:
        """Raise Stopped when the unit must not continue; does not count as progress."""
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
        asked = 0  # checks since the unit must stop; counted, not timed, because the process may have been suspended
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
        """End the claim before the process ends, so that no worker has to wait for it to expire."""
        try:
            if self._why in ("cancelled", "handed back"):
                give_back(self._store, self._claim)
            elif self._why is None:
                record_failure(self._store, self._claim, STALLED.format(STALLED_S / 60), "failed")
        except StudioError:
            pass  # the claim then expires

    def _look(self) -> StopReason | None:
        if self._store.read(f"jobs/{self._claim.job}/job.json") is None:
            return "gone"
        if read_wanted_state(self._store, self._claim.job) == "cancelled":
            return "cancelled"
        return "handed back" if self._leaving() else None
