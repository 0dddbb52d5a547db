"""Submitting a job through the renderer, and asking what one would cost, in a process of its own.

Drivers of strangers are opened there, and not in the process that shows the program.
"""

import json
from typing import Any

from fastapi import HTTPException

from shared.runtime.module_process import ModuleError, run_json_module

TIMEOUT_S = 900.0  # a driver of hours is read once, and copied


async def submit_by_process(asked: dict[str, Any]) -> dict[str, Any]:
    """The new job's manifest.

    asked: what `services.renderer.job.submit` reads. Raises HTTPException with its sentence.
    """
    return await _asked_of("services.renderer.job.submit", asked, "The job could not be submitted")


async def speech_by_process(text: str, voice: str) -> tuple[str, str]:
    """The file with a text's speech, made once, and the one with its captions.

    Raises HTTPException with the voice's sentence.
    """
    asked = {"text": text, "voice": voice}
    words = await _asked_of("shared.voices.speech_file", asked, "The text could not be spoken")
    return str(words["file"]), str(words["captions"])


async def cost_by_process(asked: dict[str, Any]) -> dict[str, Any]:
    """What `services.renderer.job.cost` says of a job. Raises HTTPException with its sentence."""
    return await _asked_of("services.renderer.job.cost", asked, "What the job costs could not be found out")


async def _asked_of(module: str, asked: dict[str, Any], failed: str) -> dict[str, Any]:
    try:
        words = await run_json_module(module, given=json.dumps(asked).encode(), timeout_s=TIMEOUT_S)
    except ModuleError:
        raise HTTPException(500, f"{failed}; the studio's log says why.") from None
    if "error" in words:
        raise HTTPException(409 if words.get("kind") == "key" else 422, str(words["error"]))
    return words
