"""Follow a job on the terminal until it ends."""

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
WAIT_S = 4.0  # time to wait for a worker before printing why there is none: the studio's own takes a moment to start
# Exit codes of `watch` and `submit --wait`; an error of the command itself is 1.
ENDED = {"done": 0, "parked": 3, "cancelled": 4}


def place(store: Store, found: JobView) -> str:
    """Return the path of a finished job's output file, "" for a job that is not done."""
    if found.state != "done":
        return ""
    return read_job_manifest(store, found.id).out or f"{store.url}/{folder(found.id)}/{found.result}"


def time_left(seconds: float | None) -> str:
    """Format a duration as m:ss, or as h:mm:ss from one hour on; "" if it is None."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def pace(found: JobView) -> str:
    """Return a rendering job's frames per second, or its unit progress, and the time left; "" in any other state."""
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

    as_json: print one JSON object per line, each time the job has changed. explained: adds to a view the reason why the
    job waits. tend: called at every poll, to ensure that a worker is running. Raises StudioError when the job is
    removed meanwhile.
    """

    def look() -> JobView:
        return explained(status(store, job))

    last = _lines(look, tend) if as_json else _bar(look, console, tend)
    if not as_json:
        console.print(sentence(store, last), markup=False, highlight=False, soft_wrap=True)
    return ENDED[last.state]


def sentence(store: Store, found: JobView) -> str:
    """Return the sentence that says how a job has ended."""
    if found.state == "done":
        return f"Job {found.id} is done: {place(store, found)}"
    if found.state == "parked":
        return f"Job {found.id} is parked: {found.reason} `studio jobs retry {found.id}` retries what failed."
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
    since = time.monotonic()  # the last time at which the job was not waiting for a worker
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
