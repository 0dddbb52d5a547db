"""A session in its room, from joining to leaving; and all of them in one event loop, in a thread of its own."""

import asyncio
import gc
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
import structlog

from publishing.media import RoomMedia
from publishing.publication import Publication
from publishing.stay import stay_in_room
from services.sessions.agent_link import AgentLink
from services.sessions.session_stage import SessionStage
from services.sessions.speech_line import SaidTick, SpeechLine
from shared.avatar.model import Avatar, load_avatar, session_avatar_folder
from shared.config.settings import Settings
from shared.errors import StudioError, named
from shared.runtime.clock import now, tick_after
from shared.session_spec import SessionSpec
from shared.wire.program import ProgramFrame, ProgramSound

log = structlog.get_logger()
QUEUED_FRAMES = 12  # frames and blocks of sound, six ticks', that a room may be behind until it is given sound alone
QUEUED_MOST = 500  # of both, ten seconds', after which a room no longer takes anything
CLOSE_WAIT_S = 1.0
# After the last end: a room's objects refer to one another, and as long as they are there its connection's memory,
# threads and sockets are. What was there at the start is not searched through, so it takes a few milliseconds.
COLLECT_AFTER_S = 1.0

GuestPhase = Literal["opening", "connecting", "live", "reconnecting", "failed", "ended"]


@dataclass(frozen=True, slots=True)
class GuestState:
    """How a session is. Replaced as a whole, so any thread may read it.

    note: one sentence where something is wrong. figures: of the publication. token: the room's newest, "" where it is
    still the one that was given. A session that has ended stays so.
    """

    state: GuestPhase = "opening"
    note: str = ""
    figures: dict[str, float] = field(default_factory=dict)
    token: str = field(default="", repr=False)

    def as_dict(self) -> dict[str, Any]:
        """The state as a pulse carries it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ReadySound:
    """A tick's sound on its way into a room."""

    said: SaidTick
    sound: ProgramSound


