"""A session from the request to its end: real processes, a real LiveKit server, and an agent as LiveKit Agents' is."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from services.local.livekit_server import LiveKitServer
from tests.support.running.gateway import ROOT, GatewayStudio, studio
from tests.support.running.voice_agent import AVATAR, VoiceAgent, avatar_token, buzz


class SessionStudio:
    """A gateway with the two processes that serve sessions."""

    def __init__(self, gateway: GatewayStudio, server: LiveKitServer) -> None:
        self.gateway, self.server = gateway, server
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        for name in ("sessions", "faces"):
            self.start(name)

    def start(self, name: str) -> None:
        command = {"sessions": ["services.sessions"], "faces": ["services.generator", "--sessions"]}[name]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("STUDIO_")}
        environment |= self.gateway.settings.environment(secrets=False)
        self.processes[name] = subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT, env=environment)

    def open(self, room: str, **more: Any) -> str:
        body = {"livekit_url": self.server.url, "livekit_token": avatar_token(self.server, room), "avatar": "whole"}
        answer = self.gateway.http.post("/sessions", json=body | more)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["session_id"])

    def row(self, session: str) -> dict[str, Any]:
        return dict(self.gateway.http.get(f"/sessions/{session}").json())

    def close(self) -> None:
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            process.wait(10)


@pytest.fixture(scope="module")
def serving(livekit_server: LiveKitServer, small_home: Path) -> Iterator[SessionStudio]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="s", dir="/tmp")))
        # As many as are asked for, however busy the machine is with other tests.
        allowed = {"allowed_livekit_urls": [livekit_server.url], "max_sessions": 20}
        gateway = stack.enter_context(studio(folder, sessions=allowed))
        (gateway.settings.home / "avatars" / "whole").symlink_to(small_home / "avatars" / "sample")
        made = SessionStudio(gateway, livekit_server)
        stack.callback(made.close)
        yield made


def play(serving: SessionStudio, scene: Callable[[VoiceAgent, str], Awaitable[None]], **more: Any) -> str:
    """An agent in a room of its own with its avatar, from the moment that the avatar shows itself. Returns the session."""
    room = f"room-{uuid.uuid4().hex[:8]}"

    async def body() -> str:
        agent = VoiceAgent(serving.server, room)
        await agent.connect()
        try:
            session = await asyncio.to_thread(serving.open, room, **more)
            await agent.until(lambda: len(agent.frames) > 5, 40)
            await scene(agent, session)
        finally:
            await agent.close()
        return session

    return asyncio.run(body())


def whole(finished: tuple[float, bool], seconds: float) -> bool:
    """Whether all of so many seconds was heard."""
    return abs(finished[0] - seconds) < 0.02 and not finished[1]


def test_it_says_what_its_agent_sends_and_reports_each_segment_once(serving: SessionStudio) -> None:
    async def scene(agent: VoiceAgent, session: str) -> None:
        assert agent.frames[-1] == (256, 448) and not agent.loud
        assert agent.room.remote_participants[AVATAR].kind == 4  # an agent's
        await agent.say(buzz(0.6))
        await agent.say(buzz(0.4, 16_000), 16_000)
        await agent.until(lambda: len(agent.finished) == 2)
        assert [(round(seconds, 1), cut) for seconds, cut in agent.finished] == [(0.6, False), (0.4, False)]
        assert agent.started == 2 and agent.loud
        await agent.say(buzz(0.8), pause=0.6)
        await agent.until(lambda: len(agent.finished) == 3)
        assert round(agent.finished[2][0], 1) == 0.8 and not agent.finished[2][1]
        await asyncio.to_thread(serving.gateway.wait, lambda: serving.row(session)["figures"].get("fps", 0) > 5)
        row = serving.row(session)
        assert (row["state"], row["note"], row["width"]) == ("live", "", 256)

    play(serving, scene, width=256, height=448)


def test_an_interrupt_ends_all_that_waits_and_says_how_much_was_heard(serving: SessionStudio) -> None:
    async def scene(agent: VoiceAgent, session: str) -> None:
        begun = time.monotonic()
        await agent.say(buzz(8.0))
        await agent.say(buzz(1.0))
        await agent.until(lambda: agent.loud)
        await asyncio.sleep(0.5)
        assert await agent.interrupt() == "ok"
        cut = time.monotonic()
        await agent.until(lambda: len(agent.finished) == 2)
        assert [interrupted for _, interrupted in agent.finished] == [True, True]
        assert 0.4 < agent.finished[0][0] < cut - begun and agent.finished[1][0] == 0
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
            assert len(agent.finished) == 1 and whole(agent.finished[0], 0.3)  # not the other's half second
        finally:
            await other.close()

    play(serving, scene)


@pytest.mark.parametrize("killed", ["sessions", "faces"])
def test_a_process_that_is_killed_and_started_again_serves_its_sessions_again(
    serving: SessionStudio, killed: str
) -> None:
    async def scene(agent: VoiceAgent, session: str) -> None:
        serving.processes[killed].kill()
        serving.processes[killed].wait()
        seen = len(agent.frames)
        serving.start(killed)
        await agent.until(lambda: len(agent.frames) > seen + 50, 40)
        agent.finished.clear()
        await agent.say(buzz(0.4))
        await agent.until(lambda: agent.finished)
        assert len(agent.finished) == 1 and whole(agent.finished[0], 0.4)

    play(serving, scene)


def test_it_stays_while_its_agent_restarts_and_leaves_when_that_is_gone_for_good(serving: SessionStudio) -> None:
    async def scene(agent: VoiceAgent, session: str) -> None:
        await agent.say(buzz(5.0))
        await agent.until(lambda: agent.started)
        await agent.room.disconnect()
        another = VoiceAgent(agent.server, agent.room_name)
        await another.connect()
        await another.say(buzz(0.4))
        await another.until(lambda: another.finished)
        assert len(another.finished) == 1 and whole(another.finished[0], 0.4)  # and nothing of the five seconds
        await another.close()

    session = play(serving, scene)
    row = serving.gateway.wait(lambda: (now := serving.row(session))["state"] == "ended" and now)
    assert "agent" in row["note"] and row["ended"]


def test_a_session_that_is_ended_leaves_its_room(serving: SessionStudio) -> None:
    async def scene(agent: VoiceAgent, session: str) -> None:
        serving.gateway.http.delete(f"/sessions/{session}").raise_for_status()
        await agent.until(lambda: AVATAR not in agent.room.remote_participants)

    play(serving, scene)
