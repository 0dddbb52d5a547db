"""Rules on the units of a clip engine: their graph, the clip that they make, and cancellation."""

import hashlib
from pathlib import Path

from engines.clip import CLIP_FILE
from persona_studio.engine.testing.clip_subject import RATE_FPS, Asked, ClipSubject, UnitRun
from persona_studio.engine.testing.subject import BODY_FRAMES, BrokenRuleError, require
from shared.errors import StudioError
from shared.jobs.graph import check_units
from shared.media.reader import VideoReader

LENGTH_SLACK_S = 1.0  # the studio's own tolerance, because models make frames in blocks


def it_is_offline(subject: ClipSubject) -> None:
    """A clip engine runs offline only, and does not declare that it holds frames back."""
    require(subject.info.modes == {"offline"}, f"Its modes are {set(subject.info.modes)}, not offline alone.")
    require(subject.info.output == "frame", f"Its output is '{subject.info.output}'; a clip's frames are whole.")


def units_are_a_graph(subject: ClipSubject) -> None:
    """The units' names and needs are valid, and the same however often they are asked for."""
    units = list(subject.units())
    try:
        check_units(units)
    except StudioError as error:
        raise BrokenRuleError(str(error)) from None
    require(list(subject.make().units(subject.clip)) == units, "It declares different units when it is asked again.")


def a_clip_is_made(subject: ClipSubject) -> None:
    """The units, each run by a new engine with only the files that it needs, make a clip of the driver's length.

    They report valid progress.
    """
    work = UnitRun(subject)
    with VideoReader(work.whole(subject.units())) as video:
        times = [pts for pts, _ in video]
    require(times, f"Its {CLIP_FILE} has no frames.")
    seconds, wanted = times[-1] / 1e6, BODY_FRAMES / RATE_FPS
    require(abs(seconds - wanted) <= LENGTH_SLACK_S, f"It makes {seconds:.1f} seconds instead of {wanted:.1f}.")
    for name, steps in work.steps.items():
        require(all(0 <= done <= total for done, total in steps), f"The progress of unit {name} is {steps[:6]}.")


def a_unit_may_begin_again(subject: ClipSubject) -> None:
    """A unit that was stopped can be run again by the same engine, and leaves the files of earlier units unchanged."""
    units, work = subject.units(), UnitRun(subject)
    engine = subject.make()
    for unit in units:
        before = {name: _hashes(folder) for name, folder in work.folders.items()}
        try:
            work.do(unit, engine, stops=True)
        except Asked:
            work.do(unit, engine)
        changed = [name for name, kept in before.items() if _hashes(work.folders[name]) != kept]
        require(not changed, f"Unit {unit.name} changes the files of {', '.join(changed)}, which it may only read.")
    require((work.folders[units[-1].name] / CLIP_FILE).is_file(), f"Run again, its last unit writes no {CLIP_FILE}.")


def units_stop_when_asked(subject: ClipSubject) -> None:
    """Every unit reports progress or calls raise_if_cancelled, and does not catch the exception that stops it."""
    units, work = subject.units(), UnitRun(subject)
    for unit in units:
        try:
            work.do(unit, subject.make(), stops=True)
        except Asked:
            work.do(unit, subject.make())
        else:
            raise BrokenRuleError(
                f"Unit {unit.name} neither reports progress nor calls raise_if_cancelled, or it catches the exception "
                "that stops it."
            )


def _hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
