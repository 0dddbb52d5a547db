"""A session's link to its agent, according to LiveKit Agents' avatar protocol.

Each segment of speech arrives as a byte stream `lk.audio_stream`. The RPC `lk.clear_buffer` interrupts. For each
segment the agent is notified that its sound begins (`lk.playback_started`) and, exactly once and in order, how much of
it was heard (`lk.playback_finished`).
"""

import asyncio
import json
from collections.abc import Callable

from livekit import rtc

from publishing.room import RoomListener
from services.sessions.heard import HeardSpeech
from services.sessions.speech_line import SpeechLine
from services.sessions.stream_bytes import StreamBytes
from shared.media.pcm import HIGHEST, LOWEST, PcmDecoder
from shared.runtime.logs import get_logger

log = get_logger()

AUDIO_TOPIC = "lk.audio_stream"
CLEAR, STARTED, FINISHED = "lk.clear_buffer", "lk.playback_started", "lk.playback_finished"
ON_BEHALF = "lk.publish_on_behalf"  # attribute of the avatar: the identity of its agent
AGENT_GONE_S = 10.0  # the avatar leaves after this time without its agent
AGENT_AWAITED_S = 60.0  # the same while the agent has not joined yet
STREAM_IDLE_S = 10.0  # a stream without data for this long has ended: its sender died
SUPERSEDED_S = 0.5  # the same if a newer stream has begun: the end of this one was lost
DECODED_BYTES = 1 << 15  # most bytes decoded in one call: 0.7 s at 24 kHz, which takes about 1 ms
REPORT_ATTEMPTS, REPORT_PAUSE_S, REPORT_WAIT_S = 3, 0.1, 3.0


