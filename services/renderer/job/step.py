"""One step of a job: claim a ready unit, run it and publish it. Messages only trigger it; the state is on disk."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any, Literal

from services.renderer.job.assemble_unit import assemble_result, delete_intermediate_files
from services.renderer.job.clip_unit import clip_unit
from services.renderer.job.heartbeat import Heartbeat, Stopped, Told
from services.renderer.job.open_job import JobOpener, OpenClip, OpenFrames
from services.renderer.job.units import follow_unit, render_unit
from shared.errors import NoSpaceError, OutOfMemoryError, StudioError
from shared.jobs import claims
from shared.jobs.claims import Claim
from shared.jobs.graph import ASSEMBLE, FOLLOW, kind_of
from shared.jobs.manifest import Manifest, read_job_manifest
from shared.jobs.status import park, parked, read_wanted_state, result
from shared.jobs.store import Store
from shared.jobs.survey import Expired, JobSurveyor
from shared.runtime.logs import get_logger

log = get_logger()

MIN_FREE_BYTES = 64 << 20  # free bytes below which no unit is begun
SMOOTHED = 0.8  # weight of the earlier units' pace in the moving average
Outcome = Literal["done", "failed", "handed back", "lost", "cancelled", "gone", "no_space", "nothing"]


@dataclass(frozen=True, slots=True)
class StepResult:
    """Outcome of an attempt to advance a job.

    unit: "" if there was nothing to do. wake: number of units that have become ready by this step, for the first time
    or again. frames: number of frames made. error: exception from an engine's code other than StudioError.
    """

    outcome: Outcome
    unit: str = ""
    wake: int = 0
    reason: str = ""
    frames: int = 0
    error: Exception | None = None


NOTHING = StepResult("nothing")


@dataclass(slots=True)
class UnitWorker:
    """Runs units, one at a time. name: the worker's name in claims. leaving, die, told: see `Heartbeat`."""

    store: Store
    opener: JobOpener
    name: str
    leaving: Callable[[], bool] = lambda: False
    die: Callable[[], None] | None = None
    told: Told = lambda unit, done, total: None
    board: JobSurveyor = field(default_factory=JobSurveyor)
    # Average weight per second of the last job's units, by (job, kind of unit).
    _paces: dict[tuple[str, str], float] = field(default_factory=dict)

    def advance(self, job: str, expired: Expired = ()) -> StepResult:
        """Advance a job by one unit.

        expired: claims whose beat has not changed for LEASE_S. Errors of the job are returned in the result, not
        raised.
        """
        try:
            manifest = read_job_manifest(self.store, job)
            if not may_go_on(self.store, job):
                return NOTHING
            claim = self._claim(manifest, expired)
            # Another worker may have finished the job meanwhile and deleted its units' files.
            if claim is not None and result(self.store, job):
                delete_intermediate_files(self.store, job)
                return NOTHING
        except StudioError as error:
            return StepResult("nothing", reason=str(error))
        return self._do(manifest, claim) if claim is not None else NOTHING

    def _claim(self, manifest: Manifest, expired: Expired) -> Claim | None:
        room = self.store.room()
        ready = self.board.survey(self.store, manifest, expired).ready
        if ready and room is not None and room < MIN_FREE_BYTES:
            park(self.store, manifest.id, _no_space(), "no_space")
            return None
        for unit, state in ready:
            claim = claims.claim_unit(self.store, manifest.id, unit, state, self.name, self._pace(manifest.id, unit))
            if claim is not None:
                return claim
        return None

    def _do(self, manifest: Manifest, claim: Claim) -> StepResult:
        unit, began = claim.unit, time.monotonic()
        pace = self._pace(manifest.id, unit)
        try:
            with Heartbeat(self.store, claim, self.name, self.leaving, self.die, self.told, pace) as heart:
                facts = self._made(manifest, claim, heart)
            self._note_pace(manifest, unit, time.monotonic() - began)
            return self._published(manifest, claim, facts)
        except Stopped as stopped:
            if stopped.why in ("cancelled", "gone"):
                self.opener.close()
            if stopped.why in ("cancelled", "handed back"):
                claims.give_back(self.store, claim)
            return StepResult(stopped.why, unit, wake=int(stopped.why == "handed back"))
        except NoSpaceError as error:
            reason = str(error)
            self._try_to_record(lambda: park(self.store, manifest.id, reason, "no_space"))
            self._try_to_record(lambda: claims.give_back(self.store, claim))
            return StepResult("no_space", unit, reason=reason)
        except OutOfMemoryError as error:
            self.opener.close()
            return self._failed(manifest, claim, str(error), "memory")
        except MemoryError:
            self.opener.close()
            return self._failed(
                manifest, claim, "This machine has too little memory; free some, then retry the job.", "memory"
            )
        except StudioError as error:
            return self._failed(manifest, claim, str(error), "failed")
        except Exception as error:  # an engine may raise anything; the worker survives it
            self.opener.close()
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            return replace(self._failed(manifest, claim, reason, "failed"), error=error)

    def _pace(self, job: str, unit: str) -> dict[str, float]:
        """Return the pace of earlier units of this kind, with which a unit's first beats estimate the time left."""
        pace = self._paces.get((job, kind_of(unit)))
        return {} if pace is None else {"pace": pace}

    def _note_pace(self, manifest: Manifest, unit: str, seconds: float) -> None:
        held = {key: pace for key, pace in self._paces.items() if key[0] == manifest.id}
        key, now = (manifest.id, kind_of(unit)), manifest.graph.units[unit].weight / max(seconds, 1e-3)
        self._paces = held | {key: SMOOTHED * held.get(key, now) + (1 - SMOOTHED) * now}

    def _made(self, manifest: Manifest, claim: Claim, heart: Heartbeat) -> dict[str, Any]:
        earlier = claims.failures(self.store, claim.job, claim.unit)
        small = any(each.kind == "memory" for each in earlier)
        opened = self.opener.open_job(manifest, small)
        if claim.unit == ASSEMBLE:
            return assemble_result(self.store, opened, claim, heart)
        if isinstance(opened, OpenClip):
            return clip_unit(self.store, opened, claim, heart)
        assert isinstance(opened, OpenFrames)
        kind, _, number = claim.unit.partition("-")
        do = follow_unit if kind == FOLLOW else render_unit
        return do(self.store, self.opener, opened, claim, int(number), heart)

    def _published(self, manifest: Manifest, claim: Claim, facts: dict[str, Any]) -> StepResult:
        frames = int(facts.get("frames", 0))
        if claim.unit == ASSEMBLE:
            self.board.forget(claim.job)
            delete_intermediate_files(self.store, claim.job)
            return StepResult("done", claim.unit, frames=frames)
        if not claims.publish_unit(self.store, claim, facts):
            log.warning("unit_too_late", job=claim.job, unit=claim.unit, claim=claim.number)
            return StepResult("lost", claim.unit)
        wake = self.board.unlocked(self.store, manifest, claim.unit)
        return StepResult("done", claim.unit, wake=len(wake), frames=frames)

    def _failed(self, manifest: Manifest, claim: Claim, reason: str, kind: str) -> StepResult:
        reason = reason.replace(PurePosixPath(manifest.driver_file).name, manifest.driver)  # as the sender named it
        if result(self.store, claim.job):  # another worker has finished the job meanwhile
            return StepResult("lost", claim.unit)
        self._try_to_record(lambda: claims.record_failure(self.store, claim, reason, kind))
        state = claims.read_unit_state(self.store, claim.job, claim.unit)
        return StepResult("failed", claim.unit, wake=int(not state.parked), reason=reason)

    def _try_to_record(self, tell: Callable[[], None]) -> None:
        """Call `tell` to record a failure; on a full disk this may fail too, and the claim then expires."""
        try:
            tell()
        except StudioError as error:
            log.warning("failure_not_recorded", why=str(error))


def may_go_on(store: Store, job: str) -> bool:
    """Whether a job may be worked on: wanted, not parked and not finished."""
    return read_wanted_state(store, job) == "run" and parked(store, job) is None and not result(store, job)


def _no_space() -> str:
    return f"Less than {MIN_FREE_BYTES >> 20} MB are free in the jobs folder; free some and the job continues."
