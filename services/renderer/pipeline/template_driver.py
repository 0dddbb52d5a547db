"""A motion template as a driver: the frame that each tick plays."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from engines.api import Driving, Engine, MotionTemplate, PlaysTemplates
from shared.runtime.clock import tick_pts


def read_template(engine: Engine, path: Path) -> MotionTemplate:
    """The template of an engine that plays any. Raises StudioError for a file that is not one."""
    assert isinstance(engine, PlaysTemplates), f"{engine.spec.name} says that it plays templates"
    return engine.read_template(path)


def played(template: MotionTemplate, rate: Fraction, start: int, stop: int) -> Iterator[Driving]:
    """Each tick from `start` to before `stop`, with the last frame that is not more than half a tick later: where the
    render has another rate than the template, frames are shown twice or left out, as a video's are."""
    for tick in range(start, stop):
        number = min(int((2 * tick + 1) * template.rate / (2 * rate)), len(template) - 1)
        yield Driving(tick_pts(tick, rate), None, None, recorded=template[number])
