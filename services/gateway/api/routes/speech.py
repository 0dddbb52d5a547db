"""HTTP API: speech files and texts to speak, the queue, interrupting and clearing it; the voices that speak texts."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from numpy.typing import NDArray
from pydantic import ValidationError

from services.gateway.api import snapshot
from services.gateway.api.addressed import ChannelGateway, gateway_of
from services.gateway.api.security import need_token
from services.gateway.api.uploads import FILE_FIELD, TEXT_FIELD, form_schema, received_form
from services.gateway.channel.speech_queue import QueueFullError, Utterance
from services.gateway.models.speech import Interrupted, SpeechState, TextToSay, UtteranceRow, VoiceRow, Voices
from services.gateway.service import Gateway
from shared.errors import StudioError
from shared.media.intake.damage import Damage
from shared.media.reader import read_sound
from shared.runtime.clock import SOUND_RATE_HZ
from shared.voices.registry import NO_VOICE, voice_summaries

routes = APIRouter(prefix="/api/v1/channels/{channel}/speech", dependencies=[Depends(need_token)])
voices_router = APIRouter(prefix="/api/v1", dependencies=[Depends(need_token)])

MAX_UPLOAD_BYTES = 64 << 20
FIELDS = {"audio": MAX_UPLOAD_BYTES, "title": 200}
FIRST_SOUND_WAIT_S = 3.0  # seconds that an answer waits for the first sound of a text, or for its failure


def ensure_speech(gateway: Gateway) -> None:
    """Make speech the driver unless it already is. Raises HTTPException if the engine has no voice input."""
    try:
        gateway.want_speech()
    except StudioError as error:
        raise HTTPException(409, str(error)) from None


@routes.get("")
async def list_speech(gateway: ChannelGateway) -> SpeechState:
    """The current utterance, the waiting ones, and the last ones that ended or were interrupted."""
    return snapshot.speech_state(gateway)


def _body_schema() -> dict[str, Any]:
    """Return the OpenAPI description of a body that is a form with a file, or JSON with a text."""
    schema = form_schema(["audio"], audio=FILE_FIELD, title=TEXT_FIELD)
    text = {"schema": {"$ref": "#/components/schemas/TextToSay"}}
    schema["requestBody"]["content"]["application/json"] = text
    return schema


@routes.post("", status_code=201, openapi_extra=_body_schema())
async def say(request: Request, gateway: ChannelGateway) -> UtteranceRow:
    """Queue a speech file or a text that a voice speaks.

    A file is sent as a form (WAV, MP3, OGG and others, at most 64 MB), a text as JSON (at most 10,000 characters).
    Speech becomes the driver. A text is answered at its first sound, after three seconds at the latest; an error after
    that is in the utterance's `note`.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        return await _say_text(gateway, await _text_of(request))
    return await _say_file(request, gateway)


async def _text_of(request: Request) -> TextToSay:
    try:
        return TextToSay.model_validate_json(await request.body())
    except ValidationError as error:
        found = [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
        raise RequestValidationError(found) from None


async def _say_text(gateway: Gateway, asked: TextToSay) -> UtteranceRow:
    utterance, begun = await queue_text(gateway, asked)
    try:
        async with asyncio.timeout(FIRST_SOUND_WAIT_S):
            await begun.wait()
    except TimeoutError:
        pass  # other texts are synthesised first, or the voice is slow
    if utterance.note and not utterance.received:
        raise HTTPException(502, utterance.note)
    return UtteranceRow(**utterance.as_dict())


async def queue_text(
    gateway: Gateway, asked: TextToSay, listener: Callable[[Utterance], None] | None = None
) -> tuple[Utterance, asyncio.Event]:
    """Queue a text and make speech the driver; returns the result of `TextSpeech.add`. Raises HTTPException."""
    try:
        queued = await gateway.texts.add(asked.text, asked.voice, listener)
    except QueueFullError as error:
        raise HTTPException(429, str(error)) from None
    except StudioError as error:
        raise HTTPException(422, str(error)) from None
    try:
        ensure_speech(gateway)
    except HTTPException:
        gateway.speech.cancel(queued[0].id)
        raise
    return queued


async def _say_file(request: Request, gateway: Gateway) -> UtteranceRow:
    async with received_form(request, gateway.settings.home, FIELDS) as form:
        if "audio" not in form.files:
            raise HTTPException(422, "Send the speech in the field 'audio'.")
        path, given = form.files["audio"], form.names["audio"] or "speech"
        damage = Damage()
        blocks = read_sound(path, damage)
        try:
            # The reader keeps the file open, so the rest can be read after the upload's folder is deleted.
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
    """Return about one more second of a file, (n,) int16, empty at its end. Raises StudioError if it is truncated."""
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
        utterance.note = "The file is truncated: its sound ends here."
        gateway.event_log.add(f"{utterance.title} is truncated; check that the file is complete.", "warning")
    if note := damage.sentence(utterance.title):
        gateway.event_log.add(note, "warning")
    utterance.finish()


@routes.post("/interrupt")
async def interrupt_speech(gateway: ChannelGateway) -> Interrupted:
    """Stop speaking immediately and drop all utterances."""
    return Interrupted(interrupted=gateway.speech.interrupt())


@routes.post("/clear")
async def clear_speech(gateway: ChannelGateway) -> Interrupted:
    """Drop the waiting utterances; the current one is spoken to its end."""
    return Interrupted(interrupted=gateway.speech.clear())


@routes.delete("/{utterance}", status_code=204)
async def cancel_utterance(utterance: str, gateway: ChannelGateway) -> None:
    """Drop one utterance, whether it is being spoken or waiting; the others stay."""
    if not gateway.speech.cancel(utterance):
        raise HTTPException(404, "There is no such utterance in the queue; GET .../speech lists it.")


@voices_router.get("/voices")
async def list_voices(request: Request) -> Voices:
    """The voices that speak texts, and for each unavailable one the reason and the command that helps."""
    rows = await asyncio.to_thread(voice_summaries, gateway_of(request).settings.voice)
    note = "" if any(not row.unavailable for row in rows) else NO_VOICE
    return Voices(voices=[VoiceRow(**asdict(row)) for row in rows], note=note)
