"""The room that a bot shares with its avatar: the bot's voice goes in, the avatar's frames and sound come out.

The protocol is that of avatars in LiveKit Agents: a byte stream is a segment of speech, `lk.clear_buffer` interrupts,
and the avatar reports by RPC when a segment has begun and when it has ended.
"""

import asyncio
import datetime
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from livekit import rtc
from livekit.api import AccessToken, VideoGrants

BOT, AVATAR = "pipecat-bot", "personastudio-avatar"
ON_BEHALF = "lk.publish_on_behalf"
VOICE_TOPIC, CLEAR = "lk.audio_stream", "lk.clear_buffer"
STARTED, FINISHED = "lk.playback_started", "lk.playback_finished"
TOKEN_LIFE = datetime.timedelta(hours=6)
CLEAR_S = 2.0
# Events after which the speaker may change.
ROOM_EVENTS: tuple[rtc.room.EventTypes, ...] = (
    "participant_active",
    "participant_disconnected",
    "track_published",
    "disconnected",
)
SOUND_MS = 20
QUEUED_FRAMES = 2  # frames of the avatar that wait if the pipeline is slower


@dataclass(frozen=True)
class LiveKitServer:
    """Address of a LiveKit server, and the keys that sign tokens for its rooms."""

    url: str
    key: str
    secret: str

    def token(self, room: str, identity: str, **attributes: str) -> str:
        """Return an access token for one room, with every right in it."""
        return (
            AccessToken(self.key, self.secret)
            .with_kind("agent")
            .with_identity(identity)
            .with_name(identity)
            .with_grants(VideoGrants(room_join=True, room=room))
            .with_attributes(attributes)
            .with_ttl(TOKEN_LIFE)
            .to_jwt()
        )


@dataclass(frozen=True)
class RoomEvents:
    """Callbacks for what arrives from the room.

    image: a frame of the avatar (RGB bytes, width, height). sound: its sound, 16-bit mono. started: a segment begins.
    finished: a segment ends (whether by an interrupt). changed: the room's participants may have changed.
    """

    image: Callable[[bytes, int, int], Awaitable[None]]
    sound: Callable[[bytes], Awaitable[None]]
    started: Callable[[], Awaitable[None]]
    finished: Callable[[bool], Awaitable[None]]
    changed: Callable[[], None]


class AvatarRoom:
    """One room, with at most one avatar in it. Use it in a single event loop."""

    def __init__(self, server: LiveKitServer, name: str, rate: int, events: RoomEvents) -> None:
        """rate: sample rate of the avatar's sound, Hz."""
        self._server, self.name, self._rate, self._events = server, name, rate, events
        self._room = rtc.Room()
        self._writer: rtc.ByteStreamWriter | None = None
        self._turn = asyncio.Lock()  # speech that follows an interruption is sent after it
        self._tasks: set[asyncio.Task[None]] = set()
        self._joined = False

    async def connect(self) -> None:
        """Join the room. Raises rtc.ConnectError."""
        self._room.on("track_subscribed", self._subscribed)
        for event in ROOM_EVENTS:
            self._room.on(event, lambda *_: self._events.changed())
        await self._room.connect(self._server.url, self._server.token(self.name, BOT))
        me = self._room.local_participant
        me.register_rpc_method(STARTED, self._on_started)
        me.register_rpc_method(FINISHED, self._on_finished)
        self._joined = True

    async def close(self) -> None:
        """Leave the room."""
        for task in self._tasks:
            task.cancel()
        if self._joined:
            for method in (STARTED, FINISHED):
                self._room.local_participant.unregister_rpc_method(method)  # it keeps the room in memory
        await self._room.disconnect()

    def avatar_token(self) -> str:
        """Return the token with which the avatar joins on behalf of this bot."""
        return self._server.token(self.name, AVATAR, **{ON_BEHALF: BOT})

    def shown_by(self) -> str:
        """Return LiveKit's id of the avatar if it publishes video, otherwise "".

        The id is another one each time that the avatar joins.
        """
        who = self._room.remote_participants.get(AVATAR) if self._room.isconnected() else None
        if who is None:
            return ""
        publications = who.track_publications.values()
        return who.sid if any(each.kind == rtc.TrackKind.KIND_VIDEO for each in publications) else ""

    async def say(self, audio: bytes, rate: int, channels: int) -> None:
        """Send a part of a segment, 16-bit samples; the first part begins the segment."""
        async with self._turn:
            if self._writer is None:
                self._writer = await self._room.local_participant.stream_bytes(
                    name="voice",
                    topic=VOICE_TOPIC,
                    destination_identities=[AVATAR],
                    attributes={"sample_rate": str(rate), "num_channels": str(channels)},
                )
            await self._writer.write(audio)

    async def end_segment(self) -> None:
        """End the segment that is being sent."""
        async with self._turn:
            await self._close_writer()

    async def clear(self) -> None:
        """Silence the avatar immediately; wait at most CLEAR_S for its answer."""
        async with self._turn:
            await self._close_writer()
            if AVATAR not in self._room.remote_participants:
                return
            me = self._room.local_participant
            try:
                async with asyncio.timeout(CLEAR_S):
                    await me.perform_rpc(destination_identity=AVATAR, method=CLEAR, payload="")
            except (rtc.RpcError, TimeoutError):
                pass

    async def _close_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            await writer.aclose()

    async def _on_started(self, call: rtc.RpcInvocationData) -> str:
        if call.caller_identity == AVATAR:
            await self._events.started()
        return "ok"

    async def _on_finished(self, call: rtc.RpcInvocationData) -> str:
        if call.caller_identity == AVATAR:
            await self._events.finished(bool(json.loads(call.payload).get("interrupted")))
        return "ok"

    def _subscribed(self, track: rtc.Track, publication: object, who: rtc.RemoteParticipant) -> None:
        if who.identity != AVATAR:
            return
        work = self._listen(track) if track.kind == rtc.TrackKind.KIND_AUDIO else self._look(track)
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _listen(self, track: rtc.Track) -> None:
        stream = rtc.AudioStream(track, sample_rate=self._rate, num_channels=1, frame_size_ms=SOUND_MS)
        try:
            async for event in stream:
                await self._events.sound(bytes(event.frame.data))
        finally:
            await stream.aclose()

    async def _look(self, track: rtc.Track) -> None:
        stream = rtc.VideoStream(track, format=rtc.VideoBufferType.RGB24, capacity=QUEUED_FRAMES)
        try:
            async for event in stream:
                frame = event.frame
                await self._events.image(bytes(frame.data), frame.width, frame.height)
        finally:
            await stream.aclose()
