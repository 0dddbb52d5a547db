"""A filmed body is analysed: what each frame shows is known by construction and must be found."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from shared.avatar.film.build import Film, FilmSpan, follow_film, understand_film, with_blends
from shared.avatar.film.cuts import cells_of
from shared.avatar.film.judge import name_stretches
from shared.avatar.film.track import STABLE, Sight
from shared.avatar.samples import sample_portrait
from shared.errors import StudioError
from shared.media.array_types import ImageArray

pytestmark = pytest.mark.apart  # the models take seconds

FPS, COUNT = 25.0, 40
WIDTH, HEIGHT = 320, 360
Draw = Callable[[int], ImageArray]


@pytest.fixture(scope="module")
def host() -> ImageArray:
    """(HEIGHT, WIDTH, 3) the host, head and shoulders, with a face of about 130 pixels."""
    cut = sample_portrait()[0:720, 130:770]
    return np.asarray(cv2.resize(cut, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)


def swaying(image: ImageArray, number: int) -> ImageArray:
    """Return the image shifted a little to and fro, with the grain of a camera."""
    turn = 2 * np.pi * number / COUNT
    matrix = np.array([[1.0, 0.0, 3 * np.sin(turn)], [0.0, 1.0, 2 * np.sin(2 * turn)]])
    moved = cv2.warpAffine(image, matrix, (image.shape[1], image.shape[0]), borderMode=cv2.BORDER_REPLICATE)
    grain = np.random.default_rng(number).normal(0, 2, moved.shape)
    return np.asarray(np.clip(moved + grain, 0, 255), np.uint8)


def followed(draw: Draw, count: int = COUNT, exclude: Sequence[FilmSpan] = (), still_s: float | None = None) -> Film:
    track = follow_film("film.mp4", map(draw, range(count)), lambda done: None)
    return understand_film("film.mp4", track, FPS, draw, exclude=exclude, still_s=still_s)


def flags(film: Film, *kinds: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    found = np.zeros(film.report.frames, np.bool_)
    for stretch in film.report.stretches:
        if stretch.kind in kinds:
            found[stretch.first : stretch.end] = True
    return found


def assert_found(film: Film, truth: range, *kinds: str) -> None:
    """Check that at least 95 % of the frames of `truth` are flagged, and at most 2 % of the others."""
    wanted = np.isin(np.arange(film.report.frames), truth)
    found = flags(film, *kinds)
    assert found[wanted].mean() >= 0.95, (kinds, np.flatnonzero(found))
    assert found[~wanted].mean() <= 0.02, (kinds, np.flatnonzero(found))


def test_a_calm_film_has_nothing_to_tell(host: ImageArray) -> None:
    film = followed(lambda n: swaying(host, n))
    assert not flags(film, "absent", "other_person", "covered", "blurred", "turned_away", "excluded").any()
    assert len(film.report.shots) == 1 and film.shown.min() == 1
    assert len(set(film.round.order.tolist())) > 0.9 * COUNT
    assert film.report.notes("film.mp4") == []


def test_cuts_are_found_and_nothing_else_is_one(host: ImageArray) -> None:
    closer = np.asarray(cv2.resize(host[0:270, 40:280], (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)
    shots = [host, np.ascontiguousarray(host[:, ::-1]), closer, host]
    film = followed(lambda n: swaying(shots[n // 10], n))
    assert [shot.first for shot in film.report.shots] == [0, 10, 20, 30]
    assert film.shown.min() == 1 and film.parts == [(0, 10), (10, 20), (20, 30), (30, 40)]


def test_where_the_host_is_gone_no_face_is_placed(host: ImageArray) -> None:
    """Frames from which the host has walked away are marked absent and show no face."""
    wall = np.full_like(host, (96, 104, 112))
    away = range(12, 30)

    def draw(number: int) -> ImageArray:
        return swaying(wall if number in away else host, number)

    film = followed(draw)
    assert_found(film, away, "absent")
    assert film.shown[away.start : away.stop].max() == 0 and film.shown[:10].min() == 1


def test_a_short_gap_is_bridged_and_a_long_one_fades(host: ImageArray) -> None:
    def gone(image: ImageArray) -> ImageArray:
        """Return the image with only the face painted over, so that nothing else changes."""
        out = image.copy()
        cv2.ellipse(out, (WIDTH // 2, 132), (75, 100), 0, 0, 360, (96, 104, 112), -1)
        return out

    film = followed(lambda n: swaying(gone(host) if n in range(8, 16) or n in range(22, 40) else host, n))
    assert len(film.report.shots) == 1
    assert film.shown[8:16].min() == 1, "a gap of 0.32 s"
    assert film.shown[22:].max() == 0, "a gap of 0.72 s"
    assert 0 < film.shown[21] < film.shown[19] <= 1, "the face fades before it goes"


def test_what_covers_the_face_is_named(host: ImageArray) -> None:
    covered = range(12, 28)

    def draw(number: int) -> ImageArray:
        image = host.copy()
        if number in covered:  # a hand over the cheek and mouth, and a microphone
            cv2.ellipse(image, (150, 165), (48, 26), 20, 0, 360, (196, 150, 120), -1)
            cv2.rectangle(image, (140, 120), (175, 300), (30, 30, 34), -1)
        return swaying(image, number)

    assert_found(followed(draw), covered, "covered")


def test_what_covers_a_cheek_is_named_though_the_face_is_still_found(host: ImageArray) -> None:
    covered = range(12, 28)

    def draw(number: int) -> ImageArray:
        image = host.copy()
        if number in covered:
            cv2.rectangle(image, (178, 118), (208, 182), (70, 100, 150), -1)
        return swaying(image, number)

    film = followed(draw)
    assert_found(film, covered, "covered")
    assert sum(film.track.faces[number] is not None for number in covered) > 12


def test_a_tenth_of_the_face_is_enough_of_a_cover(host: ImageArray) -> None:
    """Small covers are found: a microphone at the mouth, then a dark hand on the cheek, then one on the forehead."""
    covers = {range(6, 13): ((158, 147), (30, 30, 34)), range(19, 26): ((134, 122), (150, 112, 92)),
              range(31, 36): ((160, 92), (150, 112, 92))}  # fmt: skip

    def draw(number: int) -> ImageArray:
        image = host.copy()
        for when, (at, colour) in covers.items():
            if number in when:
                cv2.circle(image, at, 16, colour, -1)  # the oval of the face has 8170 pixels
        return swaying(image, number)

    film = followed(draw)
    found = flags(film, "covered")
    truth = np.array([any(number in when for when in covers) for number in range(COUNT)])
    assert found[truth].mean() >= 0.95 and found[~truth].mean() <= 0.02, np.flatnonzero(found)


def test_a_blurred_stretch_is_named(host: ImageArray) -> None:
    blurred = range(15, 25)
    soft = np.asarray(cv2.GaussianBlur(host, (0, 0), 3.0), np.uint8)
    assert_found(followed(lambda n: swaying(soft if n in blurred else host, n)), blurred, "blurred")


def test_when_two_people_cross_the_face_stays_with_the_first(host: ImageArray) -> None:
    """The face stays with the host while another person, of another face, skin and hair, crosses in front."""
    head = host[20:250, 60:260]
    other = cv2.convertScaleAbs(cv2.resize(head, (150, 250)), alpha=0.62, beta=8)[:, ::-1]
    other[:, :, 2] = np.clip(other[:, :, 2].astype(int) + 24, 0, 255)
    wide = np.full((HEIGHT, 640, 3), (96, 104, 112), np.uint8)
    wide[:, 160:480] = host

    def left_of(number: int) -> int:
        return 640 - 20 * number

    def draw(number: int) -> ImageArray:
        image, left = wide.copy(), left_of(number)
        low, high = max(0, left), min(640, left + 150)
        if low < high:
            image[30:280, low:high] = other[:, low - left : high - left]
        return swaying(image, number)

    film = followed(draw)
    middles = {n: float(face.stable[:, 0].mean()) for n, face in enumerate(film.track.faces) if face is not None}
    assert max(abs(x - middles[0]) for x in middles.values()) < 25, "it never goes along with the other"
    truth = range(15, 25)  # the other person covers more than a fifth of the host's face
    found = flags(film, "other_person", "covered", "absent")
    assert found[truth.start : truth.stop].mean() >= 0.95, np.flatnonzero(found)
    assert not found[: truth.start - 2].any() and not found[truth.stop + 2 :].any(), np.flatnonzero(found)


@pytest.mark.parametrize(("after", "kind"), [((0.0, 0.0, 0.0), "other_person"), ((12.0, 8.0, 4.0), "turned_away")])
def test_a_face_that_another_person_passes_has_not_turned_away(
    host: ImageArray, after: tuple[float, ...], kind: str
) -> None:
    """Yaw that grows before a gap counts as turning away only if the head comes back turned."""
    film = followed(lambda n: swaying(host, n))
    track, gap = film.track, range(15, 25)
    for number, yaw in zip((12, 13, 14, 25, 26, 27), (4.0, 8.0, 12.0, *after), strict=True):
        face = track.faces[number]
        assert face is not None
        track.faces[number] = face._replace(pose=face.pose._replace(yaw=yaw))
    for number in gap:
        track.faces[number], track.sights[number] = None, Sight.OTHER
    found = name_stretches(track, film.report.shots, FPS, np.zeros(COUNT, np.bool_))
    assert [(each.first, each.end) for each in found if each.kind == kind] == [(gap.start, gap.stop)]


def played(film: Film, draw: Draw) -> tuple[list[ImageArray], np.ndarray[tuple[int, int, int], np.dtype[np.float64]]]:
    """Return the images of one round and of two frames more, and (M + 2, K, 2) the face's points in them."""
    stable: NDArray[np.float64] = np.array(
        [np.zeros((len(STABLE), 2)) if face is None else face.stable for face in film.track.faces]
    )
    points = with_blends(stable, film.round.blends)
    order = once_and_on(film)
    images = []
    for number in order:
        if number < len(film.track):
            images.append(draw(number))
            continue
        blend = film.round.blends[number - len(film.track)]
        mixed = cv2.addWeighted(draw(blend.before), 1 - blend.weight, draw(blend.after), blend.weight, 0.0)
        images.append(np.asarray(mixed, np.uint8))
    return images, points[order]


