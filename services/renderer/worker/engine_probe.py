"""Probe of the engines that this machine can run.

It runs in a separate process, because probing may load large modules: `python -m services.renderer.worker.engine_probe`
prints {engine: "" or the reason why it cannot run} as JSON.
"""

import asyncio
import json
from collections.abc import Mapping

from engines.registry import load, names
from shared.config.settings import load_settings
from shared.errors import StudioError
from shared.runtime.module_process import ModuleError, run_json_module

TIMEOUT_S = 120.0


def probe_engines(environment: Mapping[str, str]) -> dict[str, str]:
    """Return for every engine "", or one sentence why it cannot run here. Raises StudioError if the probe fails."""
    probe = run_json_module(
        "services.renderer.worker.engine_probe",
        timeout_s=TIMEOUT_S, environment=environment, must_succeed=True, quiet=True,
    )  # fmt: skip
    try:
        found = asyncio.run(probe)
    except (OSError, ModuleError):
        raise StudioError("The engines of this machine cannot be loaded; `studio doctor` may say why.") from None
    return {str(name): str(reason) for name, reason in found.items()}


def _reason(name: str, added: Mapping[str, str]) -> str:
    try:
        load(name, added).check()
    except StudioError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    engines = load_settings().engines
    print(json.dumps({name: _reason(name, engines) for name in names(engines)}))
