"""A Python module run in a process of its own that answers in JSON, one object a line.

Files of strangers are opened there, and work that takes long is done there, beside a process that must not stop.
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

NICENESS = 10  # the channel on air goes first
MAX_OUTPUT_BYTES = 16 << 20  # size of an answer, with everything that libraries print before it
MAX_LINE_BYTES = 1 << 20  # of a line that is read while the process runs
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

    given: its standard input. must_succeed: an exit code other than 0 is an error, whatever was printed before. quiet:
    its standard error is dropped instead of shown with this process's own.
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
    """Yield each JSON object that `python -m module` prints while it runs; lines of libraries are skipped.

    Raises ModuleError at the end where the exit code is not 0, and for a line that is too long. Close the iterator to
    end the process.
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
    """Write its standard input and close it; a process that ends without reading all of it is not an error."""
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
    """A context manager for the process, which is killed if it still runs at the end of the block."""
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
        # What is left in the pipe is read: before its end asyncio does not report that the process has ended.
        await process.communicate()


def _behind_us(parent: int) -> None:
    """Runs in the child: lower its priority, and end it when the parent ends for whatever reason, or has ended."""
    os.nice(NICENESS)
    end_with(parent, signal.SIGTERM)
