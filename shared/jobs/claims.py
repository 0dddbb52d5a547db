"""Units of work, and who may do them: claims that outlive clocks, Redis and frozen workers.

A claim is a numbered file made by exclusive creation; its number is the fencing token. Its holder rewrites it with a
rising beat. An observer that sees the same beat for LEASE_S of its own monotonic clock may declare it expired, and then
the next number can be claimed. A unit is done when `done.json` has been created, once and by one.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from shared.errors import StudioError
from shared.jobs.manifest import folder
from shared.jobs.records import MAX_CLAIMS, BeatRecord, DoneRecord, FailureRecord, numbered, read_record
from shared.jobs.store import Store

BEAT_S = 2.0
LEASE_S = 15.0  # a worker that does not beat for this long is taken for dead
ATTEMPTS = 3  # failures until a unit is left alone
DEATHS = 6  # claims whose worker died silently, until a unit is left alone


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to do a unit. unit: its name. number: the fencing token, higher than that of every earlier claim."""

    job: str
    unit: str
    number: int

    def file(self, suffix: str) -> str:
        """A name in the store that no other claim uses."""
        return f"{_place(self.job, self.unit)}/{self.number:04d}{suffix}"


@dataclass(frozen=True, slots=True)
class UnitState:
    """What a unit's folder says.

    claim: the highest number, 0 before the first. open: that claim's holder may still be at it. failures: attempts that
    ended with a reason. deaths: claims that ended without one. parked: not to be tried again before it is declared so.
    """

    claim: int
    open: bool
    failures: int
    deaths: int
    parked: bool
    done: bool


def _place(job: str, unit: str) -> str:
    return f"{folder(job)}/units/{unit}"


def read_unit_state(store: Store, job: str, unit: str) -> UnitState:
    """A unit's state, by one listing."""
    names = store.list(_place(job, unit))
    of = numbered(names)
    highest = max(of["claim"], default=0)
    ended = of["failed"] | of["returned"]
    failed, deaths = len(of["failed"]), len(of["claim"] - ended - {highest})
    return UnitState(
        claim=highest,
        open=highest > 0 and highest not in ended,
        failures=failed,
        deaths=deaths,
        parked="parked.json" in names or failed >= ATTEMPTS or deaths >= DEATHS or highest >= MAX_CLAIMS,
        done="done.json" in names,
    )


def claim_unit(
    store: Store, job: str, unit: str, seen: UnitState, worker: str, facts: Mapping[str, Any] = MappingProxyType({})
) -> Claim | None:
    """Take a unit that no worker is at, or whose holder has expired.

    facts: of the first beat, such as `pace`. None where another was faster.
    """
    number = seen.claim + 1
    made = store.create(f"{_place(job, unit)}/claim-{number:04d}.json", _beat(0, worker, facts))
    return Claim(job, unit, number) if made else None


def write_beat(store: Store, held: Claim, number: int, worker: str, facts: dict[str, Any]) -> bool:
    """Record that the holder is alive, with its facts; False where another holds the claim by now."""
    if not is_claim_held(store, held):
        return False
    store.write(f"{_place(held.job, held.unit)}/claim-{held.number:04d}.json", _beat(number, worker, facts))
    return True


def is_claim_held(store: Store, held: Claim) -> bool:
    """Whether this is still the highest claim and the job is there."""
    return read_unit_state(store, held.job, held.unit).claim == held.number


def read_beat(store: Store, job: str, unit: str, number: int) -> BeatRecord | None:
    """What a claim's holder said last; None where it is gone or damaged."""
    return read_record(store, f"{_place(job, unit)}/claim-{number:04d}.json", BeatRecord)


def give_back(store: Store, held: Claim) -> None:
    """The unit is free again, without a failed attempt."""
    store.create(f"{_place(held.job, held.unit)}/returned-{held.number:04d}.json", b"{}")


def record_failure(store: Store, held: Claim, reason: str, kind: str) -> None:
    """The attempt ended with a reason. kind: failed, or memory; that is tried once more, with less."""
    earlier = failures(store, held.job, held.unit)
    content = json.dumps({"reason": reason, "kind": kind}).encode()
    place = _place(held.job, held.unit)
    store.create(f"{place}/failed-{held.number:04d}.json", content)
    if kind == "memory" and any(each.kind == "memory" for each in earlier):
        store.create(f"{place}/parked.json", content)


def failures(store: Store, job: str, unit: str) -> list[FailureRecord]:
    """Reason and kind of each failed attempt, oldest first; without a reason where its file is damaged."""
    place = _place(job, unit)
    found = sorted(numbered(store.list(place))["failed"])
    return [
        read_record(store, f"{place}/failed-{number:04d}.json", FailureRecord) or FailureRecord() for number in found
    ]


def publish_unit(store: Store, held: Claim, facts: dict[str, Any]) -> bool:
    """Record the unit as done by this claim; False where the claim is another's by now, or another was first.

    What was made lies under names of this claim alone, so a late one overwrites nothing.
    """
    if not is_claim_held(store, held):
        return False
    content = json.dumps({"claim": held.number, **facts}).encode()
    return store.create(f"{_place(held.job, held.unit)}/done.json", content)


def completion_record(store: Store, job: str, unit: str) -> DoneRecord:
    """What was recorded when the unit was done. Raises StudioError where it is not done, or the record is damaged."""
    name = f"{_place(job, unit)}/done.json"
    found = read_record(store, name, DoneRecord)
    if found is None and is_done_damaged(store, job, unit):
        raise StudioError(f"The record of {unit} is damaged on the disk; `studio jobs retry {job}` makes it again.")
    if found is None:
        raise StudioError(f"{unit} of job {job} is not done yet.")
    return found


def is_done_damaged(store: Store, job: str, unit: str) -> bool:
    """Whether a unit is marked as done by a file that does not say what was made."""
    name = f"{_place(job, unit)}/done.json"
    return store.read(name) is not None and read_record(store, name, DoneRecord) is None


def forget_done(store: Store, job: str, unit: str) -> None:
    """Have a unit made again whose record is damaged. The claims stay: their numbers must not be given out twice."""
    _end_claims(store, job, unit, read_unit_state(store, job, unit).claim)
    store.remove(f"{_place(job, unit)}/done.json")


def made_file_name(store: Store, job: str, unit: str, suffix: str) -> str:
    """The name in the store of what a unit that is done has made."""
    return Claim(job, unit, completion_record(store, job, unit).claim).file(suffix)


def forget_failures(store: Store, job: str, unit: str) -> None:
    """Try again what was tried too often; what is done stays done."""
    state = read_unit_state(store, job, unit)
    if state.done or not state.parked:
        return
    place = _place(job, unit)
    # The claims stay: their numbers must not be given out twice. An open one among the dead is ended as handed back.
    _end_claims(store, job, unit, state.claim)
    for number in numbered(store.list(place))["failed"]:
        store.remove(f"{place}/failed-{number:04d}.json")
    store.remove(f"{place}/parked.json")


def _end_claims(store: Store, job: str, unit: str, highest: int) -> None:
    for number in range(1, highest + 1):
        store.create(f"{_place(job, unit)}/returned-{number:04d}.json", b"{}")


def _beat(number: int, worker: str, facts: Mapping[str, Any]) -> bytes:
    return json.dumps({"beat": number, "worker": worker, **facts}).encode()
