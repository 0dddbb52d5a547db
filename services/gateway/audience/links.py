"""Watch links for the audience: permission to watch, and nothing else, until the link expires or is revoked.

A link contains a JSON web token (RFC 7519) that names the link and is signed with a key of the channel. The key is
derived from the operator's token, so changing that token makes every link void. The channel stores a list of its valid
links; revoking a link removes it from the list.
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
SHORTEST_S, LONGEST_S = 60, 30 * 24 * 3600  # limits of a link's lifetime
MOST_VIEWERS = 1000  # highest number of viewers that one link may allow
MOST_LINKS = 100
MOST_LABEL_CHARACTERS = 80
MOST_TOKEN_CHARACTERS = 1000
MOST_FILE_BYTES = 256 << 10


class WatchRefusal(Enum):
    """The reasons why a viewer may not watch, or may no longer watch.

    Each value is the close code of the socket and the sentence that the page shows.
    """

    BAD = 4401, "This link is incomplete or belongs to another studio; ask for a new one."
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
        """Sentence shown to the viewer."""
        return self.value[1]


class WatchRefusedError(StudioError):
    """Raised when a viewer may not watch; the message gives the reason."""

    def __init__(self, refusal: WatchRefusal) -> None:
        super().__init__(refusal.sentence)
        self.refusal = refusal


class WatchLink(BaseModel):
    """A watch link as it is stored.

    label: for the operator. expires: wall clock seconds. viewers: how many may watch by it at a time. talk: whether
    they may talk with the host.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[A-Za-z0-9_-]{8,24}$")
    label: str = Field(max_length=MOST_LABEL_CHARACTERS)
    expires: int
    viewers: int = Field(ge=1, le=MOST_VIEWERS)
    talk: bool = False


_KEPT = TypeAdapter(list[WatchLink])


class WatchLinks:
    """The channel's watch links, stored in the studio's home. Not thread-safe: used in the event loop.

    secret: the operator's token. clock: returns wall clock seconds.
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
        """Make and store a new link. Raises StudioError if there are too many, or if it cannot be stored."""
        links = self.links()
        if len(links) >= MOST_LINKS:
            raise StudioError(f"There are {MOST_LINKS} links already, which is the maximum; revoke one first.")
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
        """Return the links that have not expired, oldest first."""
        at = self._clock()
        return [link for link in self._links.values() if link.expires > at]

    def remove(self, name: str) -> bool:
        """Revoke a link, by its id; returns whether it existed.

        Raises StudioError if the change cannot be stored; the link is then still valid.
        """
        if name not in {link.id for link in self.links()}:
            return False
        self._save({each.id: each for each in self.links() if each.id != name})
        return True

    def token(self, link: WatchLink) -> str:
        """Return the token in the link's address, the same for each call."""
        claims = {"aud": self._audience, "sub": link.id, "exp": link.expires}
        return jwt.encode(claims, self._key, algorithm=ALGORITHM)

    def admit(self, token: str) -> WatchLink:
        """Return the link that a token names. Raises WatchRefusedError if the token or link is not valid."""
        if len(token) > MOST_TOKEN_CHARACTERS:
            raise WatchRefusedError(WatchRefusal.BAD)
        try:
            # The expiry is checked below, because it must use `self._clock`.
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
        """Return why an admitted link is no longer valid, None while it is valid."""
        link = self._links.get(name)
        if link is None:
            return WatchRefusal.REVOKED
        return WatchRefusal.EXPIRED if link.expires <= self._clock() else None

    def name_of(self, thing: str) -> str:
        """Return a pseudonym for `thing` that does not reveal it, constant until the operator's token changes."""
        return hmac.digest(self._key, thing.encode("utf-8", "surrogatepass"), "sha256").hex()[:32]

    def _load(self) -> dict[str, WatchLink]:
        try:
            with self._path.open("rb") as file:
                return {link.id: link for link in _KEPT.validate_json(file.read(MOST_FILE_BYTES))}
        except FileNotFoundError:
            return {}
        except (OSError, ValidationError):
            self._event_log.add(
                f"{self._path.name} cannot be read; its links no longer work: make new ones.", "warning"
            )
            return {}

    def _save(self, links: dict[str, WatchLink]) -> None:
        try:
            write_atomically(self._path, _KEPT.dump_json(list(links.values())))
        except OSError as error:
            reason = error.strerror or os.strerror(error.errno or 0)
            raise StudioError(
                f"The links cannot be saved in {self._path.parent} ({reason}); free some space, or make it writable."
            ) from None
        self._links = links
