"""A job's units as a graph: the name, needs and weight of each unit."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from shared.errors import StudioError

NAME = re.compile(r"[a-z0-9-]{1,40}")  # a unit's name, which also becomes a name in the store
FOLLOW, RENDER, ASSEMBLE = "follow", "render", "assemble"
# Weight of following one frame, by the kind of driver, relative to drawing and encoding it: measured with a light
# engine on a portrait.
FOLLOW_WEIGHTS = {"motion": 0.5, "voice": 0.05, "template": 0.05}
MAX_TITLE_CHARACTERS = 100
ASSEMBLE_WEIGHT = 0.02  # weight of the last unit as a share of all others together


@dataclass(frozen=True, slots=True)
class UnitSpec:
    """A piece of a job that one worker does.

    name: 1 to 40 of a-z, 0-9 and -, also the name of its folder. needs: names of the units that must be done before it.
    weight: amount of work, in any unit of measure that is the same for all of the job's units. title: text for people,
    such as "window 2 of 7 in step 3 of 50"; "" if the name is enough.
    """

    name: str
    needs: tuple[str, ...] = ()
    weight: float = 1.0
    title: str = ""


class JobGraph:
    """All units of a job, of which `assemble` is the last.

    units: by name, in the preferred order of execution; each unit comes after those that it needs. shown: names of the
    units that an operator sees as the job's segments: the render units of a frame engine, all units of a clip engine.
    """

    def __init__(self, units: Iterable[UnitSpec], shown: Iterable[str]) -> None:
        self.units = {unit.name: unit for unit in units}
        self.shown = tuple(shown)
        self.weight = sum(unit.weight for unit in self.units.values())

    def __iter__(self) -> Iterator[str]:
        return iter(self.units)

    def needs(self, name: str) -> tuple[str, ...]:
        """Return the names of the units that must be done before a unit."""
        return self.units[name].needs

    def dependents(self, name: str) -> list[str]:
        """Return the names of the units that need this unit."""
        return [unit.name for unit in self.units.values() if name in unit.needs]


def follow_name(index: int) -> str:
    """Return the name of the unit that computes the motion and the engine's state for segment `index`."""
    return f"{FOLLOW}-{index:05d}"


def render_name(index: int) -> str:
    """Return the name of the unit that draws segment `index`."""
    return f"{RENDER}-{index:05d}"


def kind_of(name: str) -> str:
    """Return a unit's name without its numbers, which is the same for all units with the same task."""
    return re.sub(r"(-\d+)+$", "", name)


def segment_graph(ticks: Sequence[int], driven: str, *, chained: bool) -> JobGraph:
    """Return the default graph of frame engines: each segment is followed and drawn, then all are assembled.

    ticks: number of ticks in each segment. driven: kind of driver. chained: whether drawing a segment needs the one
    before it.
    """
    units = []
    for index, count in enumerate(ticks):
        before = index - 1
        followed = (follow_name(before),) if index else ()
        drawn = (follow_name(index), *((render_name(before),) if index and chained else ()))
        units.append(UnitSpec(follow_name(index), followed, count * FOLLOW_WEIGHTS[driven]))
        units.append(UnitSpec(render_name(index), drawn, count))
    shown = [render_name(index) for index in range(len(ticks))]
    return JobGraph([*units, _assemble(units, tuple(shown))], shown)


def clip_graph(units: Sequence[UnitSpec]) -> JobGraph:
    """Return the graph of a clip engine's units, the last of which makes the clip. They must pass `check_units`."""
    return JobGraph([*units, _assemble(units, (units[-1].name,))], [unit.name for unit in units])


def check_units(units: Sequence[UnitSpec]) -> None:
    """Raise StudioError with one sentence unless these are valid units of a clip engine."""
    if not units:
        raise StudioError("An engine must declare at least one unit.")
    before: set[str] = set()
    for unit in units:
        if not NAME.fullmatch(unit.name) or unit.name == ASSEMBLE:
            raise StudioError(
                f"'{unit.name[:60]}' cannot name a unit: use 1 to 40 of a-z, 0-9 and '-', and not '{ASSEMBLE}'."
            )
        if len(unit.title) > MAX_TITLE_CHARACTERS:
            raise StudioError(
                f"The title of unit '{unit.name}' is too long; {MAX_TITLE_CHARACTERS} characters are enough."
            )
        if unit.name in before:
            raise StudioError(f"Two units are named '{unit.name}'; each needs a name of its own.")
        if missing := [need for need in unit.needs if need not in before]:
            raise StudioError(
                f"Unit '{unit.name}' needs '{missing[0][:60]}', which is not a unit before it; list the units in an "
                "order in which they can be done."
            )
        if not math.isfinite(unit.weight) or unit.weight <= 0:
            raise StudioError(f"Unit '{unit.name}' has the weight {unit.weight:g}; give one above 0.")
        before.add(unit.name)
    needed = {need for unit in units for need in unit.needs}
    if idle := [unit.name for unit in units[:-1] if unit.name not in needed]:
        raise StudioError(f"No unit needs '{idle[0]}'; only the last unit, which makes the clip, may end the graph.")


def _assemble(units: Iterable[UnitSpec], needs: tuple[str, ...]) -> UnitSpec:
    return UnitSpec(ASSEMBLE, needs, ASSEMBLE_WEIGHT * sum(unit.weight for unit in units))
