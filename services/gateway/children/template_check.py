"""Looking at an uploaded motion template, in a process of its own.

A stranger's file is not opened beside the program.
"""

from pathlib import Path

from fastapi import HTTPException

from shared.runtime.module_process import ModuleError, run_json_module

TIMEOUT_S = 60.0  # no template takes longer to look at


async def check_uploaded_template(path: Path, given: str, suffix: str, otherwise: str) -> None:
    """Raise HTTPException for a file that no engine plays, in one sentence that calls it as its owner does.

    suffix: of the name that its owner gave it. otherwise: the sentence for a file whose name is not one of a template.
    """
    try:
        words = await run_json_module("engines.inspect_template", str(path), suffix, timeout_s=TIMEOUT_S)
    except ModuleError:
        raise HTTPException(422, f"{given} could not be read as a motion template; send another file.") from None
    if "suffixes" in words:
        raise HTTPException(422, otherwise)
    if "error" in words:
        raise HTTPException(422, str(words["error"]))
