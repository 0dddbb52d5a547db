"""Submitting a job through the renderer, in a process of its own: drivers of strangers are opened there, and not in the
process that shows the program."""

import json
from typing import Any

from fastapi import HTTPException

from shared.runtime.module_process import ModuleError, run_json_module

TIMEOUT_S = 900.0  # a driver of hours is read once, and copied


async def submit_by_process(asked: dict[str, Any]) -> dict[str, Any]:
    """The new job's manifest. asked: what `services.renderer.job.submit` reads. Raises HTTPException with its sentence."""
    try:
        given = json.dumps(asked).encode()
        words = await run_json_module("services.renderer.job.submit", given=given, timeout_s=TIMEOUT_S)
    except ModuleError:
        raise HTTPException(500, "The job could not be submitted; the studio's log says why.") from None
    if "error" in words:
        raise HTTPException(409 if words.get("kind") == "key" else 422, str(words["error"]))
    return words
