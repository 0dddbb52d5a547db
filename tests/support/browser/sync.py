"""Whether video and sound come to a viewer together."""

from collections.abc import Callable

import numpy as np

LOOKS = 10
IN_A_ROW = 5
EARLY, LATE = -45, 125  # milliseconds of sound after video beyond which viewers notice it: ITU-R BT.1359-1


def in_sync(look: Callable[[], list[float]], early: float = EARLY) -> bool:
    """Whether the median of a few offsets in a row is one that no viewer notices.

    look: watches for a while and says by how many milliseconds the sound was after the frame, time by time. A receiver
    that was starved of processor time keeps more sound in hand to make up for it and takes its time to come back, so it
    is looked at again; how close it comes to 0, and how long that takes, `studio bench av` measures.
    """
    for _ in range(LOOKS):
        late = look()
        rows = [late[begin : begin + IN_A_ROW] for begin in range(len(late) - IN_A_ROW + 1)]
        medians = [round(float(np.median(row))) for row in rows]
        print(f"sound after video, medians in ms: {medians}")
        if any(early <= median <= LATE for median in medians):
            return True
    return False
