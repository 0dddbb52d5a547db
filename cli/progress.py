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
    """A bar on standard error, so that standard output stays for results."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield bar


def stages(bar: Progress) -> Callable[[str, float], None]:
    """A callback (stage, 0..1) that shows one bar a stage."""
    tasks: dict[str, TaskID] = {}

    def show(stage: str, done: float) -> None:
        if stage not in tasks:
            tasks[stage] = bar.add_task(stage, total=1.0)
        bar.update(tasks[stage], completed=done)

    return show


@contextmanager
def transfer_bar() -> Iterator[Callable[[str, int, int], None]]:
    """A callback (name, bytes done, bytes expected) that shows one bar a file, on standard error."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    bar, tasks = Progress(*columns, console=Console(stderr=True), transient=True), dict[str, TaskID]()

    def show(name: str, done: int, expected: int) -> None:
        bar.start()  # not before there is something to show: a question may come first
        if name not in tasks:
            tasks[name] = bar.add_task(name, total=expected or None)
        bar.update(tasks[name], completed=done)

    try:
        yield show
    finally:
        bar.stop()