def once_and_on(film: Film) -> list[int]:
    """Return the frames of one round and the first two of the next."""
    return [*film.round.order.tolist(), *film.round.order[:2].tolist()]


def assert_no_jump(film: Film, draw: Draw) -> None:
    """Check that no step added by the loop exceeds the 95th percentile of the film's own steps."""
    images, points = played(film, draw)
    face = film.track.faces[film.report.still]
    assert face is not None
    motion = np.linalg.norm(np.diff(points, axis=0), axis=2).mean(axis=1) / face.size
    change = np.array([np.abs(cells_of(b) - cells_of(a)).mean() for a, b in pairwise(images)])
    order = once_and_on(film)
    own = [abs(b - a) == 1 and max(a, b) < len(film.track) for a, b in pairwise(order)]
    turn = [n for n in range(1, len(order) - 1) if order[n - 1] == order[n + 1]]
    for step in sorted({*np.flatnonzero(~np.array(own)).tolist(), *turn}):
        assert motion[step] <= film.report.loop.motion * 1.05 + 1e-5, (step, order[step : step + 2])
        assert change[step] <= film.report.loop.change * 1.05 + 0.02, (step, order[step : step + 2])


def test_the_loop_skips_what_is_unfit_or_excluded_without_a_jump(host: ImageArray) -> None:
    """The film is blurred at first, covered in the middle and excluded at the end; the two parts left are joined.

    The second part is a little brighter, so that a fade is needed to it and back.
    """
    soft = np.asarray(cv2.GaussianBlur(host, (0, 0), 3.0), np.uint8)
    hidden = host.copy()
    cv2.rectangle(hidden, (110, 120), (175, 300), (30, 30, 34), -1)

    def draw(number: int) -> ImageArray:
        image = soft if number < 6 else hidden if number in range(48, 52) else host
        return swaying(np.asarray(cv2.convertScaleAbs(image, beta=3 if number >= 52 else 0), np.uint8), number)

    film = followed(draw, 100, exclude=[(3.6, 9.0)])
    shown = {number for number in film.round.order.tolist() if number < 100}
    sources = {number for blend in film.round.blends for number in (blend.before, blend.after)}
    assert not (shown | sources) & {*range(6), *range(48, 52), *range(90, 100)}
    assert shown & set(range(6, 48)) and shown & set(range(52, 90)), "parts on both sides of the cover"
    assert len(shown | sources) > 55 and len(film.report.loop.parts) == 2 and film.round.blends
    assert_no_jump(film, draw)
    with pytest.raises(StudioError, match="is excluded"):
        followed(draw, 5, exclude=[(0.0, 9.0)])


