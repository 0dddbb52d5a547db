"""Avatars of one session's portrait.

Built before it opens, shared by sessions of the same portrait, gone with the last.

They are kept beside the channel's sockets, not in the studio's home: they are in no list, and end with the studio.
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
NAME_HEX = 32  # of the digest, all that a name needs for being one portrait's


class SessionPortraits:
    """Avatars made from portraits that sessions bring along. Lives in the event loop."""

    def __init__(self, settings: Settings, shown: Callable[[], set[str]]) -> None:
        """shown: the avatars of the sessions that are wanted."""
        self._home, self._shown = settings.run_dir, shown
        self._held: Counter[str] = Counter()
        self._building = asyncio.Lock()  # one at a time: it takes a core

    @asynccontextmanager
    async def prepared(self, portrait: Path, rights: str, check_room: Callable[[], None]) -> AsyncIterator[str]:
        """The name of this portrait's avatar, which stays at least until the context ends.

        check_room: called before it is built; raises where that would be in vain. Raises StudioError for an image of no
        use.
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
        """Remove what no session shows, for as long as the gateway runs."""
        while True:
            shown = self._shown() | {name for name, count in self._held.items() if count}
            for folder in avatars_folder(self._home).glob("[!.]*"):
                if folder.name not in shown:
                    shutil.rmtree(folder, ignore_errors=True)  # a few files
            await asyncio.sleep(SWEEP_S)


def _name(portrait: Path, rights: str) -> str:
    digest = hashlib.sha256(portrait.read_bytes())
    digest.update(b"\0" + rights.encode())
    return digest.hexdigest()[:NAME_HEX]
