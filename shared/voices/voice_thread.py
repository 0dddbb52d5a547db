"""Voices beside an event loop that must not wait.

They speak in a loop of their own, and their sound is fetched from there.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import Future
from contextlib import suppress

from shared.voices.api import Voice, VoiceError
from shared.voices.speech import FIRST_SOUND_S, SpokenPart, spoken_sentence

BLOCKED_S = FIRST_SOUND_S + 5.0  # a voice that holds up its whole loop so long is given up
CLOSE_WAIT_S = 5.0  # for programs that are started or ended just now; what is left then is cancelled


class VoiceThread:
    """A thread with an event loop for voices, started with the first sentence.

    Nothing is fetched ahead: a voice continues when its last block was taken, so that memory is bounded by who takes
    it.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._asked: set[Future[SpokenPart | None]] = set()  # at most one for each sentence that is spoken

    async def spoken(self, voice: Voice, sentence: str) -> AsyncGenerator[SpokenPart, None]:
        """Yield a sentence's parts, as `spoken_sentence` does. Cancelled, it ends the synthesis at once."""
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
            # In the voices' loop: it waits there until what was cancelled has ended. One that was closed has ended it.
            if not loop.is_closed():
                asyncio.run_coroutine_threadsafe(_close(parts), loop)

    def _started(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=_run, args=(self._loop,), name="voices", daemon=True)
            self._thread.start()
        return self._loop

    def close(self) -> None:
        """End what is being synthesised, and the thread. Called in another thread than the voices'."""
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
        except RuntimeError:  # it is still on its way out of what was cancelled
            await asyncio.sleep(0.01)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    """Run until `close`; then what is left ends, so that programs and connections are closed."""
    asyncio.set_event_loop(loop)
    loop.run_forever()
    loop.run_until_complete(_ended())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


async def _ended() -> None:
    """Wait for the tasks whose sentences `close` cancelled.

    They end what they started. Cancelled themselves, those that are starting a program would leave it and its pipes.
    """
    this = asyncio.current_task()
    for cancels in (False, True):
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_WAIT_S):
                while left := [task for task in asyncio.all_tasks() if task is not this]:
                    for task in left if cancels else ():
                        task.cancel()
                    await asyncio.wait(left)
