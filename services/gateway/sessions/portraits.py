"""Temporary avatars, built from portraits that are sent with a session.

Such an avatar is built before the session opens, shared by all sessions with the same portrait, and removed after the
last of them. It is stored beside the channel's sockets instead of the studio's home, so it is in no list of avatars and
is removed when the studio stops.
"""

import asyncio
import hashlib
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from services.gateway.children.avatar_build import AvatarRequest, build
from shared.avatar.model import avatars_folder
from shared.config.settings import Settings

SWEEP_S = 2.0
NAME_HEX = 32  # hexadecimal digits of the digest in an avatar's name, enough to be unique


class SessionPortraits:
    """Builds and removes the avatars of sessions' portraits. Not thread-safe: used in the event loop."""

    def __init__(self, settings: Settings, shown: Callable[[], set[str]]) -> None:
        """shown: returns the names of the avatars of all wanted sessions."""
        self._home, self._shown = settings.run_dir, shown
        self._held: Counter[str] = Counter()
        self._building = asyncio.Lock()  # one build at a time, because it takes a core

    @asynccontextmanager
    async def prepared(self, portrait: Path, rights: str, check_room: Callable[[], None]) -> AsyncIterator[str]:
        """Build this portrait's avatar, unless it exists, and yield its name; it is kept while the context lasts.

        check_room: called before a build; raises if no session could be opened. Raises StudioError for an unusable
        image.
        """
        name = await asyncio.to_thread(_name, portrait, rights)
        self._held[name] += 1
        try:
            async with self._building:
                if not (avatars_folder(self._home) / name).is_dir():
                    check_room()
                    await build(
                        AvatarRequest(home=self._home, name=name, rights=rights, portrait=portrait, body=None),
                        lambda stage, done: None,
                    )
            yield name
        finally:
            self._held[name] -= 1

    async def keep_swept(self) -> None:
        """Remove avatars that no session shows, every SWEEP_S until cancelled."""
        while True:
            shown = self._shown() | {name for name, count in self._held.items() if count}
            for folder in avatars_folder(self._home).glob("[!.]*"):
                if folder.name not in shown:
                    shutil.rmtree(folder, ignore_errors=True)  # only a few files: fast enough for the event loop
            await asyncio.sleep(SWEEP_S)


def _name(portrait: Path, rights: str) -> str:
    digest = hashlib.sha256(portrait.read_bytes())
    digest.update(b"\0" + rights.encode())
    return digest.hexdigest()[:NAME_HEX]
