"""A Python module run in a process of its own that answers in JSON, one object a line.

Files of strangers are opened there, and work that takes long is done there, beside a process that must not stop.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from shared.runtime.process import signal_on_parent_death

NICENESS = 10  # the channel on air goes first


class ModuleError(Exception):
    """The process was killed, took too long or did not answer with JSON."""


async def run_json_module(
    module: str,
    *arguments: str,
    given: bytes = b"",
    timeout_s: float,
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the last JSON object that `python -m module` prints. given: its standard input. Raises ModuleError."""
    async with _process(module, *arguments, environment=environment) as process:
        try:
            told, _ = await asyncio.wait_for(process.communicate(given), timeout_s)
            return dict(json.loads(told.splitlines()[-1]))
        except (TimeoutError, IndexError, ValueError, TypeError):
            raise ModuleError(module) from None


async def stream_json_module(module: str, *arguments: str) -> AsyncIterator[dict[str, Any]]:
    """Yield each JSON object that `python -m module` prints while it runs; lines of libraries are skipped. Raises ModuleError
    at the end where the exit code is not 0. Close the iterator to end the process."""
    async with _process(module, *arguments) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        async for line in process.stdout:
            try:
                words = json.loads(line)
            except ValueError:
                continue
            if isinstance(words, dict):
                yield words
        if await process.wait():
            raise ModuleError(module)


@asynccontextmanager
async def _process(
    module: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The process; killed where it still runs when the block is left."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=environment, preexec_fn=_behind_us,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _behind_us() -> None:
    """In the child: low priority, and an end when the parent ends, however it does."""
    os.nice(NICENESS)
    signal_on_parent_death(signal.SIGTERM)
