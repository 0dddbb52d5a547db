"""Bytes of an agent's stream, collected as they arrive and taken in large pieces.

An agent may send a whole answer at once, in hundreds of chunks. The room's sound is sent by the same event loop, which
decoding chunk by chunk would block; so chunks that are waiting together are decoded together.
"""

import asyncio

from livekit import rtc

from shared.runtime.logs import get_logger

log = get_logger()
PAUSE_S = 0.005  # seconds left to the other tasks of the event loop between two pieces
MAX_WAITING_BYTES = 1 << 26  # 64 MB, 23 minutes at 24 kHz; a stream that is further ahead is cut there


class StreamBytes:
    """Collects the bytes of a stream until it ends or is cut. Not thread-safe: used in one event loop."""

    def __init__(self, reader: rtc.ByteStreamReader) -> None:
        self._reader = reader
        self._waiting = bytearray()
        self._arrived = asyncio.Event()
        self._collecting = asyncio.get_running_loop().create_task(self._collect())

    async def take(self, most: int, wait_s: float) -> bytes:
        """Return the next 1 to `most` bytes, or b"" once the stream has ended.

        Raises TimeoutError if no byte arrives in `wait_s` seconds.
        """
        if self._waiting:
            await asyncio.sleep(PAUSE_S)
        async with asyncio.timeout(wait_s):
            await self._arrived.wait()
        taken = bytes(self._waiting[:most])
        del self._waiting[:most]
        if not self._waiting and not self._collecting.done():
            self._arrived.clear()
        return taken

    def close(self) -> None:
        """Stop collecting."""
        self._collecting.cancel()
        self._reader.close()

    async def _collect(self) -> None:
        try:
            async for chunk in self._reader:
                if len(self._waiting) + len(chunk) > MAX_WAITING_BYTES:
                    log.warning("voice_stream_cut", waiting_bytes=len(self._waiting))
                    self._reader.close()
                    break
                self._waiting += chunk
                self._arrived.set()
        except rtc.StreamError:
            pass  # the sender aborted the stream, or the room was lost: the stream ends here
        finally:
            self._arrived.set()
