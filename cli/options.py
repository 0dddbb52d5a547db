"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

HomeOption = Annotated[Path | None, typer.Option("--home", help="Studio folder.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
