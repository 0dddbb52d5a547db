"""Wanted state of a session: an avatar in another application's room. The gateway repeats it every second.

The process that joins the room receives all of it. The process that generates the faces receives neither the room's
address nor its token.
"""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from shared.wire.message import WireError

SESSION_ID = re.compile(r"[a-z0-9]{12}")
SMALLEST_PX, LARGEST_PX = 64, 1920  # limits for the sides of a session's frames
MAX_LISTED_BYTES = 1 << 20  # size of the message that lists all wanted sessions

_KINDS = {"id": str, "avatar": str, "engine": str, "ahead_us": int, "width": int, "height": int, "label": bool,
          "url": str, "token": str, "identity": str, "agent": str}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSpec:
    """Wanted state of one session.

    id: 12 letters and digits, also the channel of the session's messages. avatar, engine: names. options: options of
    the engine. ahead_us: the engine's `voice_ahead_us`. width, height: size of the frames in pixels, even. label:
    whether the frames carry the label. url, token: address and access token of the LiveKit room. identity: the
    session's identity in that room. agent: identity of the participant whose voice drives the avatar.
    """

    id: str
    avatar: str
    engine: str
    ahead_us: int
    width: int
    height: int
    label: bool
    options: dict[str, bool | int | float | str] = field(default_factory=dict)
    url: str = ""
    token: str = field(default="", repr=False)
    identity: str = ""
    agent: str = ""

    def without_room(self) -> "SessionSpec":
        """Return the session without its room: the part that the process that generates faces receives."""
        return replace(self, url="", token="", identity="", agent="")


def packed_sessions(sessions: Iterable[SessionSpec]) -> NDArray[np.uint8]:
    """Pack the wanted sessions as the payload of one message."""
    return np.frombuffer(msgpack.packb([asdict(each) for each in sessions]), np.uint8)


def unpacked_sessions(payload: NDArray[np.uint8]) -> list[SessionSpec]:
    """Return the sessions in a payload of `packed_sessions`. Raises WireError for any other payload."""
    try:
        rows = msgpack.unpackb(payload.data)
    except (ValueError, RecursionError):
        raise WireError("malformed") from None
    if not isinstance(rows, list):
        raise WireError("malformed")
    return [_session(row) for row in rows]


def _session(row: Any) -> SessionSpec:
    if not isinstance(row, dict) or row.keys() != {*_KINDS, "options"}:
        raise WireError("malformed")
    options = row["options"]
    if any(type(row[name]) is not kind for name, kind in _KINDS.items()) or not isinstance(options, dict):
        raise WireError("malformed")
    if not all(isinstance(key, str) and isinstance(value, bool | int | float | str) for key, value in options.items()):
        raise WireError("malformed")
    sides = row["width"], row["height"]
    if not SESSION_ID.fullmatch(row["id"]) or row["ahead_us"] < 0 or not all(fits_side(side) for side in sides):
        raise WireError("malformed")
    return SessionSpec(**row)


def fits_side(side: int) -> bool:
    """Whether a side of a session's frame may have this length (pixels)."""
    return SMALLEST_PX <= side <= LARGEST_PX and side % 2 == 0
