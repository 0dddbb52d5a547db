"""A job's units as a graph: what each is called, what it needs, and how much of the work it is."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from shared.errors import StudioError

NAME = re.compile(r"[a-z0-9-]{1,40}")  # what looks otherwise never becomes a name in the store
FOLLOW, RENDER, ASSEMBLE = "follow", "render", "assemble"
# Of a frame, by what drives, where drawing and encoding it is 1: as a light engine takes on a portrait.
FOLLOW_WEIGHTS = {"motion": 0.5, "voice": 0.05, "template": 0.05}
MAX_TITLE_CHARACTERS = 100
ASSEMBLE_WEIGHT = 0.02  # of all other units together


@dataclass(frozen=True, slots=True)
class UnitSpec:
    """A piece of a job that one worker does.

    name: 1 to 40 of a-z, 0-9 and -; its folder has it too. needs: the units that must be done before it. weight: its
    share of the work, in any measure that the job's other units have too. title: what people read, such as "window 2 of
    7 in step 3 of 50"; "" where the name says it.
    """

    name: str
    needs: tuple[str, ...] = ()
    weight: float = 1.0
    title: str = ""


class JobGraph:
    """All units of a job, `assemble` the last of them.

    units: by name, in the order they are best done; each comes after what it needs. shown: names of those that an
    operator sees as the job's segments: the drawn ones of a frame engine, all that a clip engine declares.
    """

    def __init__(self, units: Iterable[UnitSpec], shown: Iterable[str]) -> None:
        self.units = {unit.name: unit for unit in units}
        self.shown = tuple(shown)
        self.weight = sum(unit.weight for unit in self.units.values())

    def __iter__(self) -> Iterator[str]:
        return iter(self.units)

    def needs(self, name: str) -> tuple[str, ...]:
        """What must be done before a unit."""
        return self.units[name].needs

    def dependents(self, name: str) -> list[str]:
        """What may become ready when a unit is done."""
        return [unit.name for unit in self.units.values() if name in unit.needs]


def follow_name(index: int) -> str:
    """The unit that follows what moves the face through segment `index`, and the engine's state."""
    return f"{FOLLOW}-{index:05d}"


def render_name(index: int) -> str:
    """The unit that draws segment `index`."""
    return f"{RENDER}-{index:05d}"


def kind_of(name: str) -> str:
    """A unit's name without its numbers: the same for all units that do the same to other parts."""
    return re.sub(r"(-\d+)+$", "", name)


def segment_graph(ticks: Sequence[int], driven: str, *, chained: bool) -> JobGraph:
    """The default graph, of frame engines: each segment is followed and drawn, then all are assembled.

    ticks: in each segment. driven: by what. chained: drawing a segment needs the one before it.
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
    """The graph of a clip engine's units, whose last one makes the clip. They have passed `check_units`."""
    return JobGraph([*units, _assemble(units, (units[-1].name,))], [unit.name for unit in units])


def check_units(units: Sequence[UnitSpec]) -> None:
    """Raise StudioError, in one sentence, unless these can be the units of a clip engine."""
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
