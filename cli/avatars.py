"""`studio avatar`: make, choose, list, show, remove."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from cli.options import HomeOption, JsonOption
from cli.progress import progress_bar, stages
from shared.config.settings import load_settings

avatars = typer.Typer(no_args_is_help=True, help="Avatars: a portrait, its plate and its rights.")
out = Console(markup=False)


@avatars.command("add")
def avatar_add(
    name: str,
    portrait: Annotated[
        Path | None, typer.Option(help="Image with one face; without it, a frame of the body's video is used.")
    ] = None,
    body: Annotated[
        Path | None, typer.Option(help="Image or video of the body; without it, the portrait is the plate.")
    ] = None,
    still: Annotated[float | None, typer.Option(help="Second of the video to take as the portrait.")] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="FROM-TO", help="Seconds of the video not to show; may be repeated.")
    ] = None,
    keep_film: Annotated[
        bool,
        typer.Option(
            "--keep-film/--no-keep-film",
            help="Keep a copy of the source film, for engines that read it; its size is printed.",
        ),
    ] = True,
    rights: Annotated[str, typer.Option(help="What allows you to use this face; kept with the avatar.")] = "not stated",
    home: HomeOption = None,
) -> None:
    """Make an avatar."""
    from shared.avatar.build import FilmChoice, add_avatar
    from shared.avatar.film.build import spans_of

    film = FilmChoice(still, spans_of(exclude or ()), keep_film)
    with progress_bar() as bar:
        folder = add_avatar(load_settings(home=home).home, name, portrait, body, rights, stages(bar), film=film)
    from shared.avatar.manifest import read_avatar_manifest

    for note in read_avatar_manifest(folder).notes:
        out.print(note)
    out.print(f"{folder}")


@avatars.command("choose")
def avatar_choose(
    name: str,
    still: Annotated[float | None, typer.Option(help="Second of the film to take as the portrait.")] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="FROM-TO", help="Seconds of the film not to show; may be repeated.")
    ] = None,
    everything: Annotated[bool, typer.Option("--exclude-nothing", help="Show what was excluded before.")] = False,
    home: HomeOption = None,
) -> None:
    """Choose another still of an avatar's film, or other parts to exclude; choices not given stay as they are."""
    from shared.avatar.build import FilmChoice
    from shared.avatar.choose import choose_again
    from shared.avatar.film.build import spans_of
    from shared.avatar.manifest import read_avatar_manifest

    spans = () if everything else spans_of(exclude) if exclude else None
    with progress_bar() as bar:
        folder = choose_again(load_settings(home=home).home, name, FilmChoice(still, spans), stages(bar))
    for note in read_avatar_manifest(folder).notes:
        print(note)


@avatars.command("list")
def avatar_list(as_json: JsonOption = False, home: HomeOption = None) -> None:
    """List the avatars."""
    from shared.avatar.manifest import read_avatar_manifest
    from shared.avatar.model import avatars_folder, list_avatars

    folder = load_settings(home=home).home
    manifests = [read_avatar_manifest(avatars_folder(folder) / name) for name in list_avatars(folder)]
    if as_json:
        print(json.dumps([manifest.as_json() for manifest in manifests]))
        return
    table = Table("name", "plate", "rights", box=None)
    for manifest in manifests:
        plate = manifest.plate
        table.add_row(manifest.name, f"{plate.kind} {plate.width}x{plate.height}", manifest.rights)
    out.print(table)


@avatars.command("show")
def avatar_show(name: str, home: HomeOption = None) -> None:
    """Show an avatar's manifest, and the report on its film with the path of its contact sheet."""
    from shared.avatar.film.report import SHEET, read_film_report
    from shared.avatar.manifest import read_avatar_manifest
    from shared.avatar.model import avatar_folder

    folder = avatar_folder(load_settings(home=home).home, name)
    shown = read_avatar_manifest(folder).as_json()
    film = read_film_report(folder)
    if film is not None:
        shown["film"] = {**film.as_json(), "sheet": str(folder / SHEET)}
    print(json.dumps(shown, indent=2))


@avatars.command("remove")
def avatar_remove(name: str, home: HomeOption = None) -> None:
    """Delete an avatar."""
    from shared.avatar.model import remove_avatar

    remove_avatar(load_settings(home=home).home, name)
