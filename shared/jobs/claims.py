"""Claims on units of work, which depend neither on synchronised clocks nor on Redis, and survive frozen workers.

A claim is a numbered file made by exclusive creation; its number is the fencing token. The holder rewrites the file
with a rising beat. An observer that sees the same beat for LEASE_S of its own monotonic clock may declare the claim
expired, and then the next number can be claimed. A unit is done when `done.json` has been created, which exactly one
claim can do.
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
LEASE_S = 15.0  # a worker that does not beat for this long counts as dead
ATTEMPTS = 3  # failures after which a unit is parked
DEATHS = 6  # claims whose worker died silently after which a unit is parked


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
    """State of a unit, read from its folder.

    claim: highest claim number, 0 before the first. open: whether that claim's holder may still be working. failures:
    number of attempts that failed with a reason. deaths: number of claims that ended without one. parked: whether the
    unit must not be tried again until an operator retries it. done: whether the unit is done.
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
    """Return a unit's state, which takes one listing of its folder."""
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
    """Claim a unit that no worker holds or whose claim has expired; return None if another worker was faster.

    seen: the unit's state. facts: for the first beat, such as `pace`.
    """
    number = seen.claim + 1
    made = store.create(f"{_place(job, unit)}/claim-{number:04d}.json", _beat(0, worker, facts))
    return Claim(job, unit, number) if made else None


def write_beat(store: Store, held: Claim, number: int, worker: str, facts: dict[str, Any]) -> bool:
    """Record that the holder is alive, with its facts; return False if the unit has been claimed by another since."""
    if not is_claim_held(store, held):
        return False
    store.write(f"{_place(held.job, held.unit)}/claim-{held.number:04d}.json", _beat(number, worker, facts))
    return True


def is_claim_held(store: Store, held: Claim) -> bool:
    """Whether this is still the highest claim on the unit; False also if the job was deleted."""
    return read_unit_state(store, held.job, held.unit).claim == held.number


def read_beat(store: Store, job: str, unit: str, number: int) -> BeatRecord | None:
    """Return the last beat of a claim's holder; None if its file is gone or damaged."""
    return read_record(store, f"{_place(job, unit)}/claim-{number:04d}.json", BeatRecord)


def give_back(store: Store, held: Claim) -> None:
    """Release the unit without counting a failed attempt."""
    store.create(f"{_place(held.job, held.unit)}/returned-{held.number:04d}.json", b"{}")


def record_failure(store: Store, held: Claim, reason: str, kind: str) -> None:
    """Record a failed attempt. kind: failed, or memory, after which the unit is tried once more with less memory."""
    earlier = failures(store, held.job, held.unit)
    content = json.dumps({"reason": reason, "kind": kind}).encode()
    place = _place(held.job, held.unit)
    store.create(f"{place}/failed-{held.number:04d}.json", content)
    if kind == "memory" and any(each.kind == "memory" for each in earlier):
        store.create(f"{place}/parked.json", content)


def failures(store: Store, job: str, unit: str) -> list[FailureRecord]:
    """Return the failed attempts, oldest first; one whose file is damaged has no reason."""
    place = _place(job, unit)
    found = sorted(numbered(store.list(place))["failed"])
    return [
        read_record(store, f"{place}/failed-{number:04d}.json", FailureRecord) or FailureRecord() for number in found
    ]


def publish_unit(store: Store, held: Claim, facts: dict[str, Any]) -> bool:
    """Record the unit as done by this claim; return False if there is a newer claim or the unit is already done.

    The unit's files have names that belong to this claim alone, so a late worker overwrites nothing.
    """
    if not is_claim_held(store, held):
        return False
    content = json.dumps({"claim": held.number, **facts}).encode()
    return store.create(f"{_place(held.job, held.unit)}/done.json", content)


def completion_record(store: Store, job: str, unit: str) -> DoneRecord:
    """Return the record of a unit that is done. Raises StudioError if it is not done or the record is damaged."""
    name = f"{_place(job, unit)}/done.json"
    found = read_record(store, name, DoneRecord)
    if found is None and is_done_damaged(store, job, unit):
        raise StudioError(f"The record of {unit} is damaged; `studio jobs retry {job}` does the unit again.")
    if found is None:
        raise StudioError(f"{unit} of job {job} is not done yet.")
    return found


def is_done_damaged(store: Store, job: str, unit: str) -> bool:
    """Whether a unit is marked as done by a record that cannot be read."""
    name = f"{_place(job, unit)}/done.json"
    return store.read(name) is not None and read_record(store, name, DoneRecord) is None


def forget_done(store: Store, job: str, unit: str) -> None:
    """Reset a unit whose record is damaged, to have it done again. Claims stay: numbers must not be assigned twice."""
    _end_claims(store, job, unit, read_unit_state(store, job, unit).claim)
    store.remove(f"{_place(job, unit)}/done.json")


def made_file_name(store: Store, job: str, unit: str, suffix: str) -> str:
    """Return the name in the store of a file that a unit that is done has made. Raises like `completion_record`."""
    return Claim(job, unit, completion_record(store, job, unit).claim).file(suffix)


def forget_failures(store: Store, job: str, unit: str) -> None:
    """Make a parked unit available again; does nothing for a unit that is done or not parked."""
    state = read_unit_state(store, job, unit)
    if state.done or not state.parked:
        return
    place = _place(job, unit)
    # Claims stay: their numbers must not be assigned twice. Those without an end are marked as returned.
    _end_claims(store, job, unit, state.claim)
    for number in numbered(store.list(place))["failed"]:
        store.remove(f"{place}/failed-{number:04d}.json")
    store.remove(f"{place}/parked.json")


def _end_claims(store: Store, job: str, unit: str, highest: int) -> None:
    for number in range(1, highest + 1):
        store.create(f"{_place(job, unit)}/returned-{number:04d}.json", b"{}")


def _beat(number: int, worker: str, facts: Mapping[str, Any]) -> bytes:
    return json.dumps({"beat": number, "worker": worker, **facts}).encode()
