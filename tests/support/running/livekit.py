"""A test's LiveKit server: settings for it, and a viewer of its room."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import SecretStr

from harness.viewers.subscriber import Received, receive_until
from publishing.token import viewer_token
from services.local.livekit_server import LiveKitServer
from shared.config.settings import Settings

SIZE_PX = (640, 360)


def keys(server: LiveKitServer) -> dict[str, Any]:
    return {
        "livekit_url": server.url,
        "livekit_api_key": server.key,
        "livekit_api_secret": SecretStr(server.secret),
    }


@contextmanager
def viewer(settings: Settings) -> Iterator[Received]:
    """Watch the room from a thread of this process; yields what was received so far."""
    got, loop, leave = Received(begun=time.monotonic()), asyncio.new_event_loop(), asyncio.Event()
    token = viewer_token(settings, 5).token

    def run() -> None:
        loop.run_until_complete(receive_until(settings.livekit_url, token, got, leave.wait))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield got
    finally:
        loop.call_soon_threadsafe(leave.set)
        thread.join()
        loop.close()