def test_a_film_that_comes_back_is_played_on_and_another_to_and_fro(host: ImageArray) -> None:
    """A film whose end is like its beginning is closed by a join; one whose host only drifts turns round."""

    def drifting(number: int) -> ImageArray:
        return np.roll(swaying(host, 3), number // 2 + 6 * (number > 0), axis=1)  # it jumps after the first frame

    circle, drift = followed(lambda n: swaying(host, n), 50), followed(drifting, 50)
    assert circle.report.loop.closing is not None and (np.diff(circle.round.order) > 0).all()
    assert drift.report.loop.closing is None and {-1, 1} == set(np.diff(drift.round.order).tolist())
    assert_no_jump(circle, lambda n: swaying(host, n))
    assert_no_jump(drift, drifting)


def test_the_still_is_sharp_and_another_can_be_chosen(host: ImageArray) -> None:
    soft = np.asarray(cv2.GaussianBlur(host, (0, 0), 2.5), np.uint8)
    film = followed(lambda n: swaying(host if n in range(6, 9) else soft, n), 20)
    assert film.report.still in range(6, 9)
    assert followed(lambda n: swaying(host, n), 20, still_s=0.5).report.still == 12
    with pytest.raises(StudioError, match="no frame at 9 s"):
        followed(lambda n: swaying(host, n), 5, still_s=9.0)