class AgentLink(RoomListener):
    """A session's link to its agent, kept across reconnections. Used in the event loop only.

    present: whether the agent is in the room. reports: number of segments reported as finished. token: the room's
    newest access token, which the server renews while the avatar is in the room; "" before the first renewal.
    """

    def __init__(
        self, agent: str, line: SpeechLine, clear_sound: Callable[[], None], leave: Callable[[], None]
    ) -> None:
        """agent: identity of the participant that may speak.

        clear_sound: called to discard sound that waits to be played. leave: called when the agent has left permanently.
        """
        self.present = False
        self.reports = 0
        self.token = ""
        self._refused = False  # whether any voice was refused
        self._agent, self._line, self._clear_sound, self._leave = agent, line, clear_sound, leave
        self.heard = HeardSpeech(self._on_started, self._on_finished)
        self._room: rtc.Room | None = None
        self._readers: dict[asyncio.Task[None], asyncio.Event] = {}  # value: set when a newer stream has begun
        self._reports: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._gone = self._loop.call_later(AGENT_AWAITED_S, self._leave)
        self._reporter = asyncio.create_task(self._report())

    def close(self) -> None:
        """Stop reading and reporting, because the session ends."""
        self._gone.cancel()
        self._reporter.cancel()
        self.heard.forget(self._line.clear())
        self._stop_reading()

    def on_room(self, room: rtc.Room) -> None:
        room.register_byte_stream_handler(AUDIO_TOPIC, self._on_stream)
        room.on("participant_connected", lambda who: self._on_presence(who.identity, True))
        room.on("participant_disconnected", lambda who: self._on_presence(who.identity, False))
        room.on("token_refreshed", lambda: self._on_token(room))

    def on_joined(self, room: rtc.Room) -> None:
        self._room = room
        room.local_participant.register_rpc_method(CLEAR, self._on_clear)
        if self._agent in room.remote_participants:
            self._on_presence(self._agent, True)
        elif self.present:
            self._on_presence(self._agent, False)  # it left while this side was disconnected

    def on_leaving(self, room: rtc.Room) -> None:
        self._room = None
        room.local_participant.unregister_rpc_method(CLEAR)

    def _on_token(self, room: rtc.Room) -> None:
        self.token = room._token or self.token  # the SDK signals a new token without public access to it

    def _on_presence(self, identity: str, present: bool) -> None:
        if identity != self._agent or present == self.present:
            return
        self.present = present
        self._gone.cancel()
        if not present:
            self._gone = self._loop.call_later(AGENT_GONE_S, self._leave)
            # An agent that returns is a new process, which does not know the earlier segments.
            self._stop_reading()
            self.heard.forget(self._line.clear())
            self._clear_sound()

    def _on_stream(self, reader: rtc.ByteStreamReader, identity: str) -> None:
        form = _form(reader.info.attributes or {})
        if identity != self._agent or form is None:
            if not self._refused:  # log it only once, as anyone in the room can send many
                log.warning("voice_refused", by_agent=identity == self._agent)
            self._refused = True
            reader.close()
            return
        self._on_presence(identity, True)  # after a restart, the stream may arrive before the event of joining
        for superseded in self._readers.values():
            superseded.set()
        superseded = asyncio.Event()
        decoder = PcmDecoder(form[0], "s16", form[1])
        task = self._loop.create_task(self._read(reader, self._line.begin(), decoder, superseded))
        self._readers[task] = superseded
        task.add_done_callback(lambda done: self._readers.pop(done, None))

    async def _read(
        self, reader: rtc.ByteStreamReader, segment: int, decoder: PcmDecoder, superseded: asyncio.Event
    ) -> None:
        """Read a stream into the line until it ends, or until its end counts as lost; see SUPERSEDED_S."""
        received = StreamBytes(reader)
        idle = 0.0
        try:
            while True:
                try:
                    data = await received.take(DECODED_BYTES, SUPERSEDED_S)
                except TimeoutError:
                    idle += SUPERSEDED_S
                    if superseded.is_set() or idle >= STREAM_IDLE_S:
                        break
                    continue
                if not data:
                    break
                idle = 0.0
                self._line.add(segment, decoder.feed(data))
            self._line.add(segment, decoder.flush())
        finally:
            self._line.finish(segment)
            received.close()

    def _stop_reading(self) -> None:
        for task in list(self._readers):
            task.cancel()

    async def _on_clear(self, call: rtc.RpcInvocationData) -> str:
        if call.caller_identity != self._agent:
            raise rtc.RpcError(rtc.RpcError.ErrorCode.APPLICATION_ERROR, "Only the session's agent may interrupt.")
        after = self._line.clear()
        self._clear_sound()
        self._stop_reading()
        self.heard.interrupt(after)
        return "ok"

    def _on_started(self) -> None:
        self._reports.put_nowait((STARTED, ""))

    def _on_finished(self, seconds: float, interrupted: bool) -> None:
        said = {"playback_position": seconds, "interrupted": interrupted, "synchronized_transcript": None}
        self._reports.put_nowait((FINISHED, json.dumps(said)))

    async def _report(self) -> None:
        """Send the reports to the agent in order, each until it is received or REPORT_ATTEMPTS have failed."""
        while True:
            method, payload = await self._reports.get()
            for attempt in range(REPORT_ATTEMPTS):
                if self._room is None or not self.present:
                    break
                try:
                    told = self._room.local_participant.perform_rpc(
                        destination_identity=self._agent,
                        method=method,
                        payload=payload,
                        response_timeout=REPORT_WAIT_S,
                    )
                    await told
                    self.reports += method == FINISHED
                    break
                except rtc.RpcError as error:
                    if error.code == rtc.RpcError.ErrorCode.UNSUPPORTED_METHOD:
                        break  # some agents do not handle `lk.playback_started`
                    log.warning("agent_report_failed", method=method, code=error.code, attempt=attempt)
                    await asyncio.sleep(REPORT_PAUSE_S)


def _form(attributes: dict[str, str]) -> tuple[int, int] | None:
    """Return (rate, channels) of a stream, None if it cannot be played."""
    rate, channels = attributes.get("sample_rate", ""), attributes.get("num_channels", "")
    if not (rate.isdecimal() and channels in ("1", "2") and LOWEST <= int(rate) <= HIGHEST):
        return None
    return int(rate), int(channels)
