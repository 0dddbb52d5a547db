"""The audience's WebSocket: sends the program to viewers with a watch link, who cannot change anything.

The link's token is sent in the first message, never in the address. The protocol is that of the preview
(`services.gateway.preview.viewers`) without the message that chooses a mode; too many or too long messages, and
repeated invalid ones, close the socket.
"""

import asyncio
import json
from typing import Any

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from services.gateway.api.sockets import BAD_MESSAGE, TOKEN_WAIT_S, until_first
from services.gateway.audience.links import WatchRefusal, WatchRefusedError
from services.gateway.audience.viewer import SILENCE_S, WatchViewer
from services.gateway.service import Gateway

router = APIRouter(prefix="/api/v1/channels/{channel}")

MAX_FIRST_CHARACTERS = 2048
ODD = "The page sent too many messages or invalid ones; reload it."


@router.websocket("/watch")
async def watch_socket(socket: WebSocket, channel: str) -> None:
    """Send video and sound to one viewer; `services.gateway.preview.encoder` describes the format."""
    await socket.accept()
    gateway: Gateway = socket.app.state.gateway
    token = await link_token(socket)
    if token is None:
        return
    try:
        if channel != gateway.settings.channel:
            raise WatchRefusedError(WatchRefusal.BAD)
        viewer = gateway.seats.take(token)
    except WatchRefusedError as error:
        await close_socket(socket, error.refusal.code, error.refusal.sentence)
        return
    try:
        await until_first(
            _send(gateway, socket, viewer), _listen(gateway, socket, viewer), gateway.seats.until_ended(viewer)
        )
    finally:
        gateway.seats.leave(viewer)
    if viewer.ended:
        await close_socket(socket, viewer.ended.code, viewer.ended.sentence)
    else:
        await close_socket(socket, BAD_MESSAGE, ODD)


async def link_token(socket: WebSocket) -> str | None:
    """Return the token in the first message; without one, close the socket and return None."""
    try:
        async with asyncio.timeout(TOKEN_WAIT_S):
            said = (await socket.receive()).get("text") or ""
        words: Any = json.loads(said) if len(said) <= MAX_FIRST_CHARACTERS else None
    except (TimeoutError, ValueError, RecursionError):
        words = None
    except WebSocketDisconnect:
        return None
    token = words.get("token") if isinstance(words, dict) else None
    if isinstance(token, str):
        return token
    await close_socket(socket, WatchRefusal.BAD.code, WatchRefusal.BAD.sentence)
    return None


async def _send(gateway: Gateway, socket: WebSocket, viewer: WatchViewer) -> None:
    while True:
        for message in await viewer.messages():
            # A viewer that reads nothing fills only the system's socket buffers, and is then disconnected.
            try:
                async with asyncio.timeout(SILENCE_S):
                    await (socket.send_text(message) if isinstance(message, str) else socket.send_bytes(message))
            except TimeoutError:
                gateway.seats.end(viewer, WatchRefusal.SILENT)
                return
        gateway.audience.update(viewer)


async def _listen(gateway: Gateway, socket: WebSocket, viewer: WatchViewer) -> None:
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1000))
        if not viewer.accepts(message.get("text") or ""):
            return
        gateway.audience.update(viewer)


async def close_socket(socket: WebSocket, code: int, reason: str) -> None:
    """Close the socket with a reason, unless it is already closed."""
    try:
        await socket.close(code, reason)
    except (WebSocketDisconnect, RuntimeError):
        pass
