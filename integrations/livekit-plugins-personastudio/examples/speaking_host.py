"""A scripted agent with a face. It needs a LiveKit server and a studio of your own, and no cloud key and no model.

    python speaking_host.py connect --room demo

It says a WAV file, interrupts itself, and says it again. WAV names the file (16 bit, one channel); without it the agent
hums. The address where it can be watched is printed.
"""

import asyncio
import datetime
import math
import os
import struct
import urllib.parse
import wave
from collections.abc import AsyncIterator

from livekit import api, rtc
from livekit.agents import Agent, AgentServer, AgentSession, JobContext, cli
from livekit.plugins import personastudio

BLOCK_S = 0.02
INTERRUPT_AFTER_S = 1.0
server = AgentServer()


def speech() -> tuple[int, bytes]:
    """Return (rate in Hz, 16-bit samples of one channel)."""
    path = os.getenv("WAV")
    if path:
        with wave.open(path) as file:
            return file.getframerate(), file.readframes(file.getnframes())
    rate = 24_000
    times = [at / rate for at in range(3 * rate)]
    hum = (9000 * math.sin(2 * math.pi * 160 * at) * max(0.0, math.sin(2 * math.pi * 2 * at)) for at in times)
    return rate, b"".join(struct.pack("<h", int(sample)) for sample in hum)


async def frames(rate: int, samples: bytes) -> AsyncIterator[rtc.AudioFrame]:
    """Yield the speech in blocks, as a synthesiser does."""
    step = int(rate * BLOCK_S) * 2
    for start in range(0, len(samples), step):
        block = samples[start : start + step]
        yield rtc.AudioFrame(block, rate, 1, len(block) // 2)


def watch_address(room: str) -> str:
    """Return the address at which a browser shows the room."""
    token = (
        api.AccessToken()
        .with_identity("viewer")
        .with_grants(api.VideoGrants(room_join=True, room=room, can_publish=False))
        .with_ttl(datetime.timedelta(hours=1))
        .to_jwt()
    )
    query = urllib.parse.urlencode({"liveKitUrl": os.environ["LIVEKIT_URL"], "token": token})
    return f"https://meet.livekit.io/custom?{query}"


@server.rtc_session()
async def entrypoint(ctx: JobContext) -> None:
    """Run one job: a greeting, an interruption, a goodbye."""
    print("watch:", watch_address(ctx.room.name), flush=True)
    session: AgentSession[None] = AgentSession(vad=None)
    avatar = personastudio.AvatarSession()
    avatar.on("avatar_joined", lambda: print("the avatar speaks", flush=True))
    avatar.on("avatar_left", lambda why: print("the agent speaks by itself:", why, flush=True))
    try:
        await avatar.start(session, room=ctx.room)
    except personastudio.PersonaStudioException as error:
        print("no face:", error, flush=True)
    await session.start(agent=Agent(instructions=""), room=ctx.room)
    rate, samples = speech()
    for words in ("This is what I was given to say.", "And this I shall not finish.", "Goodbye."):
        said = session.say(words, audio=frames(rate, samples))
        if words.startswith("And"):
            await asyncio.sleep(INTERRUPT_AFTER_S)
            await session.interrupt()
        await said.wait_for_playout()
        print(f"said: {words} interrupted={said.interrupted}", flush=True)
    ctx.shutdown("the script is over")


if __name__ == "__main__":
    cli.run_app(server)
