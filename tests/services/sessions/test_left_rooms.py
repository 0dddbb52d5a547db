"""A room that was left leaves no memory behind in the process."""

import asyncio
import ctypes
import gc
import time
import uuid
from fractions import Fraction

import numpy as np
import pytest

from harness.sessions.voice_agent import room_token
from publishing.media import RoomMedia
from publishing.publication import Publication
from publishing.stay import stay_in_room
from services.local.livekit_server import LiveKitServer
from services.sessions.agent_link import AgentLink
from services.sessions.speech_line import SpeechLine
from shared.wire.program import ProgramFrame

AT_ONCE, WARM_ROUNDS, ROUNDS = 4, 3, 6
SETTLES_S, GONE_S = 3.0, 120.0
MOST_A_ROOM = 200_000  # bytes; a room that is not released holds about 650,000


class _Mallinfo2(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"
        )
    ]  # fmt: skip


def allocated() -> int:
    """Return the bytes that malloc has allocated in this process."""
    libc = ctypes.CDLL(None)
    libc.mallinfo2.restype = _Mallinfo2
    gc.collect()
    info = libc.mallinfo2()
    return int(info.uordblks + info.hblkhd)


async def visit(server: LiveKitServer) -> None:
    """Join a room as an avatar, and leave it once the room is live."""
    room, leave = uuid.uuid4().hex, asyncio.Event()
    first = ProgramFrame(0, 0, np.zeros((96, 64), np.uint8), "sample", 0, None, False, "idle", 0)
    media = RoomMedia(first, Fraction(25))
    link = AgentLink("agent", SpeechLine(0), media.clear_sound, leave.set)

    def say(state: str, note: str = "", **figures: float) -> None:
        if state == "live":
            leave.set()

    publication = Publication(url=server.url, identity="avatar", rate=Fraction(25), guest=True)
    await stay_in_room(publication, media, leave, say, lambda: room_token(server, room, "avatar"), link)
    link.close()
    await media.close()


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="this C library does not say what is in use")
def test_a_room_that_was_left_takes_no_memory(livekit_server: LiveKitServer) -> None:
    async def rounds(count: int) -> int:
        for _ in range(count):
            await asyncio.gather(*(visit(livekit_server) for _ in range(AT_ONCE)))
        return allocated()

    async def growth() -> int:
        await rounds(WARM_ROUNDS)
        await asyncio.sleep(SETTLES_S)
        before = allocated()
        after = await rounds(ROUNDS)
        deadline = time.monotonic() + GONE_S  # the SDK closes its connections after it has answered
        while after - before > MOST_A_ROOM * AT_ONCE * ROUNDS and time.monotonic() < deadline:
            await asyncio.sleep(0.2)
            after = allocated()
        return after - before

    assert asyncio.run(growth()) < MOST_A_ROOM * AT_ONCE * ROUNDS
