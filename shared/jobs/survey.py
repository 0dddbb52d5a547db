"""Surveys of a job: the units that can be claimed now, and those that are being worked on."""

from collections.abc import Collection
from dataclasses import dataclass, field

from shared.jobs.claims import UnitState, read_unit_state
from shared.jobs.manifest import Manifest, folder
from shared.jobs.progress import UNTOUCHED
from shared.jobs.store import Store

Expired = Collection[tuple[str, int]]  # unit name and number of each claim whose beat has stopped


@dataclass(frozen=True, slots=True)
class Survey:
    """Result of a survey.

    ready: names of the units that may be claimed, in preferred order, with their state. open: names of the units that
    are being worked on, with the number of the claim.
    """

    ready: list[tuple[str, UnitState]]
    open: list[tuple[str, int]]


@dataclass(slots=True)
class JobSurveyor:
    """Surveys jobs. Remembers which units are done, so that surveys of a long job stay cheap."""

    _done: dict[str, set[str]] = field(default_factory=dict)

    def survey(self, store: Store, manifest: Manifest, expired: Expired = ()) -> Survey:
        """Return the units that are ready or open. Parked units are neither, unless a worker still holds them."""
        done = self._done.setdefault(manifest.id, set())
        begun = set(store.list(f"{folder(manifest.id)}/units"))
        states: dict[str, UnitState] = {}
        for unit in manifest.graph:
            if unit in done:
                continue
            state = read_unit_state(store, manifest.id, unit) if unit in begun else UNTOUCHED
            if state.done:
                done.add(unit)
            else:
                states[unit] = state
        if any(state.parked for state in states.values()):
            self._done[manifest.id] = set()  # a retry may reset units that counted as done by a damaged record
        survey = Survey([], [])
        for unit, state in states.items():
            free = not state.open or (unit, state.claim) in expired
            if state.parked and free:
                continue
            if not free:
                survey.open.append((unit, state.claim))
            elif all(need in done for need in manifest.graph.needs(unit)):
                survey.ready.append((unit, state))
        return survey

    def unlocked(self, store: Store, manifest: Manifest, unit: str) -> list[str]:
        """Return the units that need this unit and are ready now."""
        waiting = manifest.graph.dependents(unit)
        return [each for each, _ in self.survey(store, manifest).ready if each in waiting]

    def forget(self, job: str) -> None:
        """Discard what is remembered of a job that has ended."""
        self._done.pop(job, None)
