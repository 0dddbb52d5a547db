"""What the program says as LiveKit transcription, for captions and transcripts in the apps of those in the room.

Text streams, one for each state of a sentence. The older transcription packet, `publish_transcription`, is not used:
the server forwards it only for participants with the grant `agent`, and drops it from others without a word.
"""

import asyncio
from collections import deque
from dataclasses import dataclass

import structlog
from livekit import rtc

from publishing.media import RoomMedia
from publishing.room import SOUND_TRACK, RoomListener

log = structlog.get_logger()
TOPIC = "lk.transcription"
SEGMENT_ID, FINAL, TRACK_ID = "lk.segment_id", "lk.transcription_final", "lk.transcribed_track_id"
WAITING = 64  # segments; the oldest go first where a room takes none
SEND_WAIT_S = 5.0  # seconds for one
RECEIVER_S = 0.06  # seconds that a receiver keeps sound in hand and text not


@dataclass(frozen=True, slots=True)
class TranscriptSegment:
    """A sentence as it is heard from `at` on (microseconds on the channel clock). final: it is over then."""

    id: str
    text: str
    at: int
    final: bool


class RoomCaptions(RoomListener):
    """Sends segments in their order, each as its sound leaves, to the room that was joined last.

    What comes while there is none is left out. Lives in the room's event loop.
    """

    def __init__(self, media: RoomMedia) -> None:
        self._media = media
        self._room: rtc.Room | None = None
        self._waiting: deque[TranscriptSegment] = deque(maxlen=WAITING)
        self._ready = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def on_joined(self, room: rtc.Room) -> None:
        """It is connected."""
        self._room = room

    def hear(self, name: str, text: str, at: int, final: bool) -> None:
        """A sentence begins to be heard at `at`, microseconds on the channel clock, or is over then (`final`)."""
        self._waiting.append(TranscriptSegment(name, text, at, final))
        self._ready.set()

    async def run(self) -> None:
        """Publish captions until cancelled."""
        while True:
            await self._ready.wait()
            self._ready.clear()
            while self._waiting:
                segment = self._waiting.popleft()
                leaves = self._media.sound_leaves_at(segment.at)
                await asyncio.sleep(leaves + RECEIVER_S - self._loop.time())
                await self._send(segment)

    async def _send(self, segment: TranscriptSegment) -> None:
        room = self._room
        if room is None or not room.isconnected():
            return
        me = room.local_participant
        track = next((each.sid for each in me.track_publications.values() if each.name == SOUND_TRACK), "")
        if not track:
            return
        said = {SEGMENT_ID: segment.id, FINAL: str(segment.final).lower(), TRACK_ID: track}
        try:
            async with asyncio.timeout(SEND_WAIT_S):
                await me.send_text(segment.text, topic=TOPIC, attributes=said)
        except (rtc.StreamError, TimeoutError, RuntimeError) as error:
            # The SDK's own words may have the token in them.
            log.warning("captions_lost", reason=type(error).__name__)
