"""A voice agent that speaks LiveKit Agents' avatar protocol with LiveKit's SDK alone, and watches its avatar."""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jwt
import numpy as np
from livekit import rtc
from numpy.typing import NDArray

from services.local.livekit_server import LiveKitServer

AGENT, AVATAR = "agent", "avatar"
LOUD = 500


def room_token(server: LiveKitServer, room: str, identity: str, **claims: Any) -> str:
    """Return an access token with all permissions in one room. claims: further claims of the JWT."""
    video = {"roomJoin": True, "room": room, "canPublish": True, "canSubscribe": True, "canPublishData": True}
    now = int(time.time())
    said = {"iss": server.key, "sub": identity, "nbf": now - 10, "exp": now + 600, "video": video, **claims}
    return jwt.encode(said, server.secret, algorithm="HS256")


def avatar_token(server: LiveKitServer, room: str) -> str:
    """Return the access token of an avatar that publishes on behalf of the agent."""
    return room_token(server, room, AVATAR, kind="agent", attributes={"lk.publish_on_behalf": AGENT})


@dataclass(slots=True)
class VoiceAgent:
    """A voice agent in a room that also receives its avatar's audio and video.

    watching: whether it subscribes to the avatar's tracks. started: number of `lk.playback_started` calls. finished:
    (playback position in seconds, interrupted) of each segment of speech. frames: (width, height) of each frame
    received; arrivals: its monotonic time in seconds. loud: monotonic times in seconds of audio frames above LOUD.
    """

    server: LiveKitServer
    room_name: str
    identity: str = AGENT
    watching: bool = True
    started: int = 0
    finished: list[tuple[float, bool]] = field(default_factory=list)
    frames: list[tuple[int, int]] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    loud: list[float] = field(default_factory=list)
    room: rtc.Room = field(default_factory=rtc.Room)
    tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    async def connect(self) -> None:
        """Join the room as its agent and register the avatar protocol's callbacks."""
        self.room.on("track_subscribed", self._subscribed)
        token = room_token(self.server, self.room_name, self.identity, kind="agent")
        await self.room.connect(self.server.url, token, rtc.RoomOptions(auto_subscribe=self.watching))
        me = self.room.local_participant
        me.register_rpc_method("lk.playback_started", self._on_started)
        me.register_rpc_method("lk.playback_finished", self._on_finished)

    async def say(self, samples: NDArray[np.int16], rate: int = 24_000, *, pause: float = 0.0) -> None:
        """Send one segment of speech without pacing. pause: seconds to wait in its middle."""
        writer = await self.room.local_participant.stream_bytes(
            name="voice",
            topic="lk.audio_stream",
            destination_identities=[AVATAR],
            attributes={"sample_rate": str(rate), "num_channels": "1"},
        )
        half = len(samples) // 2
        await writer.write(samples[:half].tobytes())
        await asyncio.sleep(pause)
        await writer.write(samples[half:].tobytes())
        await writer.aclose()

    async def interrupt(self) -> str:
        """Interrupt the avatar's speech and return its answer."""
        return await self.room.local_participant.perform_rpc(
            destination_identity=AVATAR, method="lk.clear_buffer", payload=""
        )

    async def until(self, true: Callable[[], object], seconds: float = 60.0) -> None:
        """Wait until `true()` is true; raises AssertionError after `seconds`."""
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, (self.started, self.finished, len(self.frames), len(self.loud))
            await asyncio.sleep(0.02)

    async def close(self) -> None:
        """Leave the room."""
        for task in self.tasks:
            task.cancel()
        await self.room.disconnect()

    async def _on_started(self, call: rtc.RpcInvocationData) -> str:
        self.started += 1
        return "ok"

    async def _on_finished(self, call: rtc.RpcInvocationData) -> str:
        said = json.loads(call.payload)
        assert set(said) == {"playback_position", "interrupted", "synchronized_transcript"}
        self.finished.append((said["playback_position"], said["interrupted"]))
        return "ok"

    def _subscribed(self, track: rtc.Track, publication: object, participant: rtc.RemoteParticipant) -> None:
        if participant.identity == AVATAR:
            is_sound = track.kind == rtc.TrackKind.KIND_AUDIO
            task = asyncio.get_running_loop().create_task(self._listen(track) if is_sound else self._look(track))
            self.tasks.add(task)

    async def _listen(self, track: rtc.Track) -> None:
        async for event in rtc.AudioStream(track, sample_rate=48_000, num_channels=1):
            if np.abs(np.frombuffer(event.frame.data, np.int16)).max() > LOUD:
                self.loud.append(time.monotonic())

    async def _look(self, track: rtc.Track) -> None:
        async for event in rtc.VideoStream(track):
            self.frames.append((event.frame.width, event.frame.height))
            self.arrivals.append(time.monotonic())


def buzz(seconds: float, rate: int = 24_000) -> NDArray[np.int16]:
    """Return a continuous 300 Hz tone, (n,) int16."""
    at = np.arange(int(seconds * rate)) / rate
    return (np.sin(2 * np.pi * 300 * at) * 9000).astype(np.int16)
