"""`studio bench`: run the benchmarks on this machine and print their figures."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from benchmarks import NAMES, check_installed, measure, takes
from cli.options import HomeOption, JsonOption
from shared.config.settings import load_settings
from shared.errors import StudioError

out = Console(markup=False)


def bench(
    which: Annotated[
        str,
        typer.Argument(help=f"{', '.join(NAMES)}, all or composite."),
    ] = "all",
    avatar: Annotated[list[str] | None, typer.Option(help="engine: avatar to measure; may be repeated.")] = None,
    driver: Annotated[
        list[Path] | None, typer.Option(help="engine: video whose face it follows; may be repeated.")
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="How long to measure, where that can be chosen.")] = None,
    peer: Annotated[
        Path | None,
        typer.Option(
            help="A checkout of the original to compare with, where a benchmark has one; face: the Python of an "
            "environment with mediapipe 0.10.21."
        ),
    ] = None,
    size: Annotated[
        str | None, typer.Option(help="full, which needs a GPU, or tiny, where that can be chosen.")
    ] = None,
    portraits: Annotated[
        str | None, typer.Option(help="composite: portraits, as a folder or a pattern in quotes.")
    ] = None,
    bodies: Annotated[
        str | None, typer.Option(help="composite: films or images to place them on, given likewise.")
    ] = None,
    drivers: Annotated[
        str | None, typer.Option(help="composite: driver videos, given likewise; without them the faces are at rest.")
    ] = None,
    sheet: Annotated[Path | None, typer.Option(help="composite: folder for contact sheets, one per pair.")] = None,
    every: Annotated[int, typer.Option(help="composite: measure every N-th frame.", min=1)] = 5,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Measure this machine; the figures are ratios to a reference in the same run.

    With --avatar and --driver: how well the engine follows your own footage. `composite`: how well every portrait
    fits every body.
    """
    if which == "composite" or portraits or bodies:
        _print_composite(which, portraits, bodies, drivers, every, sheet, as_json)
        return
    if avatar or driver:
        _print_following(which, avatar or [], driver or [], home, as_json)
        return
    names = list(NAMES) if which == "all" else [which]
    if unknown := set(names) - set(NAMES):
        raise StudioError(f"There is no benchmark '{unknown.pop()}'; choose one of {', '.join(NAMES)} and composite.")
    check_installed(names)
    for option, value in (("peer", peer), ("size", size)):
        if value is not None and not any(takes(name, option) for name in names):
            raise StudioError(f"The benchmark {which} has no --{option}; leave it out.")
    figures = {name: measure(name, seconds=seconds, peer=peer, size=size) for name in names}
    result = figures if which == "all" else figures[which]
    if as_json:
        print(json.dumps(result))
        return
    table = Table("figure", "value", box=None)
    for key, value in _flat(result):
        table.add_row(key, f"{value:.4g}" if isinstance(value, float) else str(value))
    out.print(table)


def _print_composite(
    which: str,
    portraits: str | None,
    bodies: str | None,
    drivers: str | None,
    every: int,
    sheet: Path | None,
    as_json: bool,
) -> None:
    from benchmarks.composite.pairings import measure

    if which != "composite" or not portraits or not bodies:
        raise StudioError(
            "--portraits and --bodies go together: `studio bench composite --portraits FOLDER --bodies FOLDER`."
        )
    with Console(stderr=True).status("") as status:
        rows = measure(portraits, bodies, drivers, every=every, sheet=sheet, progress=status.update)
    if as_json:
        print(json.dumps({"composite": rows}))
        return
    kinds = ("darker %", "95th", "lighter %", "95th", "chroma %", "95th")
    table = Table("portrait", "body", "driver", "frames", *kinds, "sharp", "verdict", box=None, padding=(0, 1, 0, 0))
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    out.print(table)


def _print_following(which: str, names: list[str], drivers: list[Path], home: Path | None, as_json: bool) -> None:
    from benchmarks.engines.following import measure
    from shared.avatar.model import avatar_folder, load_avatar

    if which != "engine" or not names or not drivers:
        raise StudioError("--avatar and --driver go together: `studio bench engine --avatar NAME --driver VIDEO`.")
    folder = load_settings(home=home).home
    rows = measure([load_avatar(avatar_folder(folder, name)) for name in names], drivers)
    if as_json:
        print(json.dumps({"following": rows}))
        return
    table = Table("driver", "avatar", "signal", "range", "correlation", "gain", "verdict", box=None)
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    out.print(table)


def _flat(value: Any, prefix: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [row for key, each in value.items() for row in _flat(each, f"{prefix}{key}.")]
    return [(prefix.rstrip("."), value)]
