"""`studio voices`: the voices that can speak on this machine, and why others cannot; speech of `--text` for renders."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from cli.options import JsonOption
from cli.progress import progress_bar
from shared.config.settings import Settings, load_settings
from shared.errors import StudioError
from shared.voices.registry import NO_VOICE, voice_summaries

INDENT = 4
out = Console(markup=False)

TextOption = Annotated[Path | None, typer.Option("--text", help="Text file that a voice speaks, in place of --driver.")]
BurnOption = Annotated[bool, typer.Option("--burn-captions", help="Draw the text into the frames as it is heard.")]
VoiceOption = Annotated[str, typer.Option("--voice", help="Voice that speaks the text; `studio voices` lists them.")]


def list_voices(as_json: JsonOption = False) -> None:
    """List the voices: whether each can speak here, which one is the default, and the command that enables it."""
    rows = voice_summaries(load_settings().voice)
    if as_json:
        print(json.dumps([asdict(row) for row in rows]))
        return
    wide = max((len(row.name) for row in rows), default=0)
    for row in rows:
        state = Text("unavailable", "yellow") if row.unavailable else Text("available", "green")
        taken = ", the default" if row.chosen else ""
        out.print(Text.assemble((row.name.ljust(wide), "bold"), "  ", state, f"  {row.title}{taken}"), highlight=False)
        helps = f"To enable it: {row.command}" if row.command else ""
        for line in (row.unavailable, helps):
            if line:
                out.print(Padding(Text(line), (0, 0, 0, INDENT), expand=False), highlight=False)
    if all(row.unavailable for row in rows):
        out.print(NO_VOICE, highlight=False)


class DriverFile(NamedTuple):
    """A driver's file. title: its display name, "" for the file's name. captions: WebVTT file of the spoken text."""

    path: Path
    title: str = ""
    captions: Path | None = None


def driver_file(driver: Path | None, text: Path | None, voice: str, settings: Settings) -> DriverFile:
    """Return the driver file as given, or the speech made from the text, with a progress bar.

    Exactly one of driver and text is given; anything else raises StudioError.
    """
    if (driver is None) == (text is None):
        raise StudioError("Give either --driver, a file that moves the host, or --text, a text that it speaks.")
    if driver is not None:
        if voice:
            raise StudioError("--voice speaks a text; give it with --text.")
        return DriverFile(driver)
    assert text is not None
    # Imported here because it loads the codecs, which only a command with --text needs.
    from shared.voices.speech_file import make_speech, read_text

    words = read_text(text.expanduser())
    with progress_bar() as bar:
        task = bar.add_task(f"speak {text.name}", total=None)
        made = make_speech(words, settings, voice, lambda done, total: bar.update(task, completed=done, total=total))
    return DriverFile(made.path, text.name, made.captions)
