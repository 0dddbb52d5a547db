"""Looking at an uploaded motion template, in a process of its own: a stranger's file is not opened beside the program."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from fastapi import HTTPException

from services.gateway.workers.avatar_build import with_parent

TAKES_LONG = 60.0  # seconds after which it is no template


async def check_template(path: Path, given: str) -> None:
    """Raises HTTPException for a file that no engine plays, in one sentence that calls it as its owner does."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "engines.inspect_template", str(path),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, preexec_fn=with_parent,
    )  # fmt: skip
    try:
        told, _ = await asyncio.wait_for(process.communicate(), TAKES_LONG)
        words: dict[str, Any] = json.loads(told.splitlines()[-1])
    except (TimeoutError, IndexError, ValueError):
        raise HTTPException(422, f"{given} could not be read as a motion template; send another file.") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if "error" in words:
        raise HTTPException(422, str(words["error"]).replace(path.name, given, 1))