class RoomGuest:
    """One session in its room. Lives in the rooms' event loop; only `offer` may be called by another thread."""

    def __init__(self, spec: SessionSpec, settings: Settings, line: SpeechLine) -> None:
        self.spec, self.line = spec, line
        self.state = GuestState()
        self.dropped = 0
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._leave = asyncio.Event()
        self._ready: asyncio.Queue[ReadySound | ProgramFrame] = asyncio.Queue()
        self._link: AgentLink | None = None

    def leave(self, note: str = "") -> None:
        """Leave the room; `stay` then returns."""
        self.state = replace(self.state, note=note or self.state.note, token="")
        self._leave.set()

    def offer(self, item: ReadySound | ProgramFrame) -> None:
        """A tick's sound, and later its frame, to be published. Called by the tick's thread."""
        self._loop.call_soon_threadsafe(self._take, item)

    async def stay(self, first: ProgramFrame) -> None:
        """Join, publish and stay until the end. first: shown until the first tick."""
        spec = self.spec
        publication = Publication(url=spec.url, identity=spec.identity, rate=self._settings.rate, guest=True)
        media = RoomMedia(first, self._settings.rate)
        link = self._link = AgentLink(
            spec.agent, self.line, media.clear_sound, lambda: self.leave("The agent has left the room.")
        )
        feeding = asyncio.create_task(self._feed(media, link))
        staying = asyncio.create_task(
            stay_in_room(publication, media, self._leave, self._say, lambda: link.token or spec.token, link)
        )
        try:
            done, _ = await asyncio.wait({feeding, staying}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            link.close()
            for task in (feeding, staying):
                task.cancel()
            await asyncio.gather(feeding, staying, return_exceptions=True)
            await media.close()

    def _take(self, item: ReadySound | ProgramFrame) -> None:
        waiting = self._ready.qsize()
        if waiting >= QUEUED_MOST:
            self.leave("LiveKit's library no longer accepts data; open another session.")
        elif waiting >= QUEUED_FRAMES and isinstance(item, ProgramFrame):
            self.dropped += 1  # the next one shows the present
        else:
            self._ready.put_nowait(item)

    async def _feed(self, media: RoomMedia, link: AgentLink) -> None:
        while True:
            item = await self._ready.get()
            if isinstance(item, ReadySound):
                await self._feed_sound(item, media, link)
            else:
                await media.feed(item)

    async def _feed_sound(self, ready: ReadySound, media: RoomMedia, link: AgentLink) -> None:
        said, sound = ready.said, ready.sound
        if said.clears != self.line.clears:
            sound = replace(sound, samples=np.zeros_like(sound.samples))
        await media.feed(sound)
        if said.clears == self.line.clears:  # still, as it may have waited
            number, leaves = media.sound_leaves
            # A block that was left out, to catch up, counts as heard: the transcript continues behind it.
            link.heard.add(said.spans, leaves if number == sound.tick else self._loop.time())

    def _say(
        self, state: Literal["connecting", "live", "reconnecting", "failed"], note: str = "", **figures: float
    ) -> None:
        token = self._link.token if self._link else ""
        self.state = GuestState(state, note, figures | {"late": self.dropped}, token)


class Rooms:
    """All sessions of a process, in a thread with an event loop.

    Every public method may be called by the tick's thread.

    states: of every session that is wanted, and of those that end just now.
    """

    def __init__(
        self, settings: Settings, enter: Callable[[SessionStage, RoomGuest], None], left: Callable[[str], None]
    ) -> None:
        """enter: a session's stage is ready and its ticks may begin.

        left: they may end. Called in the rooms' thread.
        """
        self._settings, self._enter, self._left = settings, enter, left
        self._guests: dict[str, RoomGuest] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ended: dict[str, GuestState] = {}
        self._avatars: dict[str, Avatar] = {}
        self._loading = ThreadPoolExecutor(1, "load")
        logging.getLogger("livekit").setLevel(logging.CRITICAL + 1)  # its messages carry tokens
        self._loop = asyncio.new_event_loop()
        self._collecting = self._loop.call_later(COLLECT_AFTER_S, gc.collect)
        self._thread = threading.Thread(target=self._run, name="rooms", daemon=True)
        self._thread.start()

    def want(self, wanted: list[SessionSpec]) -> None:
        """Be in the rooms of these sessions and in no other."""
        self._loop.call_soon_threadsafe(self._want, {spec.id: spec for spec in wanted})

    def states(self) -> dict[str, GuestState]:
        """How each session is."""
        return {**{name: guest.state for name, guest in list(self._guests.items())}, **self._ended}

    def close(self) -> None:
        """Leave all rooms."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(CLOSE_WAIT_S * 2)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CLOSE_WAIT_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _want(self, wanted: dict[str, SessionSpec]) -> None:
        for name in [name for name in self._ended if name not in wanted]:
            del self._ended[name]
        for name, guest in self._guests.items():
            if name not in wanted:
                guest.leave()
        for name, spec in wanted.items():
            if name not in self._guests and name not in self._ended:
                guest = self._guests[name] = RoomGuest(spec, self._settings, SpeechLine(spec.ahead_us))
                self._tasks[name] = self._loop.create_task(self._host(guest))

    async def _host(self, guest: RoomGuest) -> None:
        """Host one session from its avatar to its end. No fault of it reaches another."""
        name = guest.spec.id
        try:
            stage = await self._loop.run_in_executor(self._loading, self._stage, guest)
            first = stage.frame(tick_after(now(), self._settings.rate))
            self._enter(stage, guest)
            await guest.stay(first)
        except StudioError as error:
            guest.leave(str(error))
        except Exception as error:
            log.exception("session_failed", session=name)
            guest.leave(f"The session failed ({named(error)}); the studio's log says how.")
        finally:
            self._left(name)
            self._ended[name] = GuestState("ended", guest.state.note)
            del self._guests[name], self._tasks[name]
            if not any(other.spec.avatar == guest.spec.avatar for other in self._guests.values()):
                self._avatars.pop(guest.spec.avatar, None)
            self._collecting.cancel()
            self._collecting = self._loop.call_later(COLLECT_AFTER_S, gc.collect)

    def _stage(self, guest: RoomGuest) -> SessionStage:
        """Set a session's stage, in the loading thread: an avatar takes a while, and the rooms continue."""
        spec = guest.spec
        avatar = self._avatars.get(spec.avatar)
        if avatar is None:
            avatar = load_avatar(session_avatar_folder(self._settings.home, self._settings.run_dir, spec.avatar))
            self._avatars[spec.avatar] = avatar
        return SessionStage(spec, avatar, guest.line, self._settings.rate)

    async def _close(self) -> None:
        for guest in self._guests.values():
            guest.leave()
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()), timeout=CLOSE_WAIT_S)
