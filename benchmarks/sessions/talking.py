"""Agents that talk without end, each in its own room, all in one event loop on a background thread."""

import asyncio
import threading
from collections.abc import Coroutine, Sized
from functools import partial
from typing import Any

from harness.sessions.session_studio import SessionStudio
from harness.sessions.voice_agent import VoiceAgent, buzz

SENTENCE_S, PAUSE_S = 3.0, 0.3
WAIT_S = 40.0


class TalkingAgents:
    """Context manager of the talking agents; on exit, all agents leave their rooms."""

    def __init__(self, studio: SessionStudio) -> None:
        self._studio = studio
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._agents: list[VoiceAgent] = []
        self._talking: list[asyncio.Task[None]] = []

    def __enter__(self) -> "TalkingAgents":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self._leave())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine in the agents' loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(WAIT_S)

    def add(self, room: str, *, watching: bool = False) -> VoiceAgent:
        """Add an agent to this room; it talks as soon as its avatar has joined.

        watching: whether it also receives the video, at the cost of a viewer.
        """
        agent: VoiceAgent = self.run(self._add(room, watching))
        return agent

    async def _add(self, room: str, watching: bool) -> VoiceAgent:
        agent = VoiceAgent(self._studio.server, room, watching=watching)
        await agent.connect()
        self._agents.append(agent)
        self._talking.append(asyncio.create_task(self._talk(agent)))
        return agent

    async def _talk(self, agent: VoiceAgent) -> None:
        while True:
            if not agent.room.remote_participants:
                await asyncio.sleep(PAUSE_S)
                continue
            told = len(agent.finished)
            try:
                await agent.say(buzz(SENTENCE_S))
                await agent.until(partial(_has_more, agent.finished, told), SENTENCE_S * 3)
            except (RuntimeError, AssertionError):
                pass  # its avatar was killed in the middle of it
            await asyncio.sleep(PAUSE_S)

    async def _leave(self) -> None:
        for task in self._talking:
            task.cancel()
        await asyncio.gather(*self._talking, return_exceptions=True)
        for agent in self._agents:
            await agent.close()


def _has_more(rows: Sized, count: int) -> bool:
    return len(rows) > count
