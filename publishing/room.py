"""One connection to a LiveKit room: connect, publish the two tracks and report statistics until it ends."""

import asyncio
from typing import Any, Literal, Protocol

from livekit import rtc
from livekit.rtc._proto.room_pb2 import DegradationPreference as ProtoDegradation
from livekit.rtc._proto.stats_pb2 import OutboundRtpStreamStats, QualityLimitationReason

from publishing.errors import RoomFailure, connection_refusal, room_end_reason
from publishing.media import RoomMedia
from publishing.publication import Publication

CONNECT_WAIT, PUBLISH_WAIT, LEAVE_WAIT = 30.0, 15.0, 3.0  # seconds
RECONNECT_WAIT_S = 75.0  # seconds that the SDK has to reconnect; its ten attempts take up to a minute
STATS_PERIOD_S = 1.0
STATS_WAIT_S = 2.0
BITS_PER_PIXEL = 0.09  # at which VP8 shows hardly any artefacts in a face: 2.1 Mbit/s at 720p25, 4.7 at 1080p25
SOUND_BITS_PER_S = 64_000
SOUND_TRACK = "sound"
CODECS = {
    "vp8": rtc.VideoCodec.VP8,
    "h264": rtc.VideoCodec.H264,
    "vp9": rtc.VideoCodec.VP9,
    "av1": rtc.VideoCodec.AV1,
}
KEPT = {
    "maintain-resolution": ProtoDegradation.DEGRADATION_PREFERENCE_MAINTAIN_RESOLUTION,
    "maintain-framerate": ProtoDegradation.DEGRADATION_PREFERENCE_MAINTAIN_FRAMERATE,
    "balanced": ProtoDegradation.DEGRADATION_PREFERENCE_BALANCED,
}


StayPhase = Literal["connecting", "live", "reconnecting", "failed"]


class Say(Protocol):
    """Callback for a connection's phase, a sentence about what is wrong ("" for nothing), and its statistics."""

    def __call__(self, state: StayPhase, note: str = "", **figures: float) -> None: ...


class RoomListener:
    """Base class for listeners to a publication's connections. Called in the event loop; each method does nothing."""

    def on_room(self, room: rtc.Room) -> None:
        """Called before connecting to `room`; register handlers for its events and streams here."""

    def on_joined(self, room: rtc.Room) -> None:
        """Called when the room is connected and nothing has been published yet."""

    def on_leaving(self, room: rtc.Room) -> None:
        """Called when a joined room is about to be left, or was lost.

        RPC methods must be unregistered here: as long as one is registered, the SDK keeps the room, about 0.65 MB.
        """


