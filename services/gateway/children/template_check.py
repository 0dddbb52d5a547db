"""Check of an uploaded motion template in a separate process.

An untrusted file is not opened in the process that shows the program.
"""

from pathlib import Path

from fastapi import HTTPException

from shared.runtime.module_process import ModuleError, run_json_module

TIMEOUT_S = 60.0  # no template takes longer to check


async def check_uploaded_template(path: Path, given: str, suffix: str, otherwise: str) -> None:
    """Raise HTTPException for a file that no engine can play.

    given: the file's name as its owner gave it, for error sentences. suffix: suffix of that name. otherwise: error
    sentence for a file whose suffix is not that of a template.
    """
    try:
        words = await run_json_module("engines.inspect_template", str(path), suffix, timeout_s=TIMEOUT_S)
    except ModuleError:
        raise HTTPException(422, f"{given} could not be read as a motion template; send another file.") from None
    if "suffixes" in words:
        raise HTTPException(422, otherwise)
    if "error" in words:
        raise HTTPException(422, str(words["error"]))
