"""`studio motion`: record a driver's motion without its frames."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli.progress import progress_bar
from shared.config.settings import load_settings

motion = typer.Typer(no_args_is_help=True, help="Motion templates: a driver's motion without its frames.")
out = Console(markup=False)


@motion.callback()
def group() -> None:
    """Make typer keep `record` as a subcommand although it is the only one."""


@motion.command()
def record(
    driver: Annotated[Path, typer.Option(help="Video of the face whose motion to record.")],
    to: Annotated[Path, typer.Option("--out", help="File to write: .npz, a driver for `live`, `render` and jobs.")],
    engine: Annotated[
        str, typer.Option(help="Engine that will play it; by default the first one that plays templates.")
    ] = "",
    home: Annotated[Path | None, typer.Option("--home", help="Studio folder.")] = None,
) -> None:
    """Record the motion of a face on video."""
    from services.renderer.job.record_motion import record_motion as run

    settings = load_settings(home=home)
    with progress_bar() as bar:
        task = bar.add_task(f"record {to.name}", total=None)
        count = run(
            driver,
            to,
            engine=engine,
            engines=settings.engines,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    out.print(f"{to}: {count} frames")
