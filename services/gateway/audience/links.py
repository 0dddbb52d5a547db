"""Links for the audience: each may watch and do nothing else, until it expires or is revoked.

A link carries a JSON web token (RFC 7519) that names the link and is signed with a key of the channel, made of the
operator's token: another operator's token makes every link void. What is kept is the list of links that there are; to
revoke one is to remove it.
"""

import hmac
import os
import secrets
import time
from collections.abc import Callable
from enum import Enum

import jwt
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from services.gateway.channel.event_log import EventLog
from shared.config.settings import Settings
from shared.errors import StudioError
from shared.runtime.files import write_atomically

ALGORITHM = "HS256"
SHORTEST_S, LONGEST_S = 60, 30 * 24 * 3600  # of a link's life
MOST_VIEWERS = 1000  # of one link
MOST_LINKS = 100
MOST_LABEL_CHARACTERS = 80
MOST_TOKEN_CHARACTERS = 1000
MOST_FILE_BYTES = 256 << 10


class WatchRefusal(Enum):
    """Why one may not watch, or not any longer.

    The code that closes the socket, and the sentence that the page shows.
    """

    BAD = 4401, "This link is not complete or not of this studio; ask for a new one."
    EXPIRED = 4402, "This link has expired; ask for a new one."
    REVOKED = 4403, "This link was withdrawn; ask for a new one."
    SILENT = 4408, "This page stopped responding; reload it."
    LINK_FULL = 4429, "The maximum number of viewers for this link has been reached; try again later."
    STUDIO_FULL = 4430, "The maximum number of viewers of this studio has been reached; try again later."

    @property
    def code(self) -> int:
        """Close code of the socket."""
        return self.value[0]

    @property
    def sentence(self) -> str:
        """The sentence that the viewer reads."""
        return self.value[1]


class WatchRefusedError(StudioError):
    """A viewer may not watch; the message gives the reason."""

    def __init__(self, refusal: WatchRefusal) -> None:
        super().__init__(refusal.sentence)
        self.refusal = refusal


class WatchLink(BaseModel):
    """A link as it is kept.

    expires: wall clock seconds. viewers: how many may watch by it at a time. talk: whether they may talk with the host.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[A-Za-z0-9_-]{8,24}$")
    label: str = Field(max_length=MOST_LABEL_CHARACTERS)
    expires: int
    viewers: int = Field(ge=1, le=MOST_VIEWERS)
    talk: bool = False


_KEPT = TypeAdapter(list[WatchLink])


class WatchLinks:
    """The channel's links, kept in the studio's home. Lives in the event loop.

    secret: the operator's token. clock: wall clock seconds.
    """

    def __init__(
        self, settings: Settings, event_log: EventLog, secret: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._path = settings.home / f"watch-links-{settings.channel}.json"
        self._event_log = event_log
        self._audience = f"watch {settings.channel}"
        self._key = hmac.digest(secret.encode(), f"links to {self._audience}".encode(), "sha256")
        self._clock = clock
        self._links = self._load()

    def make(self, label: str, expires_s: int, viewers: int, talk: bool = False) -> WatchLink:
        """A new link. Raises StudioError where there are too many, or where it cannot be kept."""
        links = self.links()
        if len(links) >= MOST_LINKS:
            raise StudioError(f"There are {MOST_LINKS} links, and no more are kept; revoke one first.")
        made = WatchLink(
            id=secrets.token_urlsafe(9),
            label=label,
            expires=int(self._clock()) + expires_s,
            viewers=viewers,
            talk=talk,
        )
        self._save({each.id: each for each in (*links, made)})
        return made

    def links(self) -> list[WatchLink]:
        """Links that have not expired, oldest first."""
        at = self._clock()
        return [link for link in self._links.values() if link.expires > at]

    def remove(self, name: str) -> bool:
        """Revoke a link; whether there was one. Raises StudioError where that cannot be kept, and it stays."""
        if name not in {link.id for link in self.links()}:
            return False
        self._save({each.id: each for each in self.links() if each.id != name})
        return True

    def token(self, link: WatchLink) -> str:
        """What the link's address carries; the same each time."""
        claims = {"aud": self._audience, "sub": link.id, "exp": link.expires}
        return jwt.encode(claims, self._key, algorithm=ALGORITHM)

    def admit(self, token: str) -> WatchLink:
        """The link of a token. Raises WatchRefusedError."""
        if len(token) > MOST_TOKEN_CHARACTERS:
            raise WatchRefusedError(WatchRefusal.BAD)
        try:
            # The time is looked at below, by the clock that the other links go by.
            told = {"require": ["exp", "sub", "aud"], "verify_exp": False}
            claims = jwt.decode(token, self._key, [ALGORITHM], options=told, audience=self._audience)  # type: ignore[arg-type]
            name, expires = str(claims["sub"]), int(claims["exp"])
        except (jwt.InvalidTokenError, ValueError, TypeError, RecursionError):
            raise WatchRefusedError(WatchRefusal.BAD) from None
        if expires <= self._clock():
            raise WatchRefusedError(WatchRefusal.EXPIRED)
        link = self._links.get(name)
        if link is None:
            raise WatchRefusedError(WatchRefusal.REVOKED)
        return link

    def standing(self, name: str) -> WatchRefusal | None:
        """Why a link that was admitted is good no more, None while it is."""
        link = self._links.get(name)
        if link is None:
            return WatchRefusal.REVOKED
        return WatchRefusal.EXPIRED if link.expires <= self._clock() else None

    def name_of(self, thing: str) -> str:
        """A name that says nothing of the thing, the same for as long as the operator's token is."""
        return hmac.digest(self._key, thing.encode("utf-8", "surrogatepass"), "sha256").hex()[:32]

    def _load(self) -> dict[str, WatchLink]:
        try:
            with self._path.open("rb") as file:
                return {link.id: link for link in _KEPT.validate_json(file.read(MOST_FILE_BYTES))}
        except FileNotFoundError:
            return {}
        except (OSError, ValidationError):
            self._event_log.add(f"{self._path.name} cannot be read; its links are void, make new ones.", "warning")
            return {}

    def _save(self, links: dict[str, WatchLink]) -> None:
        try:
            write_atomically(self._path, _KEPT.dump_json(list(links.values())))
        except OSError as error:
            reason = error.strerror or os.strerror(error.errno or 0)
            raise StudioError(f"The links cannot be kept in {self._path.parent} ({reason}).") from None
        self._links = links
