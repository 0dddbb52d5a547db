"""Sessions from the request to their end: real processes, a real LiveKit server, an agent like LiveKit Agents'."""

import asyncio
import json
import os
import signal
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from harness.channel import wait_for
from harness.sessions.session_studio import SessionStudio
from harness.sessions.voice_agent import AVATAR, VoiceAgent, avatar_token, buzz
from services.local.livekit_server import LiveKitServer
from tests.support.running.channel_looks import ENDS_S
from tests.support.running.small_sessions import small_session_studio


@pytest.fixture(scope="module")
def serving(livekit_server: LiveKitServer, small_home: Path) -> Iterator[SessionStudio]:
    with small_session_studio(livekit_server, small_home) as made:
        yield made


def play(
    serving: SessionStudio, scene: Callable[[VoiceAgent, str], Awaitable[None]], room: str = "", **more: Any
) -> str:
    """Run `scene` with an agent in a room, once its avatar shows itself; return the session.

    room: a new room where empty.
    """
    room = room or f"room-{uuid.uuid4().hex[:8]}"

    async def body() -> str:
        agent = VoiceAgent(serving.server, room)
        await agent.connect()
        try:
            session = await asyncio.to_thread(serving.open_session, room, **more)
            await agent.until(lambda: len(agent.frames) > 5)
            await scene(agent, session)
        except AssertionError:
            print(await asyncio.to_thread(serving.row, session))
            raise
        finally:
            await agent.close()
        return session

    return asyncio.run(body())


def kept_token(serving: SessionStudio, session: str) -> str:
    """Return the token with which a session would join its room if it were restarted now."""
    rows = json.loads((serving.settings.run_dir / "sessions.json").read_text(encoding="utf-8"))
    row = next(row for row in rows if row["spec"]["id"] == session)
    return str(row["renewed"] or row["spec"]["token"])


def whole(finished: tuple[float, bool], seconds: float) -> bool:
    """Return whether all of a segment of this many seconds was heard."""
    return abs(finished[0] - seconds) < 0.02 and not finished[1]


def test_it_says_what_its_agent_sends_and_reports_each_segment_once(serving: SessionStudio) -> None:
    async def scene(agent: VoiceAgent, session: str) -> None:
        await agent.until(lambda: (256, 448) in agent.frames)
        assert not agent.loud
        assert agent.room.remote_participants[AVATAR].kind == 4  # the kind of an agent
        await agent.say(buzz(0.6))
        await agent.say(buzz(0.4, 16_000), 16_000)
        await agent.until(lambda: len(agent.finished) == 2)
        assert [(round(seconds, 1), cut) for seconds, cut in agent.finished] == [(0.6, False), (0.4, False)]
        await agent.until(lambda: agent.started == 2 and agent.loud)
        await agent.say(buzz(0.8), pause=0.6)
        await agent.until(lambda: len(agent.finished) == 3)
        assert round(agent.finished[2][0], 1) == 0.8 and not agent.finished[2][1]
        await asyncio.to_thread(wait_for, lambda: serving.row(session)["figures"].get("fps", 0) > 0)
        row = serving.row(session)
        assert (row["state"], row["note"], row["width"]) == ("live", "", 256)

    play(serving, scene, width=256, height=448)


def test_an_interrupt_ends_all_that_waits_and_says_how_much_was_heard(serving: SessionStudio) -> None:
    async def scene(agent: VoiceAgent, session: str) -> None:
        begun = time.monotonic()
        await agent.say(buzz(30.0))
        await agent.say(buzz(1.0))
        await agent.until(lambda: len(agent.loud) > 25)
        assert await agent.interrupt() == "ok"
        cut = time.monotonic()
        await agent.until(lambda: len(agent.finished) == 2)
        assert [interrupted for _, interrupted in agent.finished] == [True, True]
        assert 0 < agent.finished[0][0] < cut - begun and agent.finished[1][0] == 0
        await agent.say(buzz(0.5))
        await agent.until(lambda: len(agent.finished) == 3)
        assert whole(agent.finished[2], 0.5)

    play(serving, scene)


def test_only_the_agent_may_speak_and_interrupt(serving: SessionStudio) -> None:
    async def scene(agent: VoiceAgent, session: str) -> None:
        other = VoiceAgent(agent.server, agent.room_name, "another")
        await other.connect()
        try:
            await other.say(buzz(0.5))
            with pytest.raises(Exception, match="agent may interrupt"):
                await other.interrupt()
            await agent.say(buzz(0.3))
            await agent.until(lambda: agent.finished)
            assert agent.started == 1 and not other.finished
            assert len(agent.finished) == 1 and whole(agent.finished[0], 0.3)  # not the other agent's half second
        finally:
            await other.close()

    play(serving, scene)


@pytest.mark.parametrize("killed", ["sessions", "faces"])
def test_a_process_that_is_killed_is_started_again_and_serves_its_sessions_again(
    serving: SessionStudio, killed: str
) -> None:
    async def scene(agent: VoiceAgent, session: str) -> None:
        pids = serving.pids()
        os.kill(pids[killed], signal.SIGKILL)
        await agent.until(lambda: serving.pids().get(killed, pids[killed]) != pids[killed])
        seen = len(agent.frames)
        await agent.until(lambda: len(agent.frames) > seen + 50 and serving.draws(session))
        agent.finished.clear()
        await agent.say(buzz(0.4))
        await agent.until(lambda: agent.finished)
        assert len(agent.finished) == 1 and whole(agent.finished[0], 0.4)
        assert {name: pid for name, pid in serving.pids().items() if name != killed} == {
            name: pid for name, pid in pids.items() if name != killed
        }
        assert list(agent.room.remote_participants) == [AVATAR]

    play(serving, scene)


def test_a_session_would_join_again_with_the_token_that_its_room_has_renewed(serving: SessionStudio) -> None:
    given = avatar_token(serving.server, "renewing")

    async def scene(agent: VoiceAgent, session: str) -> None:
        await agent.until(lambda: kept_token(serving, session) != given)
        claims = jwt.decode(kept_token(serving, session), options={"verify_signature": False})
        assert claims["sub"] == AVATAR and claims["video"]["room"] == "renewing"

    play(serving, scene, "renewing", livekit_token=given)


def test_it_stays_while_its_agent_restarts_and_leaves_when_that_is_gone_for_good(serving: SessionStudio) -> None:
    async def scene(agent: VoiceAgent, session: str) -> None:
        await agent.say(buzz(5.0))
        await agent.until(lambda: agent.started)
        await agent.room.disconnect()
        another = VoiceAgent(agent.server, agent.room_name)
        await another.connect()
        await another.say(buzz(0.4))
        await another.until(lambda: another.finished)
        assert len(another.finished) == 1 and whole(another.finished[0], 0.4)  # no part of the five seconds
        await another.close()

    session = play(serving, scene)
    row = wait_for(lambda: (now := serving.row(session))["state"] == "ended" and now, ENDS_S)
    assert "agent" in row["note"] and row["ended"]


def test_a_session_that_is_ended_leaves_its_room(serving: SessionStudio) -> None:
    async def scene(agent: VoiceAgent, session: str) -> None:
        serving.end_session(session)
        await agent.until(lambda: AVATAR not in agent.room.remote_participants)

    play(serving, scene)
