"""Check that video and sound reach a viewer in sync."""

from collections.abc import Callable

import numpy as np

LOOKS = 10
IN_A_ROW = 5
EARLY, LATE = -45, 125  # milliseconds of sound after video beyond which viewers notice it: ITU-R BT.1359-1


def in_sync(look: Callable[[], list[float]], early: float = EARLY) -> bool:
    """Return whether the median of a few consecutive offsets is one that no viewer notices.

    look: watches for a while and returns the offsets in milliseconds by which the sound was after the frame. It is
    called several times, because a receiver that was short of processor time buffers more sound and recovers slowly.
    `studio bench av` measures how close to 0 the offset comes, and how long that takes.
    """
    for _ in range(LOOKS):
        late = look()
        rows = [late[begin : begin + IN_A_ROW] for begin in range(len(late) - IN_A_ROW + 1)]
        medians = [round(float(np.median(row))) for row in rows]
        print(f"sound after video, medians in ms: {medians}")
        if any(early <= median <= LATE for median in medians):
            return True
    return False
