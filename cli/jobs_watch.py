"""Watching a job on the terminal, until it ends."""

import json
import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from shared.jobs.manifest import folder, read_job_manifest
from shared.jobs.staff import UNFINISHED
from shared.jobs.status import status
from shared.jobs.store import Store
from shared.jobs.view import JobView

SIGNS = {
    "queued": "○", "rendering": "●", "assembling": "◐", "done": "✓", "paused": "‖", "cancelled": "⊘", "parked": "✕",
}  # fmt: skip
STRIP = str.maketrans({"d": "█", "r": "▄", "w": "▁", "f": "✕"})
CELLS = 30
LOOK_S = 0.5
WAIT_S = 4.0  # for a worker, before the reason is shown why none comes: the studio's own takes a moment to start
# How `watch` and `submit --wait` end: parked and cancelled are told from an error of the command, which is 1.
ENDED = {"done": 0, "parked": 3, "cancelled": 4}


def place(store: Store, found: JobView) -> str:
    """Path of a finished job's file; "" before that."""
    if found.state != "done":
        return ""
    return read_job_manifest(store, found.id).out or f"{store.url}/{folder(found.id)}/{found.result}"


def time_left(seconds: float | None) -> str:
    """m:ss, or h:mm:ss from an hour on; nothing where it is not known."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def pace(found: JobView) -> str:
    """Frames a second, or how far its units are, and the time that is left, while it continues."""
    words = [f"{found.fps:.1f} fps" if found.fps else found.steps, time_left(found.eta)]
    return " · ".join(word for word in words if word) if found.state == "rendering" else ""


def watch_job(
    store: Store,
    job: str,
    console: Console,
    as_json: bool,
    explained: Callable[[JobView], JobView] = lambda view: view,
    tend: Callable[[], None] = lambda: None,
) -> int:
    """Report the progress of a job until it is done, parked or cancelled; returns the exit code that says which.

    as_json: one object a line, whenever something has changed. explained: gives a view the reason why it waits. tend:
    called at each look, to see to it that a worker is there. Raises StudioError when the job is removed meanwhile.
    """

    def look() -> JobView:
        return explained(status(store, job))

    last = _lines(look, tend) if as_json else _bar(look, console, tend)
    if not as_json:
        console.print(sentence(store, last), markup=False, highlight=False, soft_wrap=True)
    return ENDED[last.state]


def sentence(store: Store, found: JobView) -> str:
    """How a job has ended."""
    if found.state == "done":
        return f"Job {found.id} is done: {place(store, found)}"
    if found.state == "parked":
        return f"Job {found.id} is parked: {found.reason} `studio jobs retry {found.id}` tries what failed again."
    return f"Job {found.id} is {found.state}."


def _lines(look: Callable[[], JobView], tend: Callable[[], None]) -> JobView:
    told = ""
    while True:
        found = look()
        text = json.dumps(found.as_json())
        if text != told:
            print(text, flush=True)
            told = text
        if found.state in ENDED:
            return found
        tend()
        time.sleep(LOOK_S)


def _bar(look: Callable[[], JobView], console: Console, tend: Callable[[], None]) -> JobView:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[pace]}"),
        TextColumn("{task.fields[strip]}", style="dim"),
    )
    word = why = ""
    since = time.monotonic()  # when it was last not waiting for a worker
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=100.0, pace="", strip="")
        while True:
            found = look()
            if found.state not in UNFINISHED or not found.reason:
                since, why = time.monotonic(), ""
            elif found.reason != why and time.monotonic() - since >= WAIT_S:
                why = found.reason
                console.print(why, markup=False, highlight=False, soft_wrap=True)
            line = found.strip(CELLS).translate(STRIP)
            description = f"{SIGNS[found.state]} {found.state}"
            bar.update(task, description=description, completed=found.percent, pace=pace(found), strip=line)
            if word != description and not console.is_terminal:
                console.print(f"{description} {found.percent:.0f} %", highlight=False)
            word = description
            if found.state in ENDED:
                return found
            tend()
            time.sleep(LOOK_S)
