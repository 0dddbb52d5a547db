"""The neutral of a whole driver: its calmest face, looked for before anything is drawn."""

from collections.abc import Callable, Iterable, Iterator

from services.renderer.pipeline.driver import WARM_UP_FRAMES, TrackedTick
from shared.face.follower import FaceFollower
from shared.face.landmarks import Face
from shared.face.neutral import DOUBT, tension, unrest
from shared.face.tracker import FaceTracker

LOOKS = 96  # faces of the driver that are looked at, evenly over it
NEAR_TICKS = 16  # looks that lie closer are taken from one reading of the driver

Ticks = Callable[[int, int], Iterable[TrackedTick]]


def calmest_face(ticks: Ticks, count: int) -> Face | None:
    """The neutral of a driver that does not begin at rest: its calmest face, measured as following measures it.

    None where it begins at rest, so that the neutral is found on the way, and where it is never at rest.

    ticks: the driver's frames from one tick to before another. count: of all its ticks.
    """
    tracker = FaceTracker(still=True)
    step = max(1, count // LOOKS)
    best: tuple[float, int] | None = None
    for tick, (_, rgb, _) in _looks(ticks, count, step):
        face = tracker.track(rgb)
        if face is None:
            continue
        if best is None and tension(face) <= DOUBT:
            return None
        if best is None or unrest(face) < best[0]:
            best = unrest(face), tick
    if best is None:
        return None
    follower = FaceFollower()
    found: tuple[Face, Face] | None = None
    for pts, rgb, _ in ticks(max(0, best[1] - WARM_UP_FRAMES), best[1] + 1):
        found = follower.follow(rgb, pts)
    return None if found is None or tension(found[0]) > DOUBT else found[0]


def _looks(ticks: Ticks, count: int, step: int) -> Iterator[tuple[int, TrackedTick]]:
    """Every `step`th tick with its number."""
    if step <= NEAR_TICKS:
        yield from ((number, tick) for number, tick in enumerate(ticks(0, count)) if number % step == 0)
        return
    for number in range(0, count, step):
        yield from ((number, tick) for tick in ticks(number, number + 1))
