"""Progress of a job: the state and reported steps of each unit, and the share of the whole job that is done."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.jobs.claims import UnitState, read_beat, read_unit_state
from shared.jobs.graph import JobGraph
from shared.jobs.manifest import Manifest, folder
from shared.jobs.store import Store

UNTOUCHED = UnitState(claim=0, open=False, failures=0, deaths=0, parked=False, done=False)
SETTLED = UnitState(claim=1, open=True, failures=0, deaths=0, parked=False, done=True)  # done; its folder was not read


@dataclass(frozen=True, slots=True)
class UnitProgress:
    """Progress of a unit, from its folder and its claim's last beat.

    done, total: steps as the unit counts them; both 0 while no worker is at work on it. rate: steps per second. pace:
    weight per second of its worker's last unit of this kind, an estimate until the unit reports steps.
    """

    state: UnitState = UNTOUCHED
    done: int = 0
    total: int = 0
    rate: float = 0.0
    pace: float = 0.0

    @property
    def settled(self) -> bool:
        """Whether the unit is known to be done because a unit that needs it is done."""
        return self.state is SETTLED

    @property
    def at_work(self) -> bool:
        """Whether a worker is at work on the unit."""
        return self.state.open and not self.state.done and not self.state.parked

    @property
    def share(self) -> float:
        """Share of the unit that is done, 0 to 1."""
        if self.state.done:
            return 1.0
        return min(1.0, max(0.0, self.done / self.total)) if self.total > 0 else 0.0

    @property
    def share_rate(self) -> float:
        """Increase of `share` per second."""
        return self.rate / self.total if self.at_work and self.total > 0 else 0.0


UNBEGUN = UnitProgress()


@dataclass(frozen=True, slots=True)
class JobProgress:
    """Progress of a job. units: progress of the units that have been begun, by name."""

    graph: JobGraph
    units: Mapping[str, UnitProgress]

    def __getitem__(self, name: str) -> UnitProgress:
        return self.units.get(name, UNBEGUN)

    @property
    def at_work(self) -> bool:
        """Whether any worker is at work on the job."""
        return any(unit.at_work for unit in self.units.values())

    @property
    def share(self) -> float:
        """Share of the job that is done, 0 to 1, by the weights of the units."""
        return sum(self.graph.units[name].weight * each.share for name, each in self.units.items()) / self.graph.weight

    @property
    def share_rate(self) -> float:
        """Increase of `share` per second by all workers together."""
        at_work = [(name, each) for name, each in self.units.items() if each.at_work]
        weighed = (self.graph.units[name].weight * each.share_rate or each.pace for name, each in at_work)
        return sum(weighed) / self.graph.weight


def read_progress(store: Store, manifest: Manifest) -> JobProgress:
    """Return a job's progress, which takes one listing for each unit that has been begun.

    Units whose dependents are done are not listed if they are a clip engine's, of which there may be tens of thousands,
    or units of a frame engine that are not shown. Raises StudioError if the store cannot be read.
    """
    graph, job = manifest.graph, manifest.id
    begun = set(store.list(f"{folder(job)}/units"))
    shown = frozenset[str]() if manifest.units else frozenset(graph.shown)
    settled: set[str] = set()  # units that must be done, because a unit that needs them is
    units = {}
    for name in reversed(list(graph)):
        if name in settled and name not in shown:
            units[name] = UnitProgress(SETTLED)
        elif name in begun:
            units[name] = _read_unit(store, job, name)
        if name in units and units[name].state.done:
            settled.update(graph.needs(name))
    return JobProgress(graph, units)


def _read_unit(store: Store, job: str, name: str) -> UnitProgress:
    state = read_unit_state(store, job, name)
    if state.done or not state.open:
        return UnitProgress(state)
    beat = read_beat(store, job, name, state.claim)
    return UnitProgress(state, beat.done, beat.total, beat.fps, beat.pace) if beat else UnitProgress(state)
