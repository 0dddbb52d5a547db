"""WebSockets for the state, the preview and a browser as driver.

The token is sent in the first message, never in the address.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from services.gateway.api import snapshot
from services.gateway.api.security import same_token
from services.gateway.channel.captions import Caption
from services.gateway.models.speech import CaptionsMessage
from services.gateway.preview.viewers import PreviewViewer
from services.gateway.service import Gateway
from shared.driver_ref import DriverKind

router = APIRouter(prefix="/api/v1/channels/{channel}")

TOKEN_WAIT_S = 3.0
STATE_PERIOD_S = 0.25
STATE_SHARED_S = 0.1  # seconds for which all pages share one snapshot
BAD_TOKEN, BAD_MESSAGE, NO_CHANNEL, TAKEN, NOT_WANTED = 4401, 4400, 4404, 4409, 4410
DEVICES = {DriverKind.BROWSER: "camera", DriverKind.MICROPHONE: "microphone"}  # device that the page captures
MAX_FIRST_CHARACTERS = 4096  # longest first message, which has the token
MAX_BAD_MESSAGES = 100  # invalid messages after which the socket is closed
TOO_MANY_INVALID = "The page sent too many invalid messages; reload it."


async def admitted(socket: WebSocket, channel: str) -> tuple[Gateway, dict[str, Any]] | None:
    """Accept the socket and return the gateway and the first message, if that message has the operator's token.

    Otherwise close the socket with the reason and return None.
    """
    await socket.accept()
    gateway: Gateway = socket.app.state.gateway
    try:
        async with asyncio.timeout(TOKEN_WAIT_S):
            said = await socket.receive_text()
        words: Any = json.loads(said) if len(said) <= MAX_FIRST_CHARACTERS else None
    except (TimeoutError, ValueError, KeyError, RecursionError):
        words = None
    except WebSocketDisconnect:
        return None
    token = words.get("token") if isinstance(words, dict) else None
    if not isinstance(words, dict) or not isinstance(token, str) or not same_token(token, socket.app.state.token):
        await socket.close(BAD_TOKEN, "The operator's token is missing or wrong.")
        return None
    if channel != gateway.settings.channel:
        await socket.close(NO_CHANNEL, f"This studio's channel is '{gateway.settings.channel}'.")
        return None
    return gateway, words


async def until_first(*jobs: Awaitable[None]) -> None:
    """Run the awaitables until the first of them ends, then cancel the others. A disconnect is not an error."""
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    except WebSocketDisconnect:
        pass
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _silence(socket: WebSocket) -> None:
    """Wait until the page disconnects; ignore its messages."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


def _state_text(gateway: Gateway) -> str:
    """Return the state as JSON, made at most once per STATE_SHARED_S for all pages."""
    made, text = gateway.told
    if time.monotonic() - made > STATE_SHARED_S:
        text = snapshot.snapshot(gateway).model_dump_json()
        gateway.told = time.monotonic(), text
    return text


@router.websocket("/state")
async def state_socket(socket: WebSocket, channel: str) -> None:
    """Send the channel's state four times a second, and jobs and captions, in separate messages, when they change."""
    opened = await admitted(socket, channel)
    if opened is None:
        return
    gateway, _ = opened

    async def send() -> None:
        told = ""
        while True:
            await socket.send_text(_state_text(gateway))
            if (text := gateway.jobs.watched()) is not told:
                told = text
                await socket.send_text(text)
            await asyncio.sleep(STATE_PERIOD_S)

    await until_first(send(), _send_captions(gateway, socket), _silence(socket))


async def _send_captions(gateway: Gateway, socket: WebSocket) -> None:
    """Send the last captions, and again whenever one of them changes."""
    changed = asyncio.Event()

    def hear(_: Caption) -> None:
        changed.set()

    captions = gateway.speech.captions
    captions.add_listener(hear)
    try:
        while True:
            changed.clear()
            if captions.recent:
                await socket.send_text(CaptionsMessage(captions=list(captions.recent)).model_dump_json())
            await changed.wait()
    finally:
        captions.remove_listener(hear)


@router.websocket("/preview")
async def preview_socket(socket: WebSocket, channel: str, mode: str = "full") -> None:
    """Send video and sound to a viewer.

    `services.gateway.preview.encoder` describes the format, `services.gateway.preview.viewers` the protocol.
    """
    opened = await admitted(socket, channel)
    if opened is None:
        return
    gateway, _ = opened
    viewer = PreviewViewer(mode="roi" if mode == "roi" else "full")

    async def send() -> None:
        while True:
            for message in await viewer.messages():
                await (socket.send_text(message) if isinstance(message, str) else socket.send_bytes(message))
            gateway.audience.update(viewer)

    async def listen() -> None:
        bad = 0
        while bad < MAX_BAD_MESSAGES:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            bad += not viewer.receive_text(message.get("text") or "")
            gateway.audience.update(viewer)
        await socket.close(BAD_MESSAGE, TOO_MANY_INVALID)

    gateway.audience.join(viewer)
    try:
        await until_first(send(), listen())
    finally:
        gateway.audience.leave(viewer)


@router.websocket("/driver")
async def driver_socket(socket: WebSocket, channel: str) -> None:
    """Receive camera and microphone of one browser.

    A message is one byte for its kind (1: JPEG frame, 2: s16 sound at 48 kHz), followed by the data.
    """
    opened = await admitted(socket, channel)
    if opened is None:
        return
    gateway, _ = opened
    if gateway.scene_store.scene.driver_ref.kind not in DEVICES:
        await socket.close(NOT_WANTED, "The driver is not the browser; choose it first.")
        return
    if gateway.remote.taken:
        await socket.close(TAKEN, "Another browser is the driver; stop it there first.")
        return
    async with _driving(gateway):
        await until_first(_pass_on(gateway, socket), _while_wanted(gateway, socket))


@asynccontextmanager
async def _driving(gateway: Gateway) -> AsyncIterator[None]:
    gateway.remote.begin()
    device = DEVICES[gateway.scene_store.scene.driver_ref.kind]
    gateway.event_log.add(f"A browser's {device} is the driver.")
    try:
        yield
    finally:
        gateway.remote.taken = False
        gateway.event_log.add(f"The browser's {device} stopped.")


async def _pass_on(gateway: Gateway, socket: WebSocket) -> None:
    bad = 0
    while bad < MAX_BAD_MESSAGES:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        bad += not gateway.remote.pass_on(message.get("bytes") or b"")
    await socket.close(BAD_MESSAGE, TOO_MANY_INVALID)


async def _while_wanted(gateway: Gateway, socket: WebSocket) -> None:
    wanted = gateway.scene_store.scene.driver
    # Polled, because the scene may change in any thread.
    while gateway.scene_store.scene.driver == wanted:  # noqa: ASYNC110
        await asyncio.sleep(STATE_PERIOD_S)
    await socket.close(NOT_WANTED, "Another driver was chosen.")
