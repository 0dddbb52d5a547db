"""The agent's sound output: spoken by the avatar while it is in the room, otherwise by the agent itself.

When the avatar leaves, the agent continues from the point that the avatar had reached. A segment that waits is never
lost, and each segment is reported once.
"""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field

from livekit import rtc
from livekit.agents.voice.avatar import DataStreamAudioOutput
from livekit.agents.voice.io import AudioOutput, AudioOutputCapabilities, PlaybackFinishedEvent, PlaybackStartedEvent

from .voice import RoomVoice


@dataclass(eq=False)
class Segment:
    """Speech between two flushes.

    heard_s: seconds of it that an earlier speaker has spoken. started: wall clock seconds at which the current speaker
    began, 0 before that. reported: whether its start was reported to the agent. complete: whether it has all its
    frames.
    """

    frames: list[rtc.AudioFrame] = field(default_factory=list)
    heard_s: float = 0.0
    started: float = 0.0
    reported: bool = False
    complete: bool = False

    def rest(self) -> list[rtc.AudioFrame]:
        """Return the frames that have not been heard."""
        skipped, frames = self.heard_s, []
        for frame in self.frames:
            if skipped < frame.duration / 2:
                frames.append(frame)
            else:
                skipped -= frame.duration
        return frames

    def seconds(self) -> float:
        """Return the length of the segment."""
        return sum(frame.duration for frame in self.frames)


class HostOutput(AudioOutput):
    """Last output in an agent's audio chain. It waits until the avatar has joined or `join_timeout` has passed."""

    def __init__(self, room: rtc.Room, *, avatar_identity: str, sample_rate: int, join_timeout: float) -> None:
        """avatar_identity: its identity in the room. sample_rate: Hz. join_timeout: seconds from the first word."""
        super().__init__(
            label="PersonaStudio", capabilities=AudioOutputCapabilities(pause=False), sample_rate=sample_rate
        )
        self._room, self._identity, self._rate, self._join_timeout = room, avatar_identity, sample_rate, join_timeout
        self._segments: deque[Segment] = deque()
        self._open: Segment | None = None
        self._face: AudioOutput | None = None
        self._voice: RoomVoice | None = None
        self._speaker: AudioOutput | None = None  # speaks the segments that wait
        self._decided = asyncio.Event()  # set once it is decided who speaks
        self._turn = asyncio.Lock()

    def avatar_came(self) -> None:
        """Note that the avatar is in the room: speech goes to it as soon as no earlier segment waits."""
        if self._face is None:
            self._face = DataStreamAudioOutput(
                self._room, destination_identity=self._identity, sample_rate=self._rate, wait_playback_start=True
            )
        self._decided.set()

    async def avatar_left(self, alive: float) -> None:
        """Let the agent continue by itself: the avatar has left at about `alive`, in wall clock seconds."""
        face, self._face = self._face, None
        self._decided.set()
        if face is not None and self._speaker is face:
            async with self._turn:
                await self._take_over(face, alive)

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        if not self._decided.is_set():
            await self._decide()
        async with self._turn:
            if self._open is not None and self._open not in self._segments:
                return  # it belongs to an interrupted segment
            await super().capture_frame(frame)
            if self._open is None:
                self._open = Segment()
                if not self._segments:
                    self._listen_to(self._face or self._own_voice())
                self._segments.append(self._open)
            self._open.frames.append(frame)
            assert self._speaker is not None
            await self._speaker.capture_frame(frame)

    def flush(self) -> None:
        super().flush()
        if self._open is not None and self._speaker is not None:
            self._open.complete = True
            self._open = None
            self._speaker.flush()

    def clear_buffer(self) -> None:
        if self._speaker is not None:
            self._speaker.clear_buffer()

    async def aclose(self) -> None:
        """Close the agent's own voice, because the room is over."""
        if self._voice is not None:
            await self._voice.aclose()

    async def _decide(self) -> None:
        try:
            async with asyncio.timeout(self._join_timeout):
                await self._decided.wait()
        except TimeoutError:
            self._decided.set()

    def _own_voice(self) -> RoomVoice:
        if self._voice is None:
            self._voice = RoomVoice(self._room, sample_rate=self._rate)
        return self._voice

    def _listen_to(self, speaker: AudioOutput) -> None:
        if self._speaker is not None:
            self._speaker.off("playback_started", self._on_started)
            self._speaker.off("playback_finished", self._on_finished)
        self._speaker = speaker
        speaker.on("playback_started", self._on_started)
        speaker.on("playback_finished", self._on_finished)

    async def _take_over(self, face: AudioOutput, alive: float) -> None:
        voice = self._own_voice()
        self._listen_to(voice)
        if self._identity in self._room.remote_participants:  # an avatar that has lost its studio must not continue
            if self._open is not None:
                face.flush()
            face.clear_buffer()
        for segment in list(self._segments):
            if segment.started:
                segment.heard_s += min(max(0.0, alive - segment.started), segment.seconds() - segment.heard_s)
                segment.started = 0.0
            rest = segment.rest()
            if not rest and segment.complete:
                self._finish(0.0, interrupted=False)
                continue
            for frame in rest:
                await voice.capture_frame(frame)
            if segment.complete:
                voice.flush()

    def _on_started(self, event: PlaybackStartedEvent) -> None:
        segment = next((each for each in self._segments if not each.started), None)
        if segment is not None:
            segment.started = time.time()
            if not segment.reported:
                segment.reported = True
                self.on_playback_started(created_at=event.created_at)

    def _on_finished(self, event: PlaybackFinishedEvent) -> None:
        self._finish(event.playback_position, interrupted=event.interrupted)

    def _finish(self, position: float, *, interrupted: bool) -> None:
        if self._segments:
            segment = self._segments.popleft()
            if segment is self._open and not interrupted:
                self.flush()  # the speaker stopped waiting for its end; further frames are another segment
            self.on_playback_finished(playback_position=segment.heard_s + position, interrupted=interrupted)
