"""The WebSockets of the conversation: for the console, and for watch pages whose link permits talking.

Only one person can talk with the host at a time.
"""

import asyncio
import json
import time
from collections.abc import Awaitable
from typing import Any

from fastapi import APIRouter, WebSocket

from services.gateway.api.routes.conversation import talk_settings, viewers_talk_settings
from services.gateway.api.sockets import (
    BAD_MESSAGE,
    MAX_BAD_MESSAGES,
    TAKEN,
    TOO_MANY_INVALID,
    admitted,
    until_first,
)
from services.gateway.api.watch_socket import close_socket, link_token
from services.gateway.audience.links import WatchRefusal, WatchRefusedError
from services.gateway.conversation.conversation import TalkerPresentError
from services.gateway.conversation.talker import Talker
from services.gateway.conversation.vad import SPEECH_RATE_HZ
from services.gateway.models.conversation import MOST_QUESTION_CHARACTERS, ConversationError
from services.gateway.service import Gateway
from shared.config.conversation import ConversationSettings
from shared.errors import StudioError
from shared.runtime.shown_text import one_line

router = APIRouter(prefix="/api/v1/channels/{channel}")

SILENT, NO_CONVERSATION = 4408, 4412
MOST_BLOCK_BYTES = 2 * SPEECH_RATE_HZ  # sound in one message, at most one second
MOST_TEXT_CHARACTERS = 6 * MOST_QUESTION_CHARACTERS + 100  # a JSON message; one escaped character takes up to six
MOST_REASON_BYTES = 123  # longest reason in a close frame, by RFC 6455
SILENCE_S = 120.0  # seconds of silence after which a viewer has to make room for others
CHECK_PERIOD_S = 1.0
TOO_LONG = f"A question has at most {MOST_QUESTION_CHARACTERS:,} characters; shorten it."
SAID_NOTHING = "You said nothing for two minutes; press Talk to continue."


@router.websocket("/conversation")
async def conversation_socket(socket: WebSocket, channel: str) -> None:
    """Let the operator talk with the host.

    First message: JSON with the token. Then binary messages of sound, s16 mono at 16 kHz, of up to a second, and JSON
    {"type": "text", "text": ...}, {"type": "interrupt"} and {"type": "mute", "muted": ...}. The answers are
    ConversationState, ConversationLine, TurnLatency and ConversationError. A refused socket is closed with the reason.
    """
    opened = await admitted(socket, channel)
    if opened is None:
        return
    gateway, _ = opened
    try:
        settings = await talk_settings(gateway)
    except StudioError as error:
        await close_socket(socket, NO_CONVERSATION, _reason(str(error)))
        return
    await _talk(socket, gateway, settings, operator=True)


@router.websocket("/watch/conversation")
async def watched_conversation_socket(socket: WebSocket, channel: str) -> None:
    """Let a viewer talk with the host, if the link permits it. The messages are those of the operator's socket."""
    await socket.accept()
    gateway: Gateway = socket.app.state.gateway
    token = await link_token(socket)
    if token is None:
        return
    try:
        if channel != gateway.settings.channel:
            raise WatchRefusedError(WatchRefusal.BAD)
        link = gateway.seats.links.admit(token)
        settings = await viewers_talk_settings(gateway, link)
    except WatchRefusedError as error:
        await close_socket(socket, error.refusal.code, error.refusal.sentence)
        return
    except StudioError as error:
        await close_socket(socket, NO_CONVERSATION, _reason(str(error)))
        return
    await _talk(socket, gateway, settings, operator=False, link=link.id)


async def _talk(
    socket: WebSocket, gateway: Gateway, settings: ConversationSettings, *, operator: bool, link: str = ""
) -> None:
    try:
        talker = gateway.conversation.join(settings, operator=operator)
    except TalkerPresentError as error:
        await close_socket(socket, TAKEN, _reason(str(error)))
        return
    jobs: list[Awaitable[None]] = [_send(socket, talker), _listen(socket, gateway, talker)]
    if not operator:
        jobs.append(_while_allowed(socket, gateway, talker, link))
    try:
        await until_first(*jobs)
    finally:
        gateway.conversation.leave(talker)


async def _send(socket: WebSocket, talker: Talker) -> None:
    while True:
        for message in await talker.messages():
            await socket.send_text(message.model_dump_json())


async def _listen(socket: WebSocket, gateway: Gateway, talker: Talker) -> None:
    bad = 0
    while bad < MAX_BAD_MESSAGES:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        data = message.get("bytes")
        if data is None:
            bad += not _take_words(gateway, talker, message.get("text") or "")
        elif len(data) % 2 or not 0 < len(data) <= MOST_BLOCK_BYTES:
            bad += 1
        else:
            await talker.hear(data)
        await asyncio.sleep(0)  # a client that sends without a pause must not block the event loop
    await close_socket(socket, BAD_MESSAGE, TOO_MANY_INVALID)


def _take_words(gateway: Gateway, talker: Talker, text: str) -> bool:
    """Execute a text message; returns False for an invalid one."""
    if len(text) > MOST_TEXT_CHARACTERS:
        talker.tell(ConversationError(detail=TOO_LONG))
        return False
    try:
        words: Any = json.loads(text)
    except (ValueError, RecursionError):
        return False
    match words:
        case {"type": "text", "text": str(asked)} if len(asked) <= MOST_QUESTION_CHARACTERS:
            talker.active = time.monotonic()
            gateway.conversation.ask(one_line(" ".join(asked.split())))
        case {"type": "text", "text": str()}:
            talker.tell(ConversationError(detail=TOO_LONG))
            return False
        case {"type": "interrupt"}:
            gateway.conversation.interrupt()
        case {"type": "mute", "muted": bool(muted)}:
            talker.mute(muted)
        case _:
            return False
    return True


async def _while_allowed(socket: WebSocket, gateway: Gateway, talker: Talker, link: str) -> None:
    """Close a viewer's socket when its link is no longer valid or the viewer has said nothing for SILENCE_S."""
    while True:
        if refusal := gateway.seats.links.standing(link):
            await close_socket(socket, refusal.code, refusal.sentence)
            return
        if time.monotonic() - talker.active > SILENCE_S:
            await close_socket(socket, SILENT, SAID_NOTHING)
            return
        await asyncio.sleep(CHECK_PERIOD_S)


def _reason(sentence: str) -> str:
    """Return a sentence shortened to fit the reason of a close frame."""
    return sentence.encode()[:MOST_REASON_BYTES].decode(errors="ignore")
