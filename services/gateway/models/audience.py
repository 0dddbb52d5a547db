"""Answers about the audience: watch links and their viewers."""

from typing import Self

from services.gateway.audience.links import WatchLink
from services.gateway.models.base import Answer


class WatchLinkState(Answer):
    """A watch link.

    label: the operator's, viewers do not see it. expires: wall clock seconds. viewers: how many it allows at a time;
    watching: how many there are. talk: whether they may talk with the host.
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

    viewers: now. most: how many the studio allows over all links. bytes: sent to them since the start. dropped: frames
    and sounds that they were too slow for. links: those that have not expired, oldest first.
    """

    viewers: int
    most: int
    bytes: int
    dropped: int
    links: list[WatchLinkState]
