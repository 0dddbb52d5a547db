"""What the program says as LiveKit transcription, for captions and transcripts in the apps of those who are in the room."""

import asyncio
from collections import deque
from dataclasses import dataclass

import structlog
from livekit import rtc

from publishing.media import wall
from publishing.room import SOUND_TRACK, RoomListener

log = structlog.get_logger()
WAITING = 64  # segments; the oldest go first where a room takes none
PUBLISH_WAIT_S = 5.0  # seconds for one


@dataclass(frozen=True, slots=True)
class TranscriptSegment:
    """A sentence. start, end: microseconds on the channel clock; end: None until it is known. final: nothing of it comes later."""

    id: str
    text: str
    start: int
    end: int | None
    final: bool


class RoomTranscripts(RoomListener):
    """Publishes segments in their order to the room that was joined last; what comes while there is none is left out. Lives in the
    room's event loop."""

    def __init__(self) -> None:
        self._room: rtc.Room | None = None
        self._waiting: deque[TranscriptSegment] = deque(maxlen=WAITING)
        self._ready = asyncio.Event()

    def on_joined(self, room: rtc.Room) -> None:
        """It is connected."""
        self._room = room

    def publish(self, name: str, text: str, start: int, end: int | None, final: bool) -> None:
        """A segment has begun or changed; the last of a name replaces those before it."""
        self._waiting.append(TranscriptSegment(name, text, start, end, final))
        self._ready.set()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await self._ready.wait()
            self._ready.clear()
            while self._waiting:
                await self._send(self._waiting.popleft())

    async def _send(self, segment: TranscriptSegment) -> None:
        room = self._room
        if room is None or not room.isconnected():
            return
        me = room.local_participant
        track = next((each.sid for each in me.track_publications.values() if each.name == SOUND_TRACK), "")
        if not track:
            return
        start = wall(segment.start) // 1000
        end = start if segment.end is None else wall(segment.end) // 1000
        part = rtc.TranscriptionSegment(
            id=segment.id,
            text=segment.text,
            start_time=start,
            end_time=max(start, end),
            language="",
            final=segment.final,
        )
        try:
            await asyncio.wait_for(
                me.publish_transcription(rtc.Transcription(me.identity, track, [part])), PUBLISH_WAIT_S
            )
        except (rtc.participant.PublishTranscriptionError, TimeoutError, RuntimeError) as error:
            log.warning(
                "transcription lost", reason=type(error).__name__
            )  # the SDK's own words may have the token in them
