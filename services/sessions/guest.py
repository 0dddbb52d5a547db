"""A session in its room, from joining to leaving, and the thread with the event loop that runs all of them."""

import asyncio
import gc
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np

from publishing.media import RoomMedia
from publishing.publication import Publication
from publishing.stay import stay_in_room
from services.sessions.agent_link import AgentLink
from services.sessions.session_stage import SessionStage
from services.sessions.speech_line import AHEAD_S, SaidTick, SpeechLine
from shared.avatar.model import Avatar, load_avatar, session_avatar_folder
from shared.config.settings import Settings
from shared.errors import StudioError, named
from shared.runtime.clock import now, tick_after
from shared.runtime.logs import get_logger
from shared.session_spec import SessionSpec
from shared.wire.program import ProgramFrame, ProgramSound

log = get_logger()
QUEUED_FRAMES = 12  # frames and sound blocks (six ticks) that may wait for a room; beyond that only sound is queued
QUEUED_MOST = 500  # frames and sound blocks (ten seconds) after which the session ends
CLOSE_WAIT_S = 1.0
# Garbage is collected this long after a session has ended. A room's objects refer to one another, and keep the memory,
# threads and sockets of its connection until they are collected. Objects from the start of the process are frozen, so
# this takes a few milliseconds.
COLLECT_AFTER_S = 1.0

GuestPhase = Literal["opening", "connecting", "live", "reconnecting", "failed", "ended"]


@dataclass(frozen=True, slots=True)
class GuestState:
    """State of a session. It is replaced as a whole, so any thread may read it. "ended" is final.

    note: one sentence if something is wrong, else "". figures: the publication's figures. token: the room's newest
    access token, "" while that is still the request's own.
    """

    state: GuestPhase = "opening"
    note: str = ""
    figures: dict[str, float] = field(default_factory=dict)
    token: str = field(default="", repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Return the state in the form that a pulse carries."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ReadySound:
    """A tick's sound, ready to be published in a room."""

    said: SaidTick
    sound: ProgramSound


class RoomGuest:
    """A session in its room. Used in the rooms' event loop; only `offer` may be called from another thread.

    dropped: frames that were left out because too many were waiting.
    """

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
        """Queue a tick's sound, and later its frame, for publication. Called from the ticks' thread."""
        self._loop.call_soon_threadsafe(self._take, item)

    async def stay(self, first: ProgramFrame) -> None:
        """Join the room and publish until the session ends. first: frame to show until the first tick."""
        spec = self.spec
        publication = Publication(url=spec.url, identity=spec.identity, rate=self._settings.rate, guest=True)
        media = RoomMedia(first, self._settings.rate, AHEAD_S)
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
            self.leave("LiveKit no longer accepts data; open a new session.")
        elif waiting >= QUEUED_FRAMES and isinstance(item, ProgramFrame):
            self.dropped += 1  # a later frame is more recent
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
            await media.feed(replace(sound, samples=np.zeros_like(sound.samples)))
        else:
            await media.feed(sound, said.ahead)
        if said.clears == self.line.clears:  # not cleared while it waited to be published
            number, leaves = media.sound_leaves
            # A block that was skipped to catch up counts as heard, because the transcript continues after it.
            link.heard.add(said.spans, leaves if number == sound.tick else self._loop.time())

    def _say(
        self, state: Literal["connecting", "live", "reconnecting", "failed"], note: str = "", **figures: float
    ) -> None:
        token = self._link.token if self._link else ""
        self.state = GuestState(state, note, figures | {"late": self.dropped}, token)


class Rooms:
    """All sessions of a process, run by an event loop in a thread. The ticks' thread may call all public methods."""

    def __init__(
        self, settings: Settings, enter: Callable[[SessionStage, RoomGuest], None], left: Callable[[str], None]
    ) -> None:
        """enter: called when a session's stage is ready, so that its ticks can begin.

        left: called with a session's id when it has ended. Both are called in the rooms' thread.
        """
        self._settings, self._enter, self._left = settings, enter, left
        self._guests: dict[str, RoomGuest] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ended: dict[str, GuestState] = {}
        self._avatars: dict[str, Avatar] = {}
        self._loading = ThreadPoolExecutor(1, "load")
        logging.getLogger("livekit").setLevel(logging.CRITICAL + 1)  # its messages contain tokens
        self._loop = asyncio.new_event_loop()
        self._collecting = self._loop.call_later(COLLECT_AFTER_S, gc.collect)
        self._thread = threading.Thread(target=self._run, name="rooms", daemon=True)
        self._thread.start()

    def want(self, wanted: list[SessionSpec]) -> None:
        """Join the rooms of these sessions and leave all others."""
        self._loop.call_soon_threadsafe(self._want, {spec.id: spec for spec in wanted})

    def states(self) -> dict[str, GuestState]:
        """Return the state of each session by id: of those that run, and of ended ones that are still requested."""
        return {**{name: guest.state for name, guest in list(self._guests.items())}, **self._ended}

    def close(self) -> None:
        """Leave all rooms and stop the thread."""
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
        """Run a session from loading its avatar to its end. Its errors do not affect other sessions."""
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
            guest.leave(f"The session failed ({named(error)}); see the studio's log.")
        finally:
            self._left(name)
            self._ended[name] = GuestState("ended", guest.state.note)
            del self._guests[name], self._tasks[name]
            if not any(other.spec.avatar == guest.spec.avatar for other in self._guests.values()):
                self._avatars.pop(guest.spec.avatar, None)
            self._collecting.cancel()
            self._collecting = self._loop.call_later(COLLECT_AFTER_S, gc.collect)

    def _stage(self, guest: RoomGuest) -> SessionStage:
        """Make a session's stage; called in the loading thread, because loading an avatar would block the rooms."""
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
