"""Answers about the audience: watch links and their viewers."""

from typing import Self

from services.gateway.audience.links import WatchLink
from services.gateway.models.base import Answer


class WatchLinkState(Answer):
    """A watch link.

    label: for the operator; viewers do not see it. expires: wall clock seconds. viewers: highest number at a time.
    watching: current number. talk: whether viewers may talk with the host.
    """

    id: str
    label: str
    expires: int
    viewers: int
    watching: int
    talk: bool


class WatchLinkRow(WatchLinkState):
    """A link with its address. url: path of the page, below a proxy's prefix, with the token in its fragment."""

    url: str

    @classmethod
    def of(cls, link: WatchLink, watching: int, url: str) -> Self:
        """Return the answer for a link. watching: its current number of viewers. url: see the class."""
        return cls(**link.model_dump(), watching=watching, url=url)


class AudienceState(Answer):
    """Viewers by watch links.

    viewers: current number. most: highest number that the studio allows for all links. bytes: sent to viewers since the
    start. dropped: frames and sounds that viewers were too slow for. links: those that have not expired, oldest first.
    """

    viewers: int
    most: int
    bytes: int
    dropped: int
    links: list[WatchLinkState]
