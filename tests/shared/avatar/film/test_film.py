"""A filmed body is understood: what each frame shows is known by construction and found."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from shared.avatar.film.build import Film, follow_film
from shared.avatar.film.loop import face_motion
from shared.avatar.samples import sample_portrait
from shared.errors import StudioError
from shared.media.array_types import ImageArray

pytestmark = pytest.mark.apart  # models that take seconds

FPS, COUNT = 25.0, 40
WIDTH, HEIGHT = 320, 360
Draw = Callable[[int], ImageArray]


@pytest.fixture(scope="module")
def host() -> ImageArray:
    """(HEIGHT, WIDTH, 3) the host, head and shoulders, with a face of about 130 pixels."""
    cut = sample_portrait()[0:720, 130:770]
    return np.asarray(cv2.resize(cut, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)


def swaying(image: ImageArray, number: int) -> ImageArray:
    """The image a little to and fro, with grain as a camera has."""
    turn = 2 * np.pi * number / COUNT
    matrix = np.array([[1.0, 0.0, 3 * np.sin(turn)], [0.0, 1.0, 2 * np.sin(2 * turn)]])
    moved = cv2.warpAffine(image, matrix, (image.shape[1], image.shape[0]), borderMode=cv2.BORDER_REPLICATE)
    grain = np.random.default_rng(number).normal(0, 2, moved.shape)
    return np.asarray(np.clip(moved + grain, 0, 255), np.uint8)


def followed(draw: Draw, count: int = COUNT, **choice: object) -> Film:
    return follow_film(
        "film.mp4", map(draw, range(count)), FPS, lambda image: None, lambda done: None, **choice  # type: ignore[arg-type]
    )  # fmt: skip


def flags(film: Film, *kinds: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    found = np.zeros(film.report.frames, np.bool_)
    for stretch in film.report.stretches:
        if stretch.kind in kinds:
            found[stretch.first : stretch.end] = True
    return found


def assert_found(film: Film, truth: range, *kinds: str) -> None:
    """In at least 95 % of the frames of `truth`, and in at most 2 % of the others."""
    wanted = np.isin(np.arange(film.report.frames), truth)
    found = flags(film, *kinds)
    assert found[wanted].mean() >= 0.95, (kinds, np.flatnonzero(found))
    assert found[~wanted].mean() <= 0.02, (kinds, np.flatnonzero(found))


def test_a_calm_film_has_nothing_to_tell(host: ImageArray) -> None:
    film = followed(lambda n: swaying(host, n))
    assert not flags(film, "absent", "other_person", "covered", "blurred", "turned_away", "excluded").any()
    assert len(film.report.shots) == 1 and film.shown.min() == 1
    assert film.report.loop.end - film.report.loop.first > 0.9 * COUNT
    assert film.report.notes("film.mp4") == []


def test_cuts_are_found_and_nothing_else_is_one(host: ImageArray) -> None:
    closer = np.asarray(cv2.resize(host[0:270, 40:280], (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)
    shots = [host, np.ascontiguousarray(host[:, ::-1]), closer, host]
    film = followed(lambda n: swaying(shots[n // 10], n))
    assert [shot.first for shot in film.report.shots] == [0, 10, 20, 30]
    assert film.shown.min() == 1 and film.parts == [(0, 10), (10, 20), (20, 30), (30, 40)]


def test_where_the_host_is_gone_no_face_is_placed(host: ImageArray) -> None:
    """The host walks out of the image and comes back, in front of a wall."""
    wall = np.full_like(host, (96, 104, 112))
    away = range(12, 30)

    def draw(number: int) -> ImageArray:
        return swaying(wall if number in away else host, number)

    film = followed(draw)
    assert_found(film, away, "absent")
    assert film.shown[away.start : away.stop].max() == 0 and film.shown[:10].min() == 1


def test_a_short_gap_is_bridged_and_a_long_one_fades(host: ImageArray) -> None:
    def gone(image: ImageArray) -> ImageArray:
        """The face alone painted over, so that nothing else changes."""
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


def test_a_blurred_stretch_is_named(host: ImageArray) -> None:
    blurred = range(15, 25)
    soft = np.asarray(cv2.GaussianBlur(host, (0, 0), 3.0), np.uint8)
    assert_found(followed(lambda n: swaying(soft if n in blurred else host, n)), blurred, "blurred")


def test_when_two_people_cross_the_face_stays_with_the_first(host: ImageArray) -> None:
    """Another person, taller in the face and of another skin and hair, walks through in front of the host."""
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
    truth = range(15, 25)  # the other's image lies over more than a fifth of the host's face
    found = flags(film, "other_person", "covered", "absent")
    assert found[truth.start : truth.stop].mean() >= 0.95, np.flatnonzero(found)
    assert not found[: truth.start - 2].any() and not found[truth.stop + 2 :].any(), np.flatnonzero(found)


def test_the_loop_skips_what_is_unfit_or_excluded_and_turns_calmly(host: ImageArray) -> None:
    soft = np.asarray(cv2.GaussianBlur(host, (0, 0), 3.0), np.uint8)
    film = followed(lambda n: swaying(soft if n < 8 else host, n), exclude=[(1.4, 9.0)])
    loop = film.report.loop
    assert loop.first >= 8 and loop.end <= 35 and loop.end - loop.first > 20
    assert loop.seam_motion <= loop.motion and loop.seam_change <= loop.change
    motion = face_motion(film.track)
    assert motion[loop.end - 1] <= np.nanpercentile(motion, 95) + 1e-4, "told of the film, not of the report"
    with pytest.raises(StudioError, match="is excluded"):
        followed(lambda n: swaying(host, n), 5, exclude=[(0.0, 9.0)])


def test_the_still_is_sharp_and_another_can_be_chosen(host: ImageArray) -> None:
    soft = np.asarray(cv2.GaussianBlur(host, (0, 0), 2.5), np.uint8)
    film = followed(lambda n: swaying(host if n in range(6, 9) else soft, n), 20)
    assert film.report.still in range(6, 9)
    assert followed(lambda n: swaying(host, n), 20, still_s=0.5).report.still == 12
    with pytest.raises(StudioError, match="no frame at 9 s"):
        followed(lambda n: swaying(host, n), 5, still_s=9.0)
