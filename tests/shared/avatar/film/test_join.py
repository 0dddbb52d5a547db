"""A loop's seam changes the image no more than the film itself does, even where the face stays still."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from shared.avatar.body_faces import PackedShape
from shared.avatar.film.cuts import ChangeMeter, cells_of
from shared.avatar.film.join import JoinFinder, OwnSteps, blends_of
from shared.avatar.film.look import Likeness
from shared.avatar.film.loop import choose_loop
from shared.avatar.film.report import Shot
from shared.avatar.film.track import STABLE, FilmTrack, SeenFace, Sight, grey_look
from shared.face.landmarks import POINTS, Face, Pose
from shared.media.array_types import ImageArray

FPS, FRAMES, CUT = 25.0, 80, 40
GREY = np.array([120.0, 120.0, 120.0])
AS_BRIGHT = np.array([58.7, -29.9, 0.0])  # added to GREY: another colour of the same brightness
DrawWall = Callable[[int], ImageArray]


def still_face() -> SeenFace:
    """A face that does not move."""
    points = np.random.default_rng(5).uniform(10, 50, (POINTS, 3)).astype(np.float32)
    face, clear = Face(points), Likeness(0.0, 0.0, 1.0, 0.0)
    return SeenFace(
        PackedShape.of(face), points[STABLE, :2], Pose(0.0, 0.0, 0.0), 40.0, np.ones(3, np.float32), 0.0, 1.0, clear,
        None
    )  # fmt: skip


def track_of(draw: DrawWall) -> FilmTrack:
    track, meter, face = FilmTrack(), ChangeMeter(), still_face()
    for number in range(FRAMES):
        rgb = draw(number)
        track.faces.append(face)
        track.sights.append(Sight.SEEN)
        track.changes.append(meter.step(rgb)[0])
        track.looks.append(grey_look(rgb))
    return track


def flickering(colour: np.ndarray, number: int) -> ImageArray:
    """Return a wall of one colour in a lamp's light, which changes the film's own images by up to two levels."""
    return np.asarray(np.rint(np.broadcast_to(colour + np.sin(number), (64, 64, 3))), np.uint8)


@pytest.mark.parametrize(("share", "joined"), [(0.0, True), (1.0, False)])
def test_parts_are_joined_only_where_the_image_changes_no_more_than_the_film_does(share: float, joined: bool) -> None:
    """Parts that are equally bright, and so alike at first sight, are joined only where their colour agrees too."""

    def draw(number: int) -> ImageArray:
        return flickering(GREY + share * AS_BRIGHT * (number >= CUT), number)

    track = track_of(draw)
    steps = OwnSteps(track, [CUT])
    finder = JoinFinder(track, steps, FPS, draw)
    tried = finder._pairs((0, CUT), (CUT, FRAMES), finder.fade, 20)
    assert tried, "no two frames are alike at first sight"
    join = finder.find((0, CUT), (CUT, FRAMES), 20)
    assert (join is not None) == joined
    if join is None:
        return
    between = [
        (1 - each.weight) * cells_of(draw(each.before)) + each.weight * cells_of(draw(each.after))
        for each in blends_of(join.last, join.first, join.fade)
    ]
    seen = [cells_of(draw(join.last)), *between, cells_of(draw(join.first))]
    own = [np.abs(cells_of(draw(n)) - cells_of(draw(n - 1))).mean() for n in range(1, FRAMES) if n != CUT]
    assert max(np.abs(b - a).mean() for a, b in pairwise(seen)) <= np.percentile(own, 95)


def test_a_film_is_turned_only_where_its_image_is_calm() -> None:
    """The film, whose end is unlike its beginning, does not turn at its first frame, after which a light goes on."""

    def draw(number: int) -> ImageArray:
        return flickering(GREY + 0.6 * number - 40.0 * (number < 1), number)

    nothing = np.zeros(FRAMES, np.bool_)
    shots = (Shot(first=0, end=FRAMES),)
    loop, played = choose_loop(track_of(draw), shots, FPS, nothing, nothing, draw)
    assert loop.closing is None and {-1, 1} == set(np.diff(played.order).tolist())
    assert played.order.min() >= 1, "turned where the light goes on"
    assert loop.seam_change <= loop.change
