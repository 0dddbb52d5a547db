"""Submitting a job through the renderer, in a process of its own: drivers of strangers are opened there, and not in the
process that shows the program."""

import asyncio
import json
import sys
from typing import Any

from fastapi import HTTPException

from services.gateway.workers.avatar_build import with_parent

TAKES_LONG = 900.0  # seconds after which something is stuck: a driver of hours is read once, and copied


async def submit(asked: dict[str, Any]) -> dict[str, Any]:
    """The new job's manifest. asked: what `services.renderer.job.submit` reads. Raises HTTPException with its sentence."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.renderer.job.submit",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, preexec_fn=with_parent,
    )  # fmt: skip
    try:
        told, _ = await asyncio.wait_for(process.communicate(json.dumps(asked).encode()), TAKES_LONG)
        words: dict[str, Any] = json.loads(told.splitlines()[-1])
    except (TimeoutError, IndexError, ValueError):
        raise HTTPException(500, "The job could not be submitted; the studio's log says why.") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if "error" in words:
        raise HTTPException(409 if words.get("kind") == "key" else 422, str(words["error"]))
    return words
