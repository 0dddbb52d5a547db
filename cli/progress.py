"""Progress bars on the terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Show progress bars on standard error; standard output is reserved for results."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield bar


def stages(bar: Progress) -> Callable[[str, float], None]:
    """Return a callback (stage, fraction done 0..1) that shows one progress bar per stage."""
    tasks: dict[str, TaskID] = {}

    def show(stage: str, done: float) -> None:
        if stage not in tasks:
            tasks[stage] = bar.add_task(stage, total=1.0)
        bar.update(tasks[stage], completed=done)

    return show


@contextmanager
def transfer_bar() -> Iterator[Callable[[str, int, int], None]]:
    """Yield a callback (name, bytes done, bytes expected) that shows one bar per file on standard error."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    bar, tasks = Progress(*columns, console=Console(stderr=True), transient=True), dict[str, TaskID]()

    def show(name: str, done: int, expected: int) -> None:
        bar.start()  # not earlier: a bar would disturb a question that is asked before the first file
        if name not in tasks:
            tasks[name] = bar.add_task(name, total=expected or None)
        bar.update(tasks[name], completed=done)

    try:
        yield show
    finally:
        bar.stop()
