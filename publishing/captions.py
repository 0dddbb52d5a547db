"""The program's speech as LiveKit transcriptions, for captions and transcripts in the participants' applications.

Each state of a sentence is sent as one text stream. The older transcription packet, `publish_transcription`, is not
used: the server forwards it only for participants with the grant `agent`, and drops it silently for all others.
"""

import asyncio
from collections import deque
from dataclasses import dataclass

from livekit import rtc

from publishing.media import RoomMedia
from publishing.room import SOUND_TRACK, RoomListener
from shared.runtime.logs import get_logger

log = get_logger()
TOPIC = "lk.transcription"
SEGMENT_ID, FINAL, TRACK_ID = "lk.segment_id", "lk.transcription_final", "lk.transcribed_track_id"
WAITING = 64  # segments that may wait; the oldest are dropped while the room accepts none
SEND_WAIT_S = 5.0  # seconds that sending one segment may take
RECEIVER_S = 0.06  # seconds by which a receiver buffers sound but not text


@dataclass(frozen=True, slots=True)
class TranscriptSegment:
    """A sentence that is heard from `at` on, in microseconds on the channel clock. final: the sentence ends at `at`."""

    id: str
    text: str
    at: int
    final: bool


class RoomCaptions(RoomListener):
    """Sends segments to the last joined room, in order, each when its sound is sent.

    Segments that arrive while no room is connected are dropped. Runs in the room's event loop.
    """

    def __init__(self, media: RoomMedia) -> None:
        self._media = media
        self._room: rtc.Room | None = None
        self._waiting: deque[TranscriptSegment] = deque(maxlen=WAITING)
        self._ready = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def on_joined(self, room: rtc.Room) -> None:
        """Send captions to this room from now on."""
        self._room = room

    def hear(self, name: str, text: str, at: int, final: bool) -> None:
        """Queue a segment: the sentence begins, or ends if `final`, at `at` microseconds on the channel clock."""
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
            # Log only the type: the SDK's message may contain the token.
            log.warning("caption_not_sent", why=type(error).__name__)
