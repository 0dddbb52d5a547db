"""`studio engines`: the engines that can run on this machine, and why the others cannot."""

import json
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from cli.options import JsonOption
from shared.config.settings import load_settings

DRIVERS = {"motion": "a face", "voice": "a voice", "template": "recorded motion"}
INDENT = 4
out = Console(markup=False)


def list_engines(as_json: JsonOption = False) -> None:
    """List the engines: whether each can run here, its drivers, its terms, and the command that enables it."""
    from engines.catalog import engine_summaries  # imported here because it loads the codecs, which few commands need

    rows = engine_summaries(load_settings())
    if as_json:
        print(json.dumps([{"name": name, **row} for name, row in rows.items()]))
        return
    wide = max(len(name) for name in rows)
    for name, row in rows.items():
        state = Text("unavailable", "yellow") if row["unavailable"] else Text("available", "green")
        runs = f"  {row['title']}, moved by {moved_by(row)}; {', '.join(_words(row['modes']))}"
        out.print(Text.assemble((name.ljust(wide), "bold"), "  ", state, runs), highlight=False)
        helps = f"To enable it: {row['command']}" if row["command"] else ""
        for line in (row["unavailable"], helps, row["terms"]):
            if line:
                out.print(Padding(Text(str(line)), (0, 0, 0, INDENT), expand=False), highlight=False)


def moved_by(row: dict[str, Any]) -> str:
    """Return the drivers of an engine in words, such as "a face or a voice"; "" if they are not known."""
    words = [DRIVERS[each] for each in _words(row["inputs"])]
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _words(of: Any) -> list[str]:
    return [str(each) for each in of]
