"""Runs voices in the event loop of a separate thread, for services whose own loop must not be blocked."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import Future
from contextlib import suppress

from shared.voices.api import Voice, VoiceError
from shared.voices.speech import FIRST_SOUND_S, SpokenPart, spoken_sentence

BLOCKED_S = FIRST_SOUND_S + 5.0  # a voice that blocks its event loop for this long counts as failed
CLOSE_WAIT_S = 5.0  # wait at the end for programs that are starting or ending; after it, tasks are cancelled


class VoiceThread:
    """A thread with an event loop for voices, started with the first sentence.

    Nothing is buffered: a voice continues only when its last block was consumed, so the consumer limits memory.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._asked: set[Future[SpokenPart | None]] = set()  # at most one for each sentence being spoken

    async def spoken(self, voice: Voice, sentence: str) -> AsyncGenerator[SpokenPart, None]:
        """Yield a sentence's parts like `spoken_sentence`. Cancelling it ends the synthesis immediately."""
        loop = self._started()
        parts = spoken_sentence(voice, sentence)
        try:
            while True:
                future = asyncio.run_coroutine_threadsafe(_next_part(parts), loop)
                self._asked.add(future)
                future.add_done_callback(self._asked.discard)
                try:
                    async with asyncio.timeout(BLOCKED_S):
                        part = await asyncio.wrap_future(future)
                except TimeoutError:
                    raise VoiceError(f"{voice.title} no longer responds; use another voice.") from None
                if part is None:
                    return
                yield part
        finally:
            # Closed in the voices' loop, which waits for the cancelled part; a closed loop has already done this.
            if not loop.is_closed():
                asyncio.run_coroutine_threadsafe(_close(parts), loop)

    def _started(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=_run, args=(self._loop,), name="voices", daemon=True)
            self._thread.start()
        return self._loop

    def close(self) -> None:
        """End all synthesis and the thread. Call it from another thread than this one."""
        if self._loop is None or self._thread is None:
            return
        loop, self._loop = self._loop, None
        for future in tuple(self._asked):
            future.cancel()
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join(2 * CLOSE_WAIT_S)


async def _next_part(parts: AsyncGenerator[SpokenPart, None]) -> SpokenPart | None:
    try:
        return await anext(parts)
    except StopAsyncIteration:
        return None


async def _close(parts: AsyncGenerator[SpokenPart, None]) -> None:
    for _ in range(100):
        try:
            await parts.aclose()
            return
        except RuntimeError:  # the generator is still running its cancellation
            await asyncio.sleep(0.01)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    """Run the loop until `close`, then let the remaining tasks end, so that programs and connections are closed."""
    asyncio.set_event_loop(loop)
    loop.run_forever()
    loop.run_until_complete(_ended())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


async def _ended() -> None:
    """Wait for the tasks whose futures `close` cancelled; cancel the tasks themselves only after CLOSE_WAIT_S.

    Given time they end the programs that they started; a task cancelled while it starts a program would leave the
    program and its pipes behind.
    """
    this = asyncio.current_task()
    for cancels in (False, True):
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_WAIT_S):
                while left := [task for task in asyncio.all_tasks() if task is not this]:
                    for task in left if cancels else ():
                        task.cancel()
                    await asyncio.wait(left)