class RoomSession:
    """A single connection to a room, from joining to leaving. lived: seconds for which it published."""

    def __init__(
        self, publication: Publication, media: RoomMedia, leave: asyncio.Event, say: Say, listener: RoomListener
    ) -> None:
        self.lived = 0.0
        self._publication, self._media, self._leave, self._say = publication, media, leave, say
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[str] = self._loop.create_future()
        self._broken: float | None = None  # loop time at which the SDK began to reconnect, None while connected
        self._sent = 0, 0.0

    async def run(self, token: str) -> RoomFailure | None:
        """Join, publish and stay until the end; returns the reason, or None when `leave` was set."""
        room = rtc.Room(self._loop)
        room.on("disconnected", self._on_disconnected)
        room.on("reconnecting", self._on_reconnecting)
        room.on("reconnected", self._on_reconnected)
        self._listener.on_room(room)
        try:
            options = rtc.RoomOptions(auto_subscribe=False, dynacast=self._publication.simulcast)
            async with asyncio.timeout(CONNECT_WAIT):
                await room.connect(self._publication.url, token, options)
        except (rtc.ConnectError, TimeoutError) as error:
            await self._disconnect(room)
            return connection_refusal(str(error), self._publication)
        self._listener.on_joined(room)
        try:
            return await self._stay(room)
        finally:
            self._listener.on_leaving(room)
            await self._disconnect(room)

    async def _stay(self, room: rtc.Room) -> RoomFailure | None:
        try:
            async with asyncio.timeout(PUBLISH_WAIT):
                await self._publish(room)
        except (rtc.participant.PublishTrackError, TimeoutError) as error:
            return connection_refusal(str(error), self._publication)
        begun = self._loop.time()
        try:
            return await self._live(room)
        finally:
            self.lived = self._loop.time() - begun

    async def _publish(self, room: rtc.Room) -> None:
        wanted, (width, height) = self._publication, self._media.size
        video = rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_CAMERA,
            video_codec=CODECS[wanted.codec],
            simulcast=wanted.simulcast,
            degradation_preference=KEPT[wanted.degradation],
            frame_metadata_features=[
                rtc.FrameMetadataFeature.FMF_USER_TIMESTAMP,
                rtc.FrameMetadataFeature.FMF_FRAME_ID,
            ],
        )
        by_size = int(width * height * float(wanted.rate) * BITS_PER_PIXEL)
        video.video_encoding.max_bitrate = wanted.kbps * 1000 or max(500_000, by_size)
        video.video_encoding.max_framerate = float(wanted.rate)
        # Without DTX: silence is sent too, so that speech after a pause does not lose the beginning of its first word.
        sound = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=False)
        sound.audio_encoding.max_bitrate = SOUND_BITS_PER_S
        me = room.local_participant
        # Both tracks share one stream: a receiver keeps the tracks of a stream in sync.
        video.stream = sound.stream = "program"
        await me.publish_track(rtc.LocalVideoTrack.create_video_track("video", self._media.video), video)
        await me.publish_track(rtc.LocalAudioTrack.create_audio_track(SOUND_TRACK, self._media.audio), sound)

    async def _live(self, room: rtc.Room) -> RoomFailure | None:
        leaving = asyncio.create_task(self._leave.wait())
        try:
            while not self._leave.is_set():
                if self._broken is None:
                    self._say("live", "", **await self._figures(room))
                elif self._loop.time() - self._broken > RECONNECT_WAIT_S:
                    return room_end_reason("", self._publication)
                waiting: set[asyncio.Future[Any]] = {leaving, self._ended}
                await asyncio.wait(waiting, timeout=STATS_PERIOD_S, return_when=asyncio.FIRST_COMPLETED)
                if self._ended.done():
                    return room_end_reason(self._ended.result(), self._publication)
            return None
        finally:
            leaving.cancel()

    async def _figures(self, room: rtc.Room) -> dict[str, float]:
        figures: dict[str, float] = {
            "viewers": len(room.remote_participants),
            "queue_ms": round(self._media.cushion.level * 1000, 1),
            "dropped": self._media.dropped,
            "sound_holes": self._media.cushion.holes,
        }
        try:
            async with asyncio.timeout(STATS_WAIT_S):
                stats = await room.get_rtc_stats()
        except (TimeoutError, RuntimeError):
            return figures
        sent = 0
        for row in stats.publisher_stats:
            kind = row.WhichOneof("stats")
            if kind == "outbound_rtp":
                sent += row.outbound_rtp.sent.bytes_sent
                if row.outbound_rtp.stream.kind == "video" and row.outbound_rtp.outbound.frame_width:
                    _take_larger(figures, row.outbound_rtp.outbound)
            elif kind == "remote_inbound_rtp" and row.remote_inbound_rtp.stream.kind == "video":
                remote = row.remote_inbound_rtp.remote_inbound
                figures["rtt_ms"] = round(remote.round_trip_time * 1000, 1)
                figures["loss"] = round(remote.fraction_lost, 4)
        before, at = self._sent
        self._sent = sent, self._loop.time()
        if before and sent >= before:
            figures["kbps"] = round((sent - before) * 8 / 1000 / (self._sent[1] - at))
        return figures

    async def _disconnect(self, room: rtc.Room) -> None:
        try:
            async with asyncio.timeout(LEAVE_WAIT):
                await room.disconnect()
        except (TimeoutError, RuntimeError):
            pass  # the server does not answer; it will notice the lost connection

    def _on_disconnected(self, reason: rtc.DisconnectReason.ValueType) -> None:
        if not self._ended.done():
            self._ended.set_result(rtc.DisconnectReason.Name(reason))

    def _on_reconnecting(self) -> None:
        self._broken = self._loop.time()
        self._say("reconnecting", f"The connection to {self._publication.host} was lost; trying again.")

    def _on_reconnected(self) -> None:
        self._broken = None


def _take_larger(figures: dict[str, float], outbound: OutboundRtpStreamStats) -> None:
    """Update `figures` if this layer is the largest so far: size, frame rate, and 1 if bandwidth limits it, else 0."""
    if outbound.frame_width >= figures.get("width", 0):
        figures |= {"width": outbound.frame_width, "height": outbound.frame_height}
        figures["fps"] = round(outbound.frames_per_second, 1)
        figures["held_back"] = float(outbound.quality_limitation_reason == QualityLimitationReason.LIMITATION_BANDWIDTH)
