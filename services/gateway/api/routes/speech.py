"""Speech over HTTP and over a socket: files to be said, raw PCM as it is produced, interrupt and clear."""

import asyncio
import json
from collections.abc import Iterator
from typing import Literal

import numpy as np
from fastapi import APIRouter, Depends, HTTPException, Request, WebSocket
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.gateway.api import snapshot
from services.gateway.api.addressed import ChannelGateway
from services.gateway.api.security import need_token
from services.gateway.api.sockets import BAD_MESSAGE, admitted, until_first
from services.gateway.api.uploads import FILE_FIELD, TEXT_FIELD, form_schema, received_form
from services.gateway.channel.speech_queue import Utterance
from services.gateway.models.speech import Interrupted, SpeechState, UtteranceRow
from services.gateway.service import Gateway
from shared.driver_ref import DriverKind
from shared.errors import StudioError
from shared.media.intake.damage import Damage
from shared.media.intake.pcm_start import PcmStart
from shared.media.pcm import HIGHEST, LOWEST, PcmDecoder
from shared.media.reader import read_sound
from shared.runtime.clock import SOUND_RATE_HZ, US, now

routes = APIRouter(prefix="/api/v1/channels/{channel}/speech", dependencies=[Depends(need_token)])
socket_router = APIRouter(prefix="/api/v1/channels/{channel}")

MAX_UPLOAD_BYTES = 64 << 20
FIELDS = {"audio": MAX_UPLOAD_BYTES, "title": 200}
BUSY = 4429
PAUSE = US  # PCM that comes after such a pause begins another utterance, also without an `end`


def ensure_speech(gateway: Gateway) -> None:
    """Make speech the driver, if it is not. Raises HTTPException where the engine does not listen."""
    scene = gateway.scene_store.scene
    engines = gateway.health.service_facts("generator").get("engines", {})
    inputs = {name: about["inputs"] for name, about in engines.items() if "inputs" in about}
    if scene.engine in inputs and "voice" not in inputs[scene.engine]:
        listening = " or ".join(name for name, of in inputs.items() if "voice" in of) or "another engine"
        raise HTTPException(409, f"The engine {scene.engine} is not driven by a voice; choose {listening} first.")
    if scene.driver_ref.kind is not DriverKind.SPEECH:
        gateway.scene_store.change(driver=DriverKind.SPEECH.value)
        gateway.speech.driver_changed()
        gateway.event_log.add("Driver is now speech.")


@routes.get("")
async def list_speech(gateway: ChannelGateway) -> SpeechState:
    """What is being said, what waits, and the last that are over."""
    return snapshot.speech_state(gateway)


@routes.post("", status_code=201, openapi_extra=form_schema(["audio"], audio=FILE_FIELD, title=TEXT_FIELD))
async def say_file(request: Request, gateway: ChannelGateway) -> UtteranceRow:
    """Queue a speech file (WAV, MP3, OGG and others, at most 64 MB). Speech becomes the driver."""
    async with received_form(request, gateway.settings.home, FIELDS) as form:
        if "audio" not in form.files:
            raise HTTPException(422, "Send the speech in the field 'audio'.")
        path, given = form.files["audio"], form.names["audio"] or "speech"
        damage = Damage()
        blocks = read_sound(path, damage)
        try:
            # Read on after the upload's folder is gone: the file stays until it is closed.
            first = await asyncio.to_thread(_next, blocks)
        except StudioError as error:
            raise HTTPException(422, str(error)) from None
        if not len(first):
            raise HTTPException(422, f"{given} has no sound in it; send a speech file.")
        try:
            utterance = gateway.speech.add(form.fields.get("title", "").strip() or given)
        except StudioError as error:
            raise HTTPException(429, str(error)) from None
        try:
            ensure_speech(gateway)
        except HTTPException:
            gateway.speech.cancel(utterance.id)
            raise
    gateway.run_task(_fill(gateway, utterance, first, blocks, damage))
    return UtteranceRow(**utterance.as_dict())


def _next(blocks: Iterator[tuple[int, NDArray[np.int16]]]) -> NDArray[np.int16]:
    """About a second more of a file; empty at its end. Raises StudioError where it breaks off."""
    parts: list[NDArray[np.int16]] = []
    while sum(map(len, parts)) < SOUND_RATE_HZ and (block := next(blocks, None)) is not None:
        parts.append(block[1])
    return np.concatenate(parts) if parts else np.zeros(0, np.int16)


