"""A real AgentSession job with an avatar plugin that reports what happens; it runs in a separate environment.

Usage: `python agent_bot.py connect --room NAME`. In the environment: PLUGIN, the module below `livekit.plugins`; AVATAR
or PORTRAIT; and STEPS: "say" speaks to its end, "interrupt" is cut off after one second, "long" speaks for ten seconds,
and "joined" waits for the avatar. Prints one JSON object a line, after "BOT ".
"""

import asyncio
import importlib
import json
import math
import os
import struct
import time
from collections.abc import AsyncIterator

from livekit import rtc
from livekit.agents import Agent, AgentServer, AgentSession, APIConnectOptions, JobContext, cli

RATE = 24_000
PATIENCE_S = 60.0  # for avatar and studio, which are slow on a busy machine, but not gone
SECONDS = {"say": 1.0, "interrupt": 10.0, "long": 10.0}
server = AgentServer()


def say(**facts: object) -> None:
    line = json.dumps({"at": time.monotonic(), **facts})
    os.write(1, f"BOT {line}\n".encode())  # in one write, so that no other output splits the line


async def tone(seconds: float) -> AsyncIterator[rtc.AudioFrame]:
    samples = [int(9000 * math.sin(2 * math.pi * 300 * at / RATE)) for at in range(int(RATE * seconds))]
    for start in range(0, len(samples), RATE // 50):
        block = samples[start : start + RATE // 50]
        yield rtc.AudioFrame(struct.pack(f"<{len(block)}h", *block), RATE, 1, len(block))


@server.rtc_session()
async def entrypoint(ctx: JobContext) -> None:
    plugin = importlib.import_module(f"livekit.plugins.{os.environ['PLUGIN']}")
    session = AgentSession(vad=None)
    attempts = APIConnectOptions(max_retry=int(os.environ.get("RETRIES", "3")), retry_interval=0.5)
    portrait = os.environ.get("PORTRAIT")
    face = {"avatar_image": portrait, "avatar_rights": "Mine."} if portrait else {"avatar_id": os.environ["AVATAR"]}
    ours = os.environ["PLUGIN"] == "personastudio"
    more = {"width": 256, "height": 256, "join_timeout": PATIENCE_S} if ours else {}
    if ours:
        importlib.import_module(f"{plugin.__name__}.studio").ASK_S = PATIENCE_S
    avatar = plugin.AvatarSession(**face, **more, conn_options=attempts)
    there = asyncio.Event()
    if ours:
        avatar.on("avatar_joined", lambda: (there.set(), say(event="joined")))
        avatar.on("avatar_left", lambda why: (there.clear(), say(event="left", why=why)))
    try:
        await avatar.start(session, room=ctx.room)
    except Exception as error:
        say(event="no face", why=str(error))
    await session.start(agent=Agent(instructions=""), room=ctx.room)
    session.output.audio.on("playback_finished", lambda event: say(event="finished", heard=event.playback_position))
    heard = asyncio.Event()
    session.output.audio.on("playback_started", lambda event: (heard.set(), say(event="started")))
    for step in os.environ["STEPS"].split():
        if step == "joined":
            await there.wait()
            continue
        heard.clear()
        say(event="asked", step=step)
        said = session.say(step, audio=tone(SECONDS[step]))
        if step == "interrupt":
            await heard.wait()
            await asyncio.sleep(1.0)
            await session.interrupt()
        await said.wait_for_playout()
        say(event="said", step=step, interrupted=said.interrupted)
    say(event="done")
    ctx.shutdown("done")


if __name__ == "__main__":
    cli.run_app(server)
