"""What of a job can be done now, and who is at what."""

from collections.abc import Collection
from dataclasses import dataclass, field

from shared.jobs.claims import ASSEMBLE, Unit, UnitState, needs, read_unit_state, units
from shared.jobs.manifest import Manifest, folder
from shared.jobs.store import Store

BLANK = UnitState(claim=0, open=False, failures=0, deaths=0, parked=False, done=False)
Expired = Collection[tuple[str, int]]  # unit name and the number of the claim that was seen to stand still


@dataclass(frozen=True, slots=True)
class Survey:
    """ready: units that may be claimed, best first, with their state. open: units that somebody is at, with the number of
    the claim."""

    ready: list[tuple[Unit, UnitState]]
    open: list[tuple[Unit, int]]


@dataclass(slots=True)
class JobSurveyor:
    """Surveys jobs; remembers which units are done, which never changes, so that a long job costs little to look at."""

    _done: dict[str, set[Unit]] = field(default_factory=dict)

    def survey(self, store: Store, manifest: Manifest, expired: Expired = ()) -> Survey:
        """How a job's units stand. Parked ones are neither ready nor open."""
        done = self._done.setdefault(manifest.id, set())
        begun = set(store.list(f"{folder(manifest.id)}/units"))
        states: dict[Unit, UnitState] = {}
        for unit in units(manifest.plan):
            if unit in done:
                continue
            state = read_unit_state(store, manifest.id, unit) if unit.name in begun else BLANK
            if state.done:
                done.add(unit)
            else:
                states[unit] = state
        survey = Survey([], [])
        for unit, state in states.items():
            free = not state.open or (unit.name, state.claim) in expired
            if state.parked and free:
                continue
            if not free:
                survey.open.append((unit, state.claim))
            elif all(need in done for need in needs(unit, manifest)):
                survey.ready.append((unit, state))
        return survey

    def unlocked(self, store: Store, manifest: Manifest, unit: Unit) -> list[Unit]:
        """The units that can be done now because this one was."""
        waiting = dependents(unit, manifest)
        return [each for each, _ in self.survey(store, manifest).ready if each in waiting]

    def forget(self, job: str) -> None:
        """A job has ended."""
        self._done.pop(job, None)


def dependents(unit: Unit, manifest: Manifest) -> list[Unit]:
    """What may become ready when a unit is done."""
    after = [Unit(unit.kind, unit.index + 1)] if unit.index + 1 < manifest.plan.segments else []
    if unit.kind == "follow":
        return [Unit("render", unit.index), *after]
    if unit.kind == "render":
        return [*(after if manifest.plan.chained else []), Unit(ASSEMBLE)]
    return []
