"""Options that several commands share."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from shared.errors import StudioError

HomeOption = Annotated[Path | None, typer.Option("--home", help="Studio folder.")]
QualityOption = Annotated[str, typer.Option(help="Short for --option quality=...")]
EngineOption = Annotated[
    list[str] | None,
    typer.Option(
        "--option", metavar="KEY=VALUE", help="An option of the engine, such as quality=384; may be repeated."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]


def given_options(words: Sequence[str] | None, quality: str = "") -> dict[str, str]:
    """Return the engine options given on the command line, by name; the values stay text, which the engine parses.

    words: KEY=VALUE each. quality: value of the option "quality", "" if not given. Raises StudioError for a malformed
    word.
    """
    given = {"quality": quality} if quality else {}
    for word in words or ():
        name, equals, value = word.partition("=")
        if not (name and equals):
            raise StudioError(f"--option takes KEY=VALUE, such as quality=384 (got '{word[:60]}').")
        given[name] = value
    return given
