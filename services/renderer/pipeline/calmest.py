"""Search for the calmest face of a driver, which is its neutral, before anything is drawn."""

from collections.abc import Callable, Iterable, Iterator

from services.renderer.pipeline.driver import WARM_UP_FRAMES, TrackedTick
from shared.face.follower import FaceFollower
from shared.face.landmarks import Face
from shared.face.neutral import DOUBT, tension, unrest
from shared.face.tracker import FaceTracker

LOOKS = 96  # number of the driver's frames that are examined, evenly spaced
NEAR_TICKS = 16  # up to this spacing the driver is read once from start to end, instead of seeking to each frame

Ticks = Callable[[int, int], Iterable[TrackedTick]]


def calmest_face(ticks: Ticks, count: int) -> Face | None:
    """Return the neutral of a driver that does not begin at rest: its calmest face, as measured by `FaceFollower`.

    None for a driver that begins at rest, as the follower then finds the neutral itself, and for one that is never at
    rest.

    ticks: returns the driver's frames from one tick to before another. count: number of the driver's ticks.
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
    """Yield every `step`th tick with its number."""
    if step <= NEAR_TICKS:
        yield from ((number, tick) for number, tick in enumerate(ticks(0, count)) if number % step == 0)
        return
    for number in range(0, count, step):
        yield from ((number, tick) for tick in ticks(number, number + 1))
