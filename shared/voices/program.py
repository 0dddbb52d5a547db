"""Runs a speech program: text on its standard input, sound on its standard output.

The program is called as a user would call it: none of its code is imported or shipped. It is started without a shell
and without the studio's settings in its environment.
"""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from shared.config.child_environment import outside_environment
from shared.runtime.process import end_with
from shared.voices.api import VoiceError

BLOCK_BYTES = 1 << 14
NICENESS = 10  # the channel on air has priority
KEPT_ERROR_BYTES = 2000


async def program_output(title: str, command: Sequence[str], text: str) -> AsyncGenerator[bytes, None]:
    """Yield the program's standard output while it runs.

    title: the program's name in error sentences. Closing the generator kills the program. Raises VoiceError if it
    cannot be started or fails.
    """
    async with _process(title, command) as process:
        errors = asyncio.ensure_future(_last_words(process))
        feeding = asyncio.ensure_future(_feed(process, text.encode()))
        try:
            assert process.stdout is not None
            while block := await process.stdout.read(BLOCK_BYTES):
                yield block
            code = await process.wait()
            if code:
                why = await errors
                raise VoiceError(f"{title} failed ({why or f'exit code {code}'}); try it on the command line.")
        finally:
            for task in (errors, feeding):
                task.cancel()
            await asyncio.gather(errors, feeding, return_exceptions=True)


@asynccontextmanager
async def _process(title: str, command: Sequence[str]) -> AsyncGenerator[asyncio.subprocess.Process, None]:
    """Run the program in a new session; kill it and all processes that it started at the end of the block."""
    pipe = asyncio.subprocess.PIPE
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe, stderr=pipe, env=outside_environment(), start_new_session=True,
            preexec_fn=partial(_behind_us, os.getpid()),
        )
    )  # fmt: skip
    try:
        process = await asyncio.shield(starting)
    except OSError as error:
        raise VoiceError(f"{title} cannot be started ({error.strerror}); is it installed?") from None
    except asyncio.CancelledError:
        await _end(await starting)  # also end a program whose start was cancelled
        raise
    try:
        yield process
    finally:
        await asyncio.shield(_end(process))


async def _end(process: asyncio.subprocess.Process) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it has already ended
    # Read what is left in the pipes: asyncio reports the process's end only after the end of its output.
    try:
        await process.communicate()
    except asyncio.CancelledError:
        await process.communicate()  # short, because the process was killed; the loop must not end before it
        raise
    finally:
        # asyncio itself closes the transport some iterations later, which a loop that is ending never runs.
        process._transport.close()  # type: ignore[attr-defined]


async def _feed(process: asyncio.subprocess.Process, text: bytes) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(text)
        await process.stdin.drain()
    except (BrokenPipeError, ConnectionResetError):
        pass  # it ended without reading all of its input; the exit code says whether that is an error
    finally:
        process.stdin.close()


async def _last_words(process: asyncio.subprocess.Process) -> str:
    """The last line that a process writes to standard error, at most 200 characters."""
    assert process.stderr is not None
    kept = b""
    while block := await process.stderr.read(BLOCK_BYTES):
        kept = (kept + block)[-KEPT_ERROR_BYTES:]
    lines = [" ".join(line.split()) for line in kept.decode("utf-8", "replace").splitlines()]
    return next((line[:200].rstrip(".") for line in reversed(lines) if line), "")


def _behind_us(parent: int) -> None:
    """In the child process: lower the priority, and end the process when the parent ends or has already ended."""
    os.nice(NICENESS)
    end_with(parent)
