"""Seats for viewers by watch links: limited per link and per studio, vacated when a viewer may no longer stay."""

import asyncio
from collections import Counter
from pathlib import Path

from services.gateway.audience.links import WatchLink, WatchLinks, WatchRefusal, WatchRefusedError
from services.gateway.audience.viewer import WatchViewer
from services.gateway.channel.event_log import EventLog
from services.gateway.preview.viewers import Audience
from shared.avatar.model import NAME, avatars_folder
from shared.config.settings import Settings

CHECK_PERIOD_S = 1.0
PLATES_NAMED = 8  # number of plates announced to pages most recently, which pages may fetch


class WatchSeats:
    """The viewers of all links. Not thread-safe: used in the event loop.

    most: highest number of viewers of all links. turned_away: viewers refused or disconnected, by the reason's name.
    """

    def __init__(self, settings: Settings, links: WatchLinks, audience: Audience, event_log: EventLog) -> None:
        self.links = links
        self.most = settings.watch_viewers
        self.turned_away: Counter[str] = Counter()
        self._home = settings.home
        self._rate = float(settings.rate)
        self._audience = audience
        self._event_log = event_log
        self._viewers: dict[WatchViewer, asyncio.Event] = {}
        self._plates: dict[str, str] = {}  # avatars by the names of their plates

    def take(self, token: str) -> WatchViewer:
        """Admit the bearer of a link's token as a viewer. Raises WatchRefusedError."""
        try:
            link = self.links.admit(token)
            if self.watching()[link.id] >= link.viewers:
                raise WatchRefusedError(WatchRefusal.LINK_FULL)
            if len(self._viewers) >= self.most:
                raise WatchRefusedError(WatchRefusal.STUDIO_FULL)
        except WatchRefusedError as error:
            self.turned_away[error.refusal.name.lower()] += 1
            raise
        viewer = WatchViewer(link=link.id, rate=self._rate, plate_name=self.plate_name)
        self._viewers[viewer] = asyncio.Event()
        self._audience.join(viewer)
        return viewer

    def leave(self, viewer: WatchViewer) -> None:
        """Free the viewer's seat."""
        self._viewers.pop(viewer, None)
        self._audience.leave(viewer)

    async def until_ended(self, viewer: WatchViewer) -> None:
        """Wait until the viewer must disconnect; `viewer.ended` is then the reason."""
        await self._viewers[viewer].wait()

    def watching(self) -> Counter[str]:
        """Return the current number of viewers by link id."""
        return Counter(viewer.link for viewer in self._viewers)

    def make(self, label: str, expires_s: int, viewers: int, talk: bool = False) -> WatchLink:
        """Make a new link. Raises StudioError."""
        made = self.links.make(label, expires_s, viewers, talk)
        self._event_log.add(f"A watch link was made for {viewers} viewer{'s' if viewers > 1 else ''}.")
        return made

    def revoke(self, name: str) -> bool:
        """Revoke a link and disconnect its viewers immediately; returns whether it existed. Raises StudioError."""
        if not self.links.remove(name):
            return False
        watched = self.watching()[name]
        self.let_go()
        self._event_log.add(f"A watch link was revoked; {watched} viewer{'s' if watched != 1 else ''} had to leave.")
        return True

    def let_go(self) -> None:
        """End the viewers whose link is no longer valid or whose page has stopped responding."""
        for viewer in self._viewers:
            if refusal := self.links.standing(viewer.link):
                self.end(viewer, refusal)
            elif viewer.is_silent():
                self.end(viewer, WatchRefusal.SILENT)

    def end(self, viewer: WatchViewer, refusal: WatchRefusal) -> None:
        """Make the viewer disconnect with this reason."""
        if viewer.ended is None:
            viewer.ended = refusal
            self.turned_away[refusal.name.lower()] += 1
            self._viewers[viewer].set()

    async def keep_clear(self) -> None:
        """Call `let_go` once a second until cancelled."""
        while True:
            self.let_go()
            await asyncio.sleep(CHECK_PERIOD_S)

    def plate_name(self, avatar: str) -> str:
        """Return the public name of an avatar's plate, which does not reveal the avatar's name.

        A new plate of the same avatar has a different name. "" if the avatar has no plate.
        """
        path = self._plate_path(avatar)
        try:
            stat = path.stat()
        except OSError:
            return ""
        name = self.links.name_of(f"plate {avatar} {stat.st_mtime_ns} {stat.st_size}")
        self._plates.pop(name, None)
        self._plates[name] = avatar
        while len(self._plates) > PLATES_NAMED:
            del self._plates[next(iter(self._plates))]
        return name

    def plate_folder(self, name: str) -> Path | None:
        """Return the folder of the avatar whose plate was announced under this name, None if the plate has changed."""
        avatar = self._plates.get(name)
        return self._plate_path(avatar).parent if avatar is not None and self.plate_name(avatar) == name else None

    def _plate_path(self, avatar: str) -> Path:
        # The name comes from a message: use it in a path only if it is a valid avatar name.
        return avatars_folder(self._home) / (avatar if NAME.fullmatch(avatar) else "-") / "plate.mjpg"
