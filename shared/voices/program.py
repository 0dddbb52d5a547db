"""A program that speaks: text on its standard input, sound on its standard output.

It is called as any user of the machine would call it; nothing of it is imported or shipped, and it gets neither a shell
nor the studio's settings.
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
NICENESS = 10  # the channel on air goes first
KEPT_ERROR_BYTES = 2000


async def program_output(title: str, command: Sequence[str], text: str) -> AsyncGenerator[bytes, None]:
    """Yield what the program writes while it runs.

    Closing the generator kills it. Raises VoiceError where it cannot be started or fails; `title` is how the sentence
    calls it.
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
    """The program in a session of its own; killed with all that it started when the block is left."""
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
        await _end(await starting)  # what was being started is not left behind
        raise
    try:
        yield process
    finally:
        await asyncio.shield(_end(process))


async def _end(process: asyncio.subprocess.Process) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it has ended
    # What is left in the pipes is read: before their end asyncio does not report that the process has ended.
    try:
        await process.communicate()
    except asyncio.CancelledError:
        await process.communicate()  # it was killed, so this takes a moment; the loop must not end before it
        raise
    finally:
        # asyncio does it some turns later, which a loop that ends does not take.
        process._transport.close()  # type: ignore[attr-defined]


async def _feed(process: asyncio.subprocess.Process, text: bytes) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(text)
        await process.stdin.drain()
    except (BrokenPipeError, ConnectionResetError):
        pass  # it ended without reading all of it; its exit code says whether that is an error
    finally:
        process.stdin.close()


async def _last_words(process: asyncio.subprocess.Process) -> str:
    """The last line of a process's standard error."""
    assert process.stderr is not None
    kept = b""
    while block := await process.stderr.read(BLOCK_BYTES):
        kept = (kept + block)[-KEPT_ERROR_BYTES:]
    lines = [" ".join(line.split()) for line in kept.decode("utf-8", "replace").splitlines()]
    return next((line[:200].rstrip(".") for line in reversed(lines) if line), "")


def _behind_us(parent: int) -> None:
    """Run in the child: lower its priority, and end it when the parent ends for whatever reason, or has ended."""
    os.nice(NICENESS)
    end_with(parent)
