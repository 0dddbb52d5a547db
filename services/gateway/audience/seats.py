"""Viewers by link: as many at a time as link and studio allow, disconnected once they may no longer stay."""

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
PLATES_NAMED = 8  # plates that pages were told of last, and may fetch


class WatchSeats:
    """The viewers of all links. Lives in the event loop.

    turned_away: how often one might not watch, or not any longer, by the reason's name.
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
        """A seat for who has this token. Raises WatchRefusedError."""
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
        """The seat is free."""
        self._viewers.pop(viewer, None)
        self._audience.leave(viewer)

    async def until_ended(self, viewer: WatchViewer) -> None:
        """Wait until the viewer has to go; `viewer.ended` says why."""
        await self._viewers[viewer].wait()

    def watching(self) -> Counter[str]:
        """Viewers now, by link."""
        return Counter(viewer.link for viewer in self._viewers)

    def make(self, label: str, expires_s: int, viewers: int, talk: bool = False) -> WatchLink:
        """A new link. Raises StudioError."""
        made = self.links.make(label, expires_s, viewers, talk)
        self._event_log.add(f"A watch link was made for {viewers} viewer{'s' if viewers > 1 else ''}.")
        return made

    def revoke(self, name: str) -> bool:
        """Revoke a link and disconnect its viewers at once; returns whether it existed. Raises StudioError."""
        if not self.links.remove(name):
            return False
        watched = self.watching()[name]
        self.let_go()
        self._event_log.add(f"A watch link was revoked; {watched} viewer{'s' if watched != 1 else ''} had to leave.")
        return True

    def let_go(self) -> None:
        """End viewers whose link is no longer valid, and those that have fallen silent."""
        for viewer in self._viewers:
            if refusal := self.links.standing(viewer.link):
                self.end(viewer, refusal)
            elif viewer.is_silent():
                self.end(viewer, WatchRefusal.SILENT)

    def end(self, viewer: WatchViewer, refusal: WatchRefusal) -> None:
        """The viewer has to go."""
        if viewer.ended is None:
            viewer.ended = refusal
            self.turned_away[refusal.name.lower()] += 1
            self._viewers[viewer].set()

    async def keep_clear(self) -> None:
        """Let go those who may not stay, for as long as the gateway runs."""
        while True:
            self.let_go()
            await asyncio.sleep(CHECK_PERIOD_S)

    def plate_name(self, avatar: str) -> str:
        """The name that pages get in place of the avatar's; another plate of the same avatar has another.

        "" without one.
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
        """The folder of the avatar whose plate pages were told of by this name, if it is still the same."""
        avatar = self._plates.get(name)
        return self._plate_path(avatar).parent if avatar is not None and self.plate_name(avatar) == name else None

    def _plate_path(self, avatar: str) -> Path:
        # The name comes from a message: one that could not name an avatar must not become a path.
        return avatars_folder(self._home) / (avatar if NAME.fullmatch(avatar) else "-") / "plate.mjpg"
