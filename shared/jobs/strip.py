"""A job's segments on one short line, for a terminal as for a page."""

from collections.abc import Sequence

DONE, RENDERING, WAITING, FAILING = "d", "r", "w", "f"
_OF = {"done": DONE, "rendering": RENDERING, "failed": FAILING, "failing": FAILING, "parked": FAILING}


def strip(states: Sequence[str], cells: int) -> str:
    """At most `cells` signs, each for as many segments as the others (give or take one).

    states: each segment's state in order. A cell is failing or rendering when one of its segments is, done when all are.
    """
    signs = [_OF.get(state, WAITING) for state in states]
    count = min(cells, len(signs))
    parts = [signs[index * len(signs) // count : (index + 1) * len(signs) // count] for index in range(count)]
    return "".join(_of_several(part) for part in parts)


def _of_several(signs: list[str]) -> str:
    for sign in (FAILING, RENDERING):
        if sign in signs:
            return sign
    if DONE in signs and WAITING in signs:
        return RENDERING
    return signs[0]