async def _fill(
    gateway: Gateway,
    utterance: Utterance,
    block: NDArray[np.int16],
    blocks: Iterator[tuple[int, NDArray[np.int16]]],
    damage: Damage,
) -> None:
    try:
        while len(block) and await utterance.write(block):
            block = await asyncio.to_thread(_next, blocks)
    except StudioError:
        utterance.note = "The file breaks off here."
        gateway.event_log.add(f"{utterance.title} breaks off before its end; is the file whole?", "warning")
    if note := damage.sentence(utterance.title):
        gateway.event_log.add(note, "warning")
    utterance.finish()


@routes.post("/interrupt")
async def interrupt_speech(gateway: ChannelGateway) -> Interrupted:
    """Silence at once: what is being said and all that waits is dropped."""
    return Interrupted(interrupted=gateway.speech.interrupt())


@routes.post("/clear")
async def clear_speech(gateway: ChannelGateway) -> Interrupted:
    """Drop what waits; the current utterance is spoken to its end."""
    return Interrupted(interrupted=gateway.speech.clear())


@routes.delete("/{utterance}", status_code=204)
async def cancel_utterance(utterance: str, gateway: ChannelGateway) -> None:
    """Drop one utterance, being said or waiting; the others stay."""
    if not gateway.speech.cancel(utterance):
        raise HTTPException(404, "There is no such utterance in the queue; GET .../speech lists it.")


class SpeechOpening(BaseModel):
    """The first message of a speech socket, beside the token."""

    model_config = ConfigDict(extra="forbid")

    token: str
    rate: int = Field(ge=LOWEST, le=HIGHEST)
    format: Literal["s16", "f32"] = "s16"
    channels: Literal[1, 2] = 1
    title: str = Field("Live speech", max_length=200)


@socket_router.websocket("/speech")
async def speech_socket(socket: WebSocket, channel: str) -> None:
    """Raw PCM as it is produced.

    First message: JSON with token, rate (8000 to 96000), format (s16 or f32, little-endian), channels (1 or 2) and
    title. Then binary messages of PCM, of any size; JSON {"do": "end"} ends an utterance (the next PCM begins another),
    {"do": "interrupt"} and {"do": "clear"} act on the whole queue. Answers: {"event": "ready"}, then for each of its
    utterances {"event": "queued" | "started" | "ended" | "interrupted", "id", "title"}. When half a minute of sound is
    waiting the socket is not read any further until some of it has been said (POST .../interrupt is heard all the same).
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
    """One speech socket: its decoder and the utterance that is arriving on it."""

    def __init__(self, gateway: Gateway, opening: SpeechOpening) -> None:
        self.utterance: Utterance | None = None
        self._gateway, self._opening = gateway, opening
        self._decoder, self._start = self._new_decoder(), PcmStart()
        self._events: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._fed = 0

    def _new_decoder(self) -> PcmDecoder:
        return PcmDecoder(self._opening.rate, self._opening.format, self._opening.channels)

    async def send_events(self, socket: WebSocket) -> None:
        """Events to the socket, as they come."""
        while True:
            await socket.send_text(json.dumps(await self._events.get()))

    async def receive_until_closed(self, socket: WebSocket) -> None:
        """What the socket says, until it closes or says what it should not."""
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            try:
                if message.get("bytes") is not None:
                    await self._pcm(message["bytes"])
                else:
                    await self._words(message.get("text") or "")
            except ValueError as error:
                await socket.close(BAD_MESSAGE, str(error)[:120])
                return
            except (StudioError, HTTPException) as error:
                await socket.close(BUSY, str(getattr(error, "detail", error))[:120])
                return

    async def _pcm(self, data: bytes) -> None:
        pause, self._fed = now() - self._fed, now()
        if self.utterance is None or self.utterance.is_over or self.utterance.complete:
            if self.utterance is not None and self.utterance.state == "interrupted" and pause < PAUSE:
                return  # the rest of what another client interrupted
            data = self._start.feed(data)
            if not data:
                return
            ensure_speech(self._gateway)
            self._decoder, self._start = self._new_decoder(), PcmStart()
            self.utterance = self._gateway.speech.add(self._opening.title, self._heard)
        await self.utterance.write(self._decoder.feed(data))

    async def _words(self, text: str) -> None:
        words = json.loads(text)
        match words.get("do") if isinstance(words, dict) else None:
            case "end":
                if held := self._start.rest():
                    await self._pcm(held)
                self._start = PcmStart()
                if self.utterance:
                    await self.utterance.write(self._decoder.flush())
                    self.utterance.finish()
                self.utterance = None
            case "interrupt":
                self._gateway.speech.interrupt()
                self.utterance = None
            case "clear":
                self._gateway.speech.clear()
            case _:
                raise ValueError('Send PCM, or {"do": "end" | "interrupt" | "clear"}.')

    def _heard(self, utterance: Utterance) -> None:
        self._events.put_nowait({"event": utterance.state, "id": utterance.id, "title": utterance.title})
