"""Staying in a LiveKit room: rejoin after every temporary failure, with increasing pauses.

The SDK itself bridges short interruptions (ten attempts, up to a minute) and republishes; after that its room object
cannot be used again. The loop here then makes a new token and a new room, with increasing pauses between attempts.
"""

import asyncio
from collections.abc import Callable

from publishing.errors import RoomFailure
from publishing.media import RoomMedia
from publishing.publication import Publication
from publishing.room import RoomListener, RoomSession, Say, StayPhase
from shared.runtime.restart import RetryDelay

SETTLED_S = 10.0  # seconds live after which the pauses start from the shortest again
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 20.0


async def stay_in_room(
    publication: Publication,
    media: RoomMedia,
    leave: asyncio.Event,
    say: Say,
    token: Callable[[], str],
    listener: RoomListener | None = None,
) -> RoomFailure | None:
    """Publish until `leave` is set, or until a failure that only the operator can resolve.

    Such a failure is returned, after `say` was called with it.

    say: called with each phase, its note and statistics. token: returns a token for each attempt. listener: notified of
    each room.
    """
    retry = RetryDelay(FIRST_PAUSE_S, LONGEST_PAUSE_S)
    was_live = False

    def saying(state: StayPhase, note: str = "", **figures: float) -> None:
        nonlocal was_live
        was_live = state in ("live", "reconnecting")
        say(state, note, **figures)

    saying("connecting")
    while not leave.is_set():
        session = RoomSession(publication, media, leave, saying, listener or RoomListener())
        trouble = await session.run(token())
        if trouble is None:
            break
        if session.lived > SETTLED_S:
            retry.reset()
        saying("connecting" if trouble.state == "reconnecting" and not was_live else trouble.state, trouble.note)
        if trouble.final:
            return trouble
        try:
            async with asyncio.timeout(retry.next_s()):
                await leave.wait()
        except TimeoutError:
            pass
    return None
