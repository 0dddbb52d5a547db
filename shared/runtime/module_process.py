"""Runs a Python module in a separate process that answers in JSON, one object per line.

For opening untrusted files and for long work, where the calling process must neither crash nor block.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from shared.runtime.process import end_with

NICENESS = 10  # the channel on air has priority
MAX_OUTPUT_BYTES = 16 << 20  # size of an answer, with everything that libraries print before it
MAX_LINE_BYTES = 1 << 20  # size of a line that is read while the process runs
_BLOCK_BYTES = 1 << 16


class ModuleError(Exception):
    """The process failed, took too long, printed too much or did not answer with a JSON object."""


async def run_json_module(
    module: str,
    *arguments: str,
    given: bytes = b"",
    timeout_s: float,
    environment: Mapping[str, str] | None = None,
    must_succeed: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Return the JSON object in the last line that `python -m module` prints. Raises ModuleError.

    given: standard input of the module. must_succeed: treat an exit code other than 0 as an error, whatever the module
    printed. quiet: discard the module's standard error instead of passing it on to this process's own.
    """
    async with _process(module, *arguments, environment=environment, quiet=quiet) as process:
        try:
            async with asyncio.timeout(timeout_s):
                output, _ = await asyncio.gather(_output(process), _feed(process, given))
            answer = json.loads(output.splitlines()[-1])
        except (TimeoutError, IndexError, ValueError):
            raise ModuleError(module) from None
        if not isinstance(answer, dict) or (must_succeed and process.returncode):
            raise ModuleError(module)
        return answer


async def stream_json_module(module: str, *arguments: str) -> AsyncGenerator[dict[str, Any], None]:
    """Yield each JSON object that `python -m module` prints while it runs; skip lines that are not JSON.

    Raises ModuleError for a line longer than MAX_LINE_BYTES, and at the end if the exit code is not 0. Close the
    iterator to end the process.
    """
    async with _process(module, *arguments) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # longer than MAX_LINE_BYTES
                raise ModuleError(module) from None
            if not line:
                break
            try:
                words = json.loads(line)
            except ValueError:
                continue
            if isinstance(words, dict):
                yield words
        if await process.wait():
            raise ModuleError(module)


async def _output(process: asyncio.subprocess.Process) -> bytes:
    """Return all that the process prints until it ends. Raises ValueError beyond MAX_OUTPUT_BYTES."""
    assert process.stdout is not None
    output = bytearray()
    while block := await process.stdout.read(_BLOCK_BYTES):
        output += block
        if len(output) > MAX_OUTPUT_BYTES:
            raise ValueError("too much output")
    await process.wait()
    return bytes(output)


async def _feed(process: asyncio.subprocess.Process, given: bytes) -> None:
    """Write the process's standard input and close it; a process that ends before reading all of it is no error."""
    assert process.stdin is not None
    try:
        process.stdin.write(given)
        await process.stdin.drain()
    except (BrokenPipeError, ConnectionResetError):
        pass
    finally:
        process.stdin.close()


@asynccontextmanager
async def _process(
    module: str, *arguments: str, environment: Mapping[str, str] | None = None, quiet: bool = False
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the module for the block; kill its process if it still runs at the end of the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL if quiet else None,
        env=environment, preexec_fn=partial(_behind_us, os.getpid()), limit=MAX_LINE_BYTES,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        # Read what is left in the pipe: asyncio reports the process's end only after the end of its output.
        await process.communicate()


def _behind_us(parent: int) -> None:
    """In the child process: lower the priority, and end the process when the parent ends or has already ended."""
    os.nice(NICENESS)
    end_with(parent, signal.SIGTERM)
