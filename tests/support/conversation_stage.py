"""A conversation with a running speech queue and a voice that is a tone, and all messages to its talker."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

from harness.channel import PATIENCE_S
from harness.speech_server import KEY
from harness.talk_server import TalkServer
from services.gateway.channel.event_log import EventLog
from services.gateway.channel.speech_queue import SpeechQueue
from services.gateway.channel.text_speech import TextSpeech
from services.gateway.conversation.conversation import HostConversation
from services.gateway.conversation.talker import Talker
from services.gateway.conversation.vad import TurnEnded
from services.gateway.models.conversation import (
    ConversationError,
    ConversationLine,
    ConversationState,
    TalkMessage,
)
from shared.config.conversation import ConversationSettings
from shared.errors import StudioError
from shared.runtime.clock import SOUND_RATE_HZ
from shared.voices.api import Spoken, Voice, VoiceError
from tests.support.files.sound_files import tone

TURN = TurnEnded(bytes(32_000), 620)
DELAY_US = 20_000


class ShortVoice(Voice):
    """Speaks a tone of a fortieth of a second for each word."""

    name = "short"
    title = "Short"
    fails = False

    async def speak(self, text: str) -> AsyncGenerator[Spoken, None]:
        if self.fails:
            raise VoiceError("Short has lost its voice; use another.")
        for _ in text.split():
            yield Spoken(tone(0.025).tobytes(), SOUND_RATE_HZ)


async def until(true: Callable[[], object]) -> None:
    while not true():  # noqa: ASYNC110 - what it waits for is in other threads too
        await asyncio.sleep(0.001)


class TalkStage:
    """A conversation with a running speech queue, and all messages to its talker."""

    def __init__(self, server: TalkServer) -> None:
        self.server, self.voice = server, ShortVoice()
        self.told: list[TalkMessage] = []
        self.sent, self.delay_us = 0, DELAY_US
        self.refused = ""
        self.given: dict[str, object] = {
            "speech_to_text_url": server.url, "chat_url": server.url, "chat_key": KEY, "speech_to_text_key": KEY,
            "system_prompt": "",
        }  # fmt: skip

    def run(self, scenario: Callable[[], Awaitable[None]]) -> None:
        async def whole() -> None:
            self.log = EventLog()
            self.speech = SpeechQueue(self.log, self._send, lambda: None, lambda: self.delay_us)
            self.texts = TextSpeech(self.speech, self.log, "")
            self.talk = HostConversation(self.texts, self.speech, self._want_speech, self.log)
            self.running = [asyncio.ensure_future(each) for each in (self.speech.run(), self.talk.run())]
            try:
                await asyncio.wait_for(scenario(), PATIENCE_S)
            finally:
                await self.talk.close()
                left = asyncio.all_tasks() - {asyncio.current_task()}
                for task in left:
                    task.cancel()
                await asyncio.gather(*left, return_exceptions=True)
                await asyncio.to_thread(self.texts.close)

        asyncio.run(whole())

    def join(self, *, operator: bool = True) -> Talker:
        talker = self.talk.join(ConversationSettings.load(self.given), operator=operator)

        async def follow() -> None:
            while True:
                self.told += await talker.messages()

        self.following = asyncio.ensure_future(follow())
        return talker

    def _send(self, pts: int, samples: object) -> None:
        self.sent += 1

    def _want_speech(self) -> None:
        if self.refused:
            raise StudioError(self.refused)

    def lines(self, role: str) -> list[str]:
        """The final lines of the transcript."""
        return [m.text for m in self.final_lines() if m.role == role]

    def final_lines(self) -> list[ConversationLine]:
        return [m for m in self.told if isinstance(m, ConversationLine) and m.final]

    def heard(self) -> str:
        """Return the part of the answer that the page shows now."""
        return next((m.text for m in reversed(self.told) if isinstance(m, ConversationLine) and m.role == "host"), "")

    def states(self) -> list[str]:
        return [m.state for m in self.told if isinstance(m, ConversationState)]

    def errors(self) -> list[str]:
        return [m.detail for m in self.told if isinstance(m, ConversationError)]

    async def listening(self) -> None:
        await until(lambda: self.states() and self.states()[-1] == "listening")

    def asked(self) -> list[list[tuple[str, str]]]:
        """Return the (role, text) messages of each request to the chat server."""
        return [[(each["role"], each["content"]) for each in asked["messages"]] for asked in self.server.asked]
