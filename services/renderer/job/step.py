"""One step of a job: claim a unit that is ready, do it, publish it. Messages say when; what is true stands on disk."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import structlog

from services.renderer.job.assemble_unit import clean, finish
from services.renderer.job.heartbeat import Heart, Stopped
from services.renderer.job.open_job import Opener
from services.renderer.job.units import follow, render
from shared.errors import NoSpaceError, OutOfMemoryError, StudioError
from shared.jobs import claims
from shared.jobs.claims import ASSEMBLE, Claim
from shared.jobs.manifest import Manifest, read_manifest
from shared.jobs.status import park, parked, result, wanted
from shared.jobs.store import Store
from shared.jobs.survey import Board, Expired

log = structlog.get_logger()

ROOM = 64 << 20  # free bytes below which no unit is begun
DO = {"follow": follow, "render": render, ASSEMBLE: finish}
Outcome = Literal["done", "failed", "handed back", "lost", "cancelled", "gone", "no_space", "nothing"]


@dataclass(frozen=True, slots=True)
class Step:
    """What came of an attempt to get on with a job. unit: "" where there was nothing to do. wake: how many units can be
    claimed now that could not, or not any more, before. frames: that were made."""

    outcome: Outcome
    unit: str = ""
    wake: int = 0
    reason: str = ""
    frames: int = 0


NOTHING = Step("nothing")


@dataclass(slots=True)
class Worker:
    """Does units, one at a time. name: of the worker in claims. leaving, die: see `Heart`."""

    store: Store
    opener: Opener
    name: str
    leaving: Callable[[], bool] = lambda: False
    die: Callable[[], None] | None = None
    board: Board = field(default_factory=Board)

    def advance(self, job: str, expired: Expired = ()) -> Step:
        """Get on with a job by one unit. expired: claims that were seen to stand still for LEASE_S. Never raises for
        what a job does wrong."""
        try:
            manifest = read_manifest(self.store, job)
            if not may_go_on(self.store, job):
                return NOTHING
            claim = self._claim(manifest, expired)
        except StudioError as error:
            return Step("nothing", reason=str(error))
        return self._do(manifest, claim) if claim is not None else NOTHING

    def _claim(self, manifest: Manifest, expired: Expired) -> Claim | None:
        room = self.store.room()
        ready = self.board.survey(self.store, manifest, expired).ready
        if ready and room is not None and room < ROOM:
            park(self.store, manifest.id, _no_space(), "no_space")
            return None
        for unit, state in ready:
            claim = claims.claim(self.store, manifest.id, unit, state, self.name)
            if claim is not None:
                return claim
        return None

    def _do(self, manifest: Manifest, claim: Claim) -> Step:
        unit = claim.unit.name
        try:
            with Heart(self.store, claim, self.name, self.leaving, self.die) as heart:
                facts = self._made(manifest, claim, heart)
            return self._published(manifest, claim, facts)
        except Stopped as stopped:
            if stopped.why in ("cancelled", "gone"):
                self.opener.close()
            if stopped.why in ("cancelled", "handed back"):
                claims.give_back(self.store, claim)
            return Step(stopped.why, unit, wake=int(stopped.why == "handed back"))
        except NoSpaceError as error:
            reason = str(error)
            self._told(lambda: park(self.store, manifest.id, reason, "no_space"))
            self._told(lambda: claims.give_back(self.store, claim))
            return Step("no_space", unit, reason=reason)
        except OutOfMemoryError as error:
            self.opener.close()
            return self._failed(claim, str(error), "memory")
        except MemoryError:
            self.opener.close()
            return self._failed(claim, "This machine has too little memory.", "memory")
        except StudioError as error:
            return self._failed(claim, str(error), "failed")
        except Exception as error:  # an engine may fail at anything; the worker lives on
            log.exception("a unit failed", job=claim.job, unit=unit)
            self.opener.close()
            return self._failed(claim, f"{type(error).__name__}: {str(error)[:300]}", "failed")

    def _made(self, manifest: Manifest, claim: Claim, heart: Heart) -> dict[str, Any]:
        earlier = claims.failures(self.store, claim.job, claim.unit)
        small = any(each.get("kind") == "memory" for each in earlier)
        opened = self.opener.open(manifest, small)
        return DO[claim.unit.kind](self.store, self.opener, opened, claim, heart)

    def _published(self, manifest: Manifest, claim: Claim, facts: dict[str, Any]) -> Step:
        frames = int(facts.get("frames", 0))
        if claim.unit.kind == ASSEMBLE:
            self.board.forget(claim.job)
            clean(self.store, claim.job)
            return Step("done", claim.unit.name, frames=frames)
        if not claims.publish(self.store, claim, facts):
            log.warning("too late", job=claim.job, unit=claim.unit.name, claim=claim.number)
            return Step("lost", claim.unit.name)
        wake = self.board.unlocked(self.store, manifest, claim.unit)
        return Step("done", claim.unit.name, wake=len(wake), frames=frames)

    def _failed(self, claim: Claim, reason: str, kind: str) -> Step:
        if result(self.store, claim.job):  # another has finished it in the meantime
            return Step("lost", claim.unit.name)
        self._told(lambda: claims.fail(self.store, claim, reason, kind))
        state = claims.look(self.store, claim.job, claim.unit)
        return Step("failed", claim.unit.name, wake=int(not state.parked), reason=reason)

    def _told(self, tell: Callable[[], None]) -> None:
        """On a full disk even a failure may not be written; the claim then expires."""
        try:
            tell()
        except StudioError as error:
            log.warning("the jobs folder cannot be written", why=str(error))


def may_go_on(store: Store, job: str) -> bool:
    """Whether a job is to be worked at."""
    return wanted(store, job) == "run" and parked(store, job) is None and not result(store, job)


def _no_space() -> str:
    return f"Less than {ROOM >> 20} MB are free in the jobs folder; free some and the job goes on."
