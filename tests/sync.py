"""Whether picture and sound come to a viewer together."""

from collections.abc import Callable

import numpy as np

LOOKS = 5
IN_A_ROW = 5


def in_sync(look: Callable[[], list[float]], within: float) -> bool:
    """Whether the median of a few offsets in a row is at most `within`. look: watches for a while and says by how many
    milliseconds one was after the other, time by time. A receiver that was starved of processor time puts sound off to make up
    for it and takes its time to come back, so it is looked at again; how long it takes, `studio bench av` measures."""
    for _ in range(LOOKS):
        late = look()
        rows = [late[begin : begin + IN_A_ROW] for begin in range(len(late) - IN_A_ROW + 1)]
        medians = [round(float(np.median(row))) for row in rows]
        print(f"one after the other, medians in ms: {medians}")
        if medians and min(map(abs, medians)) <= within:
            return True
    return False
