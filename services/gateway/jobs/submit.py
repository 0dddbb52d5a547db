"""Submission of jobs, speech synthesis and cost estimates in a separate process.

Untrusted drivers are opened there and not in the process that shows the program.
"""

import json
from typing import Any

from fastapi import HTTPException

from shared.runtime.module_process import ModuleError, run_json_module

TIMEOUT_S = 900.0  # enough to read and copy a driver of several hours once


async def submit_by_process(asked: dict[str, Any]) -> dict[str, Any]:
    """Submit a job and return its manifest.

    asked: the input of `services.renderer.job.submit`. Raises HTTPException with that module's error sentence.
    """
    return await _asked_of("services.renderer.job.submit", asked, "The job could not be submitted")


async def speech_by_process(text: str, voice: str) -> tuple[str, str]:
    """Synthesise a text, or reuse its earlier synthesis; returns the paths of the speech and of its captions.

    Raises HTTPException with the voice's error sentence.
    """
    asked = {"text": text, "voice": voice}
    words = await _asked_of("shared.voices.speech_file", asked, "The text could not be spoken")
    return str(words["file"]), str(words["captions"])


async def cost_by_process(asked: dict[str, Any]) -> dict[str, Any]:
    """Return what `services.renderer.job.cost` estimates for a job. Raises HTTPException with its error sentence."""
    return await _asked_of("services.renderer.job.cost", asked, "The cost of the job could not be estimated")


async def _asked_of(module: str, asked: dict[str, Any], failed: str) -> dict[str, Any]:
    try:
        words = await run_json_module(module, given=json.dumps(asked).encode(), timeout_s=TIMEOUT_S)
    except ModuleError:
        raise HTTPException(500, f"{failed}; the studio's log says why.") from None
    if "error" in words:
        raise HTTPException(409 if words.get("kind") == "key" else 422, str(words["error"]))
    return words
