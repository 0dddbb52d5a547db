"""Which units of a job can be run now, and who runs which."""

from collections.abc import Collection
from dataclasses import dataclass, field

from shared.jobs.claims import UnitState, read_unit_state
from shared.jobs.manifest import Manifest, folder
from shared.jobs.progress import UNTOUCHED
from shared.jobs.store import Store

Expired = Collection[tuple[str, int]]  # unit name and the number of the claim that was seen to stand still


@dataclass(frozen=True, slots=True)
class Survey:
    """Units of a job by name.

    ready: those that may be claimed, best first, with their state. open: those being worked on, with the number of the
    claim.
    """

    ready: list[tuple[str, UnitState]]
    open: list[tuple[str, int]]


@dataclass(slots=True)
class JobSurveyor:
    """Surveys jobs; remembers which units are done, which never changes, so that a long job costs little to look at."""

    _done: dict[str, set[str]] = field(default_factory=dict)

    def survey(self, store: Store, manifest: Manifest, expired: Expired = ()) -> Survey:
        """How a job's units stand. Parked ones are neither ready nor open."""
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
            self._done[manifest.id] = set()  # a retry may take back what a damaged record said is done
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
        """The units that can be done now because this one was."""
        waiting = manifest.graph.dependents(unit)
        return [each for each, _ in self.survey(store, manifest).ready if each in waiting]

    def forget(self, job: str) -> None:
        """A job has ended."""
        self._done.pop(job, None)
