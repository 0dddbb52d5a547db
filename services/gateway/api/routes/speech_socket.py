"""The speech WebSocket: raw PCM as it is produced, and texts that a voice speaks, queued in order of arrival."""

import asyncio
import json
from typing import Any, Literal

from fastapi import APIRouter, HTTPException, WebSocket
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.gateway.api.routes.speech import ensure_speech, queue_text
from services.gateway.api.sockets import BAD_MESSAGE, admitted, until_first
from services.gateway.channel.speech_queue import Utterance
from services.gateway.models.speech import TextToSay
from services.gateway.service import Gateway
from shared.errors import StudioError
from shared.media.intake.pcm_start import PcmStart
from shared.media.pcm import HIGHEST, LOWEST, PcmDecoder
from shared.runtime.clock import SOUND_RATE_HZ, US, now

router = APIRouter(prefix="/api/v1/channels/{channel}")

BUSY = 4429
PAUSE = US  # after an interrupt, PCM that follows a pause of this length begins a new utterance


class SpeechOpening(BaseModel):
    """The first message of a speech socket."""

    model_config = ConfigDict(extra="forbid")

    token: str
    rate: int = Field(SOUND_RATE_HZ, ge=LOWEST, le=HIGHEST)
    format: Literal["s16", "f32"] = "s16"
    channels: Literal[1, 2] = 1
    title: str = Field("Live speech", max_length=200)


@router.websocket("/speech")
async def speech_socket(socket: WebSocket, channel: str) -> None:
    """Receive raw PCM as it is produced, and texts to speak.

    First message: JSON with token, rate (8000 to 96000, default 48000), format (s16 or f32, little-endian), channels (1
    or 2) and title. Then binary messages of PCM, of any size. JSON {"do": "end"} ends the utterance, so that the next
    PCM begins another; {"text": ..., "voice": ...} also ends it, and queues a text after it; {"do": "interrupt"} and
    {"do": "clear"} act on the whole queue. Answers: {"event": "ready"}, then for each utterance of this socket
    {"event": "queued" | "started" | "ended" | "interrupted", "id", "title", "note"}, and {"event": "refused", "note"}
    for a text that cannot be spoken. While half a minute of sound is waiting, the socket is not read until some of it
    has been spoken, so only POST .../interrupt can interrupt then.
    """
    opened = await admitted(socket, channel)
    if opened is None:
        return
    gateway, words = opened
    try:
        opening = SpeechOpening.model_validate(words)
        ensure_speech(gateway)
    except ValidationError as error:
        first = error.errors()[0]
        await socket.close(BAD_MESSAGE, f"'{'.'.join(map(str, first['loc']))}': {first['msg']}."[:120])
        return
    except HTTPException as error:
        await socket.close(BUSY, str(error.detail)[:120])
        return
    talk = SpeechSocket(gateway, opening)
    await socket.send_text(json.dumps({"event": "ready"}))
    try:
        await until_first(talk.send_events(socket), talk.receive_until_closed(socket))
    finally:
        if talk.utterance:
            talk.utterance.finish()


class SpeechSocket:
    """One speech socket: its PCM decoder, the utterance being received and the events to send."""

    def __init__(self, gateway: Gateway, opening: SpeechOpening) -> None:
        self.utterance: Utterance | None = None
        self._gateway, self._opening = gateway, opening
        self._decoder, self._start = self._new_decoder(), PcmStart()
        self._events: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._fed = 0

    def _new_decoder(self) -> PcmDecoder:
        return PcmDecoder(self._opening.rate, self._opening.format, self._opening.channels)

    async def send_events(self, socket: WebSocket) -> None:
        """Send events to the socket until cancelled."""
        while True:
            await socket.send_text(json.dumps(await self._events.get()))

    async def receive_until_closed(self, socket: WebSocket) -> None:
        """Process the socket's messages until it closes or sends an invalid one."""
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            try:
                if message.get("bytes") is not None:
                    await self._pcm(message["bytes"])
                else:
                    await self._words(message.get("text") or "")
            except (ValueError, RecursionError) as error:
                await socket.close(BAD_MESSAGE, str(error)[:120])
                return
            except (StudioError, HTTPException) as error:
                await socket.close(BUSY, str(getattr(error, "detail", error))[:120])
                return

    async def _pcm(self, data: bytes) -> None:
        pause, self._fed = now() - self._fed, now()
        if self.utterance is None or self.utterance.is_over or self.utterance.complete:
            if self.utterance is not None and self.utterance.state == "interrupted" and pause < PAUSE:
                return  # still the utterance that was interrupted through another connection
            data = self._start.feed(data)
            if not data:
                return
            ensure_speech(self._gateway)
            self._decoder, self._start = self._new_decoder(), PcmStart()
            self.utterance = self._gateway.speech.add(self._opening.title, self._heard)
        await self.utterance.write(self._decoder.feed(data))

    async def _words(self, text: str) -> None:
        words = json.loads(text)
        if isinstance(words, dict) and "text" in words:
            await self._say(words)
            return
        match words.get("do") if isinstance(words, dict) else None:
            case "end":
                await self._end_pcm()
            case "interrupt":
                self._gateway.speech.interrupt()
                self.utterance = None
            case "clear":
                self._gateway.speech.clear()
            case _:
                raise ValueError('Send PCM, {"text": ...}, or {"do": "end" | "interrupt" | "clear"}.')

    async def _end_pcm(self) -> None:
        if held := self._start.rest():
            await self._pcm(held)
        self._start = PcmStart()
        if self.utterance:
            await self.utterance.write(self._decoder.flush())
            self.utterance.finish()
        self.utterance = None

    async def _say(self, words: dict[str, Any]) -> None:
        """Queue a text after the PCM that was received before it."""
        await self._end_pcm()
        try:
            await queue_text(self._gateway, TextToSay.model_validate(words), self._heard)
        except ValidationError as error:
            first = error.errors()[0]
            self._refuse(f"'{'.'.join(map(str, first['loc']))[:60]}': {first['msg']}.")
        except HTTPException as error:
            self._refuse(str(error.detail))

    def _refuse(self, why: str) -> None:
        self._events.put_nowait({"event": "refused", "note": why})

    def _heard(self, utterance: Utterance) -> None:
        self._events.put_nowait(
            {"event": utterance.state, "id": utterance.id, "title": utterance.title, "note": utterance.note}
        )
