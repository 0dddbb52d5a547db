"""LiveKit output: publishes one video and one audio track from a separate thread, and reconnects after failures.

A failure that cannot resolve by itself (another publisher with the same identity, removal from the room) ends in
`failed` until the operator switches the output on again. The SDK's messages contain the access token, so none of them
is shown or logged.
"""

import asyncio
import logging
import threading
from typing import TYPE_CHECKING

from publishing.publication import Publication
from publishing.token import missing_settings, publisher_token
from services.gateway.channel.captions import Caption
from services.gateway.channel.event_log import EventLog
from services.gateway.channel.program_feed import OutputQueue
from services.gateway.outputs.base import OutputPhase, OutputState
from shared.config.settings import Settings
from shared.runtime.logs import get_logger
from shared.runtime.restart import RetryDelay
from shared.wire.program import ProgramFrame

if TYPE_CHECKING:
    from publishing.captions import RoomCaptions
    from publishing.media import RoomMedia

log = get_logger()
POLL_S = 0.2  # seconds after which an empty queue makes the thread check again whether the output is wanted
QUEUE_FRAMES, QUEUE_SOUND_BLOCKS = 4, 12
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 20.0  # pauses after a failure of the library


class LiveKitOutput:
    """Publishes the program while it is wanted."""

    def __init__(self, settings: Settings, event_log: EventLog) -> None:
        self.outlet = OutputQueue("livekit", frames=QUEUE_FRAMES, sounds=QUEUE_SOUND_BLOCKS)
        self.outlet.open = False
        self.state = OutputState()
        self._settings, self._event_log = settings, event_log
        self._wanted = self._stopping = False
        self._changed = threading.Lock()
        self._leave: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._captions: RoomCaptions | None = None  # while the program is published
        logging.getLogger("livekit").setLevel(logging.CRITICAL + 1)

    def want(self, wanted: bool) -> None:
        """Switch publishing on or off. May be called from any thread."""
        with self._changed:
            self._wanted = self.outlet.open = wanted
            if not wanted and self._leave:
                loop, event = self._leave
                loop.call_soon_threadsafe(event.set)
        self.outlet.wake()

    def hear(self, caption: Caption) -> None:
        """Send the beginning or the end of a caption to the room. May be called from any thread."""
        if caption.end is not None and not caption.is_over:
            return  # only the time of its end has become known
        with self._changed:
            if self._captions and self._leave:
                at = caption.start if caption.end is None else caption.end
                self._leave[0].call_soon_threadsafe(self._captions.hear, caption.id, caption.text, at, caption.is_over)

    def stop(self) -> None:
        """Make `run` leave the room and return."""
        self._stopping = True
        self.want(False)

    def run(self) -> None:
        """Publish until `stop`."""
        retry = RetryDelay(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        while not self._stopping:
            items = self.outlet.drain(POLL_S)
            if not self._wanted:
                self._say("off")
                continue
            if reason := missing_settings(self._settings):
                self._say("failed", reason)
                continue
            first = next((item for item in items if isinstance(item, ProgramFrame)), None)
            if first is None:
                self._say("connecting")  # until the first frame of the program
                continue
            try:
                asyncio.run(self._publish(first))
            except Exception:
                # The SDK is third-party code, and none of its failures may affect the other outputs.
                log.exception("livekit_output_ended")
                self._say("reconnecting", "LiveKit's library failed; the studio's log says how. Trying again.")
                asyncio.run(asyncio.sleep(retry.next_s()))

    async def _publish(self, first: ProgramFrame) -> None:
        """Stay in the room until the output is no longer wanted."""
        from publishing.captions import RoomCaptions
        from publishing.media import RoomMedia

        leave = asyncio.Event()
        media = RoomMedia(first, self._settings.rate)
        captions = RoomCaptions(media)
        with self._changed:
            self._leave, self._captions = (asyncio.get_running_loop(), leave), captions
            if not self._wanted:
                leave.set()
        tasks = [
            asyncio.create_task(each)
            for each in (self._feed(media), captions.run(), self._stay(media, captions, leave))
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            with self._changed:
                self._leave = self._captions = None
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await media.close()

    async def _feed(self, media: "RoomMedia") -> None:
        while True:
            for item in await asyncio.to_thread(self.outlet.drain, POLL_S):
                await media.feed(item)

    async def _stay(self, media: "RoomMedia", captions: "RoomCaptions", leave: asyncio.Event) -> None:
        from publishing.stay import stay_in_room

        publication = Publication.of_settings(self._settings)
        await stay_in_room(publication, media, leave, self._say, lambda: publisher_token(self._settings), captions)
        await leave.wait()
        self._say("off")

    def _say(self, state: OutputPhase, note: str = "", **figures: float) -> None:
        before = self.state
        self.state = before.with_phase(state, note, **figures)
        if (before.state, before.note) != (state, note) and (note or state in ("live", "off")):
            word = f"LiveKit: {note}" if note else f"LiveKit is {state}."
            self._event_log.add(word, "error" if state == "failed" else "warning" if note else "info")
