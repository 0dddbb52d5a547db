"""The thread of the voices: a listener that leaves is released even when sound arrives at that moment."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from shared.voices.api import Spoken, Voice
from shared.voices.voice_thread import VoiceThread


class PromptVoice(Voice):
    """Speaks immediately and without end. speaks: set when the first block is requested."""

    name, title = "prompt", "Prompt"

    def __init__(self) -> None:
        self.speaks = threading.Event()

    async def speak(self, text: str) -> AsyncGenerator[Spoken, None]:
        self.speaks.set()
        while True:
            yield Spoken(bytes(4800), 24_000)


def test_a_listener_that_goes_when_a_block_has_just_come_is_let_go() -> None:
    thread, voice = VoiceThread(), PromptVoice()
    came = list[object]()

    async def listen() -> None:
        async with aclosing(thread.spoken(voice, "A sentence.")) as parts:
            async for part in parts:
                came.append(part)

    async def scenario() -> None:
        listening = asyncio.ensure_future(listen())
        await asyncio.sleep(0)
        voice.speaks.wait()
        threading.Event().wait(0.2)  # blocks this loop: block and cancellation reach the listener together
        asyncio.get_running_loop().call_soon(listening.cancel)
        with pytest.raises(asyncio.CancelledError):
            await listening
        assert not came

    asyncio.run(scenario())
    thread.close()
