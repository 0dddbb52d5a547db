"""The video service: a bot's speech goes to its avatar, whose frames and sound continue down the pipeline."""

import asyncio
import os
import time
import uuid
from pathlib import Path
from typing import Any

from livekit import rtc
from loguru import logger
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    CancelFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    OutputImageRawFrame,
    OutputTransportReadyFrame,
    SpeechOutputAudioRawFrame,
    StartFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
from pipecat.services.ai_service import AIService
from pipecat.services.settings import ServiceSettings

from pipecat_personastudio.room import AvatarRoom, LiveKitServer, RoomEvents
from pipecat_personastudio.speech import UnheardSpeech
from pipecat_personastudio.studio import PersonaStudioException, StudioClient

DEFAULT_URL = "http://127.0.0.1:8750"
JOIN_TIMEOUT_S = 10.0
WATCH_S = 1.0  # between two requests for the session's state
MISSED = 2  # consecutive requests without an answer after which the studio counts as gone
RETURN_S = 2.0  # about as long as an avatar takes to come back after its process died
OVER = "ended"
TAIL_S = 0.2  # by which a segment's last sound arrives later than the report of its end
LAST_WORDS_S = 2.0  # beyond the length of the speech, until its end is heard


class PersonaStudioVideoService(AIService):
    """Service that gives a bot a face; put it between the voice and the output transport.

    Without the studio, and after the avatar has left, the speech passes through unchanged.

    The bot and its avatar meet in their own LiveKit room, whatever the transport is. The transport needs
    `video_out_enabled`, `video_out_is_live`, and the width and height of this service.
    """

    Settings = ServiceSettings
    _settings: ServiceSettings

    def __init__(
        self,
        *,
        avatar_id: str | None = None,
        avatar_image: str | Path | bytes | None = None,
        avatar_rights: str = "",
        engine: str | None = None,
        options: dict[str, Any] | None = None,
        width: int = 512,
        height: int = 512,
        label: bool | None = None,
        api_url: str | None = None,
        api_token: str | None = None,
        livekit_url: str | None = None,
        livekit_api_key: str | None = None,
        livekit_api_secret: str | None = None,
        join_timeout: float = JOIN_TIMEOUT_S,
        settings: ServiceSettings | None = None,
        **kwargs: Any,
    ) -> None:
        """Check the arguments. The studio's own settings apply for those that are not given.

        avatar_id: an avatar of the studio (PERSONASTUDIO_AVATAR). avatar_image: instead, the file or the bytes of a
        portrait for this bot only; avatar_rights: who may use it, one sentence. engine, options: what draws the face.
        width, height: size of the frames. label: False leaves out the "AI-generated" label, if the studio allows it.
        api_url, api_token: the studio's address and token (PERSONASTUDIO_URL, PERSONASTUDIO_TOKEN). livekit_...: a
        LiveKit server that both bot and studio reach (LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET).
        join_timeout: seconds that the pipeline waits for the avatar when it starts. Raises PersonaStudioException for
        an argument that is missing or cannot be used.
        """
        chosen = settings or ServiceSettings()
        chosen.model = None
        super().__init__(settings=chosen, **kwargs)
        self._url = api_url or os.getenv("PERSONASTUDIO_URL") or DEFAULT_URL
        self._token = api_token or os.getenv("PERSONASTUDIO_TOKEN") or ""
        if not self._token:
            raise PersonaStudioException(
                "The studio's token is missing: set api_token or PERSONASTUDIO_TOKEN; the token is in the file "
                "`token` in the studio's home."
            )
        self._server = LiveKitServer(
            livekit_url or os.getenv("LIVEKIT_URL") or "",
            livekit_api_key or os.getenv("LIVEKIT_API_KEY") or "",
            livekit_api_secret or os.getenv("LIVEKIT_API_SECRET") or "",
        )
        if not (self._server.url and self._server.key and self._server.secret):
            raise PersonaStudioException(
                "The LiveKit server is not set: set LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET, or pass them "
                "as arguments."
            )
        self._portrait = None if avatar_image is None else _portrait_bytes(avatar_image)
        if self._portrait is not None and not avatar_rights:
            raise PersonaStudioException(
                "avatar_image needs avatar_rights: set it to one sentence that says who may use the portrait."
            )
        named = avatar_id or os.getenv("PERSONASTUDIO_AVATAR")
        face = {"avatar": named} if self._portrait is None else {"rights": avatar_rights}
        wanted = {**face, "engine": engine, "options": options, "width": width, "height": height, "label": label}
        self._wanted = {name: value for name, value in wanted.items() if value is not None}
        self._join_timeout = join_timeout
        self._studio: StudioClient | None = None
        self._room: AvatarRoom | None = None
        self._session = self._shown = self._trouble = ""
        self._unheard = UnheardSpeech()
        self._started = self._transport_ready = self._silent = False
        self._own_words = False  # the transport plays speech that is not the avatar's, which waits for its end
        self._rate = 24_000
        self._changed, self._settled = asyncio.Event(), asyncio.Event()
        self._serving: asyncio.Task[None] | None = None

    def can_generate_metrics(self) -> bool:
        """Return True: the service measures the time to the first sound."""
        return True

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override] # as every processor's
        """Send the avatar into its room and wait until it has joined. Without a studio the bot continues by voice."""
        await super().setup(setup)
        self._rate = setup.audio_out_sample_rate
        events = RoomEvents(self._push_image, self._push_sound, self._on_started, self._on_finished, self._changed.set)
        room = self._room = AvatarRoom(self._server, f"personastudio-{uuid.uuid4().hex[:12]}", self._rate, events)
        studio = self._studio = StudioClient(self._url, self._token)
        self._serving = self.create_task(self._serve(studio, room))
        await _within(self._join_timeout, self._settled)

    async def start(self, frame: StartFrame) -> None:
        """Start with the pipeline, with or without the avatar; report why it is missing."""
        await super().start(frame)
        self._started = True
        if self._trouble:
            await self.push_error(self._trouble)

    async def stop(self, frame: EndFrame) -> None:
        """Stop with the pipeline, after the avatar's remaining speech has been heard."""
        await super().stop(frame)
        await _within(self._unheard.seconds() + LAST_WORDS_S, self._unheard.quiet)
        await asyncio.sleep(TAIL_S if self._shown else 0)
        await self._close()

    async def cancel(self, frame: CancelFrame) -> None:
        """Stop immediately, because the pipeline is cancelled."""
        await super().cancel(frame)
        await self._close()

    async def cleanup(self) -> None:
        """Release everything, however the pipeline ended."""
        await super().cleanup()  # type: ignore[no-untyped-call]
        await self._close()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Speech goes to the avatar while it is there; an interruption silences it; everything else passes through."""
        await super().process_frame(frame, direction)
        if isinstance(frame, OutputTransportReadyFrame):
            self._transport_ready = True
        elif isinstance(frame, TTSStartedFrame):
            await self.start_ttfb_metrics()
        elif isinstance(frame, BotStartedSpeakingFrame):
            await self.stop_ttfb_metrics()
        elif isinstance(frame, BotStoppedSpeakingFrame):
            self._own_words = False
            self._changed.set()
        elif isinstance(frame, InterruptionFrame):
            await self.push_frame(frame, direction)
            await self._silence()
            return
        elif isinstance(frame, TTSAudioRawFrame) and self._room is not None and self._shown:
            self._unheard.add(frame)
            await self._room.say(frame.audio, frame.sample_rate, frame.num_channels)
            return
        elif isinstance(frame, TTSStoppedFrame) and self._room is not None and self._unheard.end(frame):
            await self._room.end_segment()
            return  # it is pushed when the segment was heard
        elif isinstance(frame, TTSAudioRawFrame):
            self._own_words = True
        await self.push_frame(frame, direction)

    async def _silence(self) -> None:
        """Drop the speech that waits, and sound that still arrives from the room."""
        self._unheard.clear()
        if self._room is not None and self._shown:
            self._silent = True
            try:
                await self._room.clear()
            finally:
                self._silent = False

    async def _close(self) -> None:
        serving, self._serving = self._serving, None
        if serving is not None:
            await self.cancel_task(serving)
        room, self._room, self._shown = self._room, None, ""
        studio, self._studio = self._studio, None
        if studio is not None:
            if self._session:
                await studio.end(self._session)
            await studio.close()
        if room is not None:
            await room.close()

    async def _push_image(self, image: bytes, width: int, height: int) -> None:
        if self._transport_ready and self._shown:
            await self.push_frame(OutputImageRawFrame(image=image, size=(width, height), format="RGB"))

    async def _push_sound(self, audio: bytes) -> None:
        if self._transport_ready and self._shown and not self._silent:
            await self.push_frame(SpeechOutputAudioRawFrame(audio=audio, sample_rate=self._rate, num_channels=1))

    async def _on_started(self) -> None:
        self._unheard.begin()

    async def _on_finished(self, interrupted: bool) -> None:
        if not interrupted and (stop := self._unheard.finish()) is not None:
            self.create_task(self._push_stop(stop))

    async def _push_stop(self, stop: TTSStoppedFrame) -> None:
        await asyncio.sleep(TAIL_S)
        await self.push_frame(stop)

    async def _serve(self, studio: StudioClient, room: AvatarRoom) -> None:
        """Open the avatar's session and watch it until it ends."""
        try:
            await room.connect()
            fields = {"livekit_url": self._server.url, "livekit_token": room.avatar_token(), **self._wanted}
            self._session = await studio.open(fields, self._portrait)
        except (PersonaStudioException, rtc.ConnectError) as error:
            await self._tell(f"No face: {error}")
            return
        logger.info("session_opened session={} room={}", self._session, room.name)
        await self._watch(studio, room)

    async def _tell(self, trouble: str) -> None:
        """Report trouble as an error frame, which is pushed once the pipeline has started."""
        logger.warning("session_trouble why={}", trouble)
        self._trouble = trouble
        self._settled.set()
        if self._started:
            await self.push_error(trouble)

    async def _watch(self, studio: StudioClient, room: AvatarRoom) -> None:
        """Decide whether the avatar speaks, by the participants and the studio's answers, until the session is over."""
        missed, alive, state = 0, time.time(), ""
        while state != OVER:
            asked = time.monotonic()
            try:
                state, note = await studio.state(self._session)
                missed = 0
            except PersonaStudioException as error:
                missed, note = missed + 1, str(error)
            shown, why = room.shown_by(), ""
            if not missed and (state == OVER or self._shown in ("", shown)):
                alive = time.time()
            if state == OVER or missed >= MISSED:
                why = note or "The avatar has left."
            elif self._shown and shown != self._shown:
                # A departure is noticed immediately; an avatar that has rejoined was gone for a while before that.
                why, alive = "The avatar has left the room.", time.time() - (RETURN_S if shown else 0.0)
            if why:
                await self._go_on_by_voice(room, why, alive)
            elif shown and not missed and not self._own_words:
                self._shown = shown
                self._settled.set()
            await _within(max(0.0, asked + WATCH_S - time.monotonic()), self._changed)
            self._changed.clear()

    async def _go_on_by_voice(self, room: AvatarRoom, why: str, alive: float) -> None:
        """Push the speech that was not heard until `alive`, in wall clock seconds, down the pipeline unchanged."""
        spoke, self._shown = self._shown, ""
        if not spoke:
            return
        self.create_task(room.clear())  # an avatar that has lost its studio must not continue
        for frame in self._unheard.taken_rest(alive):
            self._own_words = True
            await self.push_frame(frame)
        await self._tell(f"The avatar has left, the bot speaks by itself: {why}")


async def _within(seconds: float, event: asyncio.Event) -> None:
    """Wait for an event, at most so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass


def _portrait_bytes(image: str | Path | bytes) -> bytes:
    if isinstance(image, bytes):
        return image
    try:
        return Path(image).read_bytes()
    except OSError as error:
        raise PersonaStudioException(f"The avatar_image {image} cannot be read ({error.strerror}).") from None
