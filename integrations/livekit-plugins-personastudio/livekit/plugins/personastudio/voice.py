"""The agent's own voice as a track in the room, for speech while there is no avatar."""

import asyncio
import time

from livekit import rtc
from livekit.agents.voice.io import AudioOutput, AudioOutputCapabilities

QUEUE_MS = 200  # of sound in LiveKit's own queue
SUBSCRIBED_S = 2.0  # for the first listener of a new track, so that the first word is heard
TRACK = "voice"


class RoomVoice(AudioOutput):
    """Audio output into the room. Its track is published with the first word, and stays published."""

    def __init__(self, room: rtc.Room, *, sample_rate: int) -> None:
        """sample_rate: sample rate of the captured frames, Hz; they have one channel."""
        super().__init__(label="RoomVoice", capabilities=AudioOutputCapabilities(pause=False), sample_rate=sample_rate)
        self._room = room
        self._source = rtc.AudioSource(sample_rate, 1, queue_size_ms=QUEUE_MS)
        self._publishing: asyncio.Task[rtc.LocalTrackPublication] | None = None
        self._queue: asyncio.Queue[rtc.AudioFrame | None] = asyncio.Queue()  # None: a segment ends
        self._speaking: asyncio.Task[None] | None = None
        self._open = False  # a segment is being captured
        self._waiting = 0  # segments that have not finished
        self._pushed_s = 0.0  # of the segment that is being played

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        self._waiting += not self._open
        self._open = True
        self._queue.put_nowait(frame)
        if self._speaking is None:
            self._speaking = asyncio.create_task(self._speak())

    def flush(self) -> None:
        super().flush()
        if self._open:
            self._open = False
            self._queue.put_nowait(None)

    def clear_buffer(self) -> None:
        super().flush()  # what comes after a clear is another segment
        self._open = False
        if self._speaking is not None:
            self._speaking.cancel()
            self._speaking = None
        self._queue = asyncio.Queue()
        heard = max(0.0, self._pushed_s - self._source.queued_duration)
        self._source.clear_queue()
        while self._waiting:
            self._finish(heard, interrupted=True)
            heard = 0.0

    async def aclose(self) -> None:
        """Stop speaking, because the room is over."""
        for task in (self._speaking, self._publishing):
            if task is not None:
                task.cancel()
        await self._source.aclose()

    async def _speak(self) -> None:
        if self._publishing is None:
            self._publishing = asyncio.create_task(self._publish())
        await asyncio.shield(self._publishing)  # an interrupt does not stop the publication
        while True:
            frame = await self._queue.get()
            if frame is None:
                await self._source.wait_for_playout()
                self._finish(self._pushed_s, interrupted=False)
                continue
            if not self._pushed_s:
                self.on_playback_started(created_at=time.time())
            self._pushed_s += frame.duration
            await self._source.capture_frame(frame)

    async def _publish(self) -> rtc.LocalTrackPublication:
        track = rtc.LocalAudioTrack.create_audio_track(TRACK, self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        publication = await self._room.local_participant.publish_track(track, options)
        try:
            async with asyncio.timeout(SUBSCRIBED_S):
                await publication.wait_for_subscription()
        except TimeoutError:
            pass  # there is no listener; speak all the same
        return publication

    def _finish(self, heard_s: float, *, interrupted: bool) -> None:
        self._waiting -= 1
        self._pushed_s = 0.0
        self.on_playback_finished(playback_position=heard_s, interrupted=interrupted)
