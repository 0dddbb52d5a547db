"""`studio weights`: list, download, add and verify the official checkpoints of the engines."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from cli.options import JsonOption
from cli.progress import transfer_bar
from shared.config.settings import load_settings
from shared.errors import StudioError
from shared.runtime.private_files import as_open_as_umask

app = typer.Typer(no_args_is_help=True, help="Official checkpoints of the engines.")
out = Console(markup=False)
err = Console(stderr=True, markup=False)


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """List the weights of each engine, which of them are installed, and their terms."""
    from engines.catalog import weights_of_all
    from shared.weights.manifest import weights_folder
    from shared.weights.pull import weights_listing

    settings = load_settings()
    folder = weights_folder(settings)
    rows = weights_listing(weights_of_all(settings.engines), folder, settings.weights_hub)
    if as_json:
        print(json.dumps(rows))
        return
    out.print(str(folder), style="bold", highlight=False)
    for row in rows:
        out.print(f"\n{row['engine']}: {row['title']}", highlight=False)
        for line in (row["terms"], "" if row["files"] else "Needs no weights."):
            if line:
                out.print(line, highlight=False)
        if not row["files"]:
            continue
        table = Table(Column("file", overflow="fold"), "state", Column("MB", justify="right"), "what it is", box=None)
        for file in row["files"]:
            size = file["size"] or file["about"]
            state = file["state"] + (" (optional)" if file["optional"] else "")
            mb = f"{'' if file['size'] else '~'}{size / 1e6:.1f}" if size else ""
            table.add_row(file["path"], state, mb, file["purpose"])
        out.print(table)


@app.command()
def pull(
    engine: Annotated[str, typer.Argument(help="Engine whose weights to download.")],
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="Accept licences that prohibit some uses, without a prompt.")
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="Download optional files too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Download an engine's weights from the hub. Interrupted downloads are resumed, and every file is verified."""
    from engines.catalog import weights_of
    from shared.weights.manifest import weights_folder
    from shared.weights.pull import licences
    from shared.weights.pull import pull_engine as run

    settings = load_settings()
    folder, about = weights_folder(settings), weights_of(engine, settings.engines)
    for line in licences(about.files):
        err.print(line, markup=False, highlight=False)
    if about.terms:
        err.print(about.terms, markup=False, highlight=False)

    def consent(terms: Sequence[str]) -> bool:
        if accept_licence:
            return True
        if as_json or not sys.stdin.isatty():
            raise StudioError(
                f"{about.title}'s weights prohibit some uses ({'; '.join(terms)}); add --accept-licence to accept that."
            )
        return typer.confirm("Accept?", err=True)

    with transfer_bar() as progress, as_open_as_umask():
        fetched = run(about, folder, settings.weights_hub, consent, everything=everything, progress=progress)
    if as_json:
        print(json.dumps({"engine": engine, "folder": str(folder), "fetched": [asdict(row) for row in fetched]}))
        return
    for row in fetched:
        note = ", hash seen for the first time and trusted from now on" if row.first_seen else ""
        out.print(f"{row.path}: {row.size / 1e6:.1f} MB{note}", highlight=False)
    if not fetched:
        out.print(f"{about.title}: nothing to download.", highlight=False)


@app.command()
def add(
    engine: Annotated[str, typer.Argument(help="Engine whose weights these are.")],
    sources: Annotated[
        list[Path], typer.Argument(help="Files, folders and archives that were downloaded.", exists=True)
    ],
    as_json: JsonOption = False,
) -> None:
    """Add downloaded files to an engine's weights; each is recognised by its content.

    Exit code 1 if a file is not recognised.
    """
    from engines.catalog import recognise_weights, weights_of
    from shared.weights.add import add_files as run
    from shared.weights.manifest import missing_files, weights_folder

    settings = load_settings()
    folder, about = weights_folder(settings), weights_of(engine, settings.engines)
    found = run(about, folder, sources, partial(recognise_weights, engine, settings.engines))
    missing = missing_files(about, folder)
    if as_json:
        rows = [asdict(row) for row in found.added]
        lacks = [{"path": file.path, "purpose": file.purpose, "optional": file.optional} for file in missing]
        print(json.dumps({"folder": str(folder), "added": rows, "refused": found.refused, "missing": lacks}))
    else:
        for row in found.added:
            out.print(
                f"{row.path}: {row.size / 1e6:.1f} MB from {row.source}", markup=False, highlight=False, soft_wrap=True
            )
        for sentence in found.refused:
            err.print(sentence, markup=False, highlight=False)
        for file in missing:
            kind = "optional, not installed" if file.optional else "still missing"
            out.print(f"{file.path}: {kind} ({file.purpose})", markup=False, highlight=False, soft_wrap=True)
        if about.terms and found.added:
            out.print(about.terms, markup=False, highlight=False)
    if found.refused:
        raise typer.Exit(1)


@app.command()
def verify(
    engine: Annotated[str | None, typer.Argument(help="Only this engine.")] = None, as_json: JsonOption = False
) -> None:
    """Verify the hash of every file; exit code 1 if a file is damaged or changed."""
    from engines.catalog import weights_of, weights_of_all
    from shared.weights.manifest import weights_folder
    from shared.weights.pull import failed
    from shared.weights.pull import verify_files as run

    settings = load_settings()
    one = weights_of(engine, settings.engines) if engine else None
    with transfer_bar() as progress:
        rows = run([one] if one else weights_of_all(settings.engines), weights_folder(settings), progress)
    if as_json:
        print(json.dumps(rows))
    else:
        table = Table("engine", "file", "state", "detail", box=None)
        for row in rows:
            table.add_row(row["engine"], row["path"], row["state"], row["detail"])
        out.print(table)
    if failed(rows, one):
        raise typer.Exit(1)


@app.command()
def path(
    engine: Annotated[str | None, typer.Argument(help="Engine whose files to print; without it, the folder.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Print the folder of the weights, or the files of an engine."""
    from engines.catalog import weights_of
    from shared.weights.manifest import weight_files, weights_folder

    settings = load_settings()
    folder = weights_folder(settings)
    files = weight_files(weights_of(engine, settings.engines), folder) if engine else {}
    if as_json:
        print(json.dumps({"folder": str(folder), "files": {name: str(where) for name, where in files.items()}}))
        return
    for where in files.values() if engine else [folder]:
        print(where)
