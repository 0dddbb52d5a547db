"""Alpha of program frames on plates whose mattes are known: what a face adds, and what it leaves unchanged."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from compositing.cutout import Cutout
from compositing.own_cutout import GREY_CHROMA, GREY_LUMA, CutOutMotion, without_grey
from harness.sample_avatar import sample_avatar
from shared.avatar.matte import FRAMES
from shared.avatar.model import Avatar
from shared.media.array_types import ImageArray
from shared.media.colour import planes
from tests.support.files.small_avatar import FACE, HEIGHT, WIDTH, small_avatar


def alpha_of(index: int) -> ImageArray:
    """Return the alpha of a host with soft edges, different in each frame."""
    alpha = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.ellipse(alpha, (64, 90), (30 + 4 * index, 60), 0, 0, 360, (255,), -1)
    return np.asarray(cv2.GaussianBlur(alpha, (5, 5), 0), np.uint8)


MATTES = [alpha_of(index) for index in range(3)]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Avatar:
    """A foreign body whose mattes have been measured."""
    return small_avatar(tmp_path_factory.mktemp("measured"), mattes=MATTES, own_plate=False)


@pytest.fixture(scope="module")
def brought(tmp_path_factory: pytest.TempPathFactory) -> Avatar:
    """A portrait that brings its own cut-out."""
    return small_avatar(tmp_path_factory.mktemp("brought"), cut_outs=MATTES)


def test_without_a_face_each_frame_has_its_own_matte(measured: Avatar, brought: Avatar) -> None:
    for avatar in (measured, brought):
        cutout = Cutout(avatar)
        for index in range(3):
            for roi, opacity in ((None, 1.0), (avatar.roi, 0.0)):
                assert np.array_equal(cutout.alpha(index, roi, opacity), MATTES[index])


def test_a_matte_of_the_face_adds_where_it_lies_and_takes_nothing_away(measured: Avatar) -> None:
    cutout = Cutout(measured)
    roi = np.zeros((512, 512, 4), np.uint8)
    roi[:, :256, 3] = 255  # the left half of the ROI, 32 plate pixels wide
    added = cutout.alpha(1, roi, 1.0)
    assert (added >= MATTES[1]).all()
    assert (added[FACE][1:-1, 1:30] == 255).all()
    changed = added != MATTES[1]
    changed[FACE] = False
    assert changed.sum() <= 2 * 64, "outside the ROI at most its soft rim changes"
    assert np.array_equal(added[FACE][:, 40:], MATTES[1][FACE][:, 40:])


@pytest.mark.parametrize("opacity", [0.25, 0.5])
def test_a_face_that_fades_adds_that_much(measured: Avatar, opacity: float) -> None:
    roi = np.full((512, 512, 4), 255, np.uint8)
    added = Cutout(measured).alpha(0, roi, opacity)
    clear = MATTES[0][FACE][4:-4, 4:-4] == 0
    assert clear.any()
    assert set(np.unique(added[FACE][4:-4, 4:-4][clear])) <= {int(255 * opacity), int(255 * opacity) + 1}


@pytest.mark.parametrize("side", [512, 256, 300])
def test_a_face_without_a_matte_adds_the_avatars_mask(measured: Avatar, side: int) -> None:
    added = Cutout(measured).alpha(2, np.zeros((side, side, 3), np.uint8), 1.0)
    disc = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(disc, (64, 80), 23, (255,), -1)
    assert (added[disc > 0] == 255).all()
    cv2.circle(disc, (64, 80), 28, (255,), -1)
    assert np.array_equal(added[disc == 0], MATTES[2][disc == 0])


def test_marks_are_opaque_on_any_ground(measured: Avatar) -> None:
    alpha = Cutout(measured).alpha(0, None, 0.0, [(2, 3, 10, 5), (100, 140, 20, 10)])
    assert (alpha[3:8, 2:12] == 255).all() and (alpha[140:150, 100:120] == 255).all()
    assert alpha[2, 2] == alpha[8, 2] == alpha[3, 12] == 0
    assert np.array_equal(Cutout(measured).alpha(0, None, 0.0), MATTES[0]), "the next frame has none of them"


def test_a_matte_that_is_damaged_is_opaque(tmp_path: Path) -> None:
    avatar = small_avatar(tmp_path / "small", mattes=MATTES)
    cutout = Cutout(avatar)
    with (avatar.folder / FRAMES).open("r+b") as file:
        file.write(b"damage")
    assert cutout.alpha(0, None, 0.0).min() == 255 and np.array_equal(cutout.alpha(1, None, 0.0), MATTES[1])


def test_a_cut_out_that_is_brought_along_stays_with_a_face_at_rest(brought: Avatar) -> None:
    alpha = Cutout(brought).alpha(0, brought.roi, 1.0)
    assert np.abs(alpha.astype(int) - MATTES[0]).max() <= 24, "but for what it is resampled by"
    assert np.abs(alpha.astype(int) - MATTES[0]).mean() < 0.5


def test_it_moves_with_the_head_and_only_as_far_as_the_face_is_shown(brought: Avatar) -> None:
    shift = 24  # ROI pixels, which are three plate pixels
    moved = cv2.warpAffine(
        brought.roi, np.array([[1, 0, shift], [0, 1, 0]], np.float32), (512, 512), borderMode=cv2.BORDER_REFLECT_101
    )
    roi = np.asarray(moved, np.uint8)
    cutout = Cutout(brought)
    full, half = (cutout.alpha(0, roi, opacity)[80].astype(int) for opacity in (1.0, 0.5))
    still = MATTES[0][80].astype(int)
    assert np.flatnonzero(full > 128)[0] - np.flatnonzero(still > 128)[0] == pytest.approx(shift / 8, abs=1)
    assert np.abs(half - (full + still) / 2).max() <= 2
    assert np.array_equal(cutout.alpha(0, roi, 1.0)[:40], MATTES[0][:40]), "outside the ROI nothing moves"


def test_motion_is_measured_in_a_frame_of_any_size(brought: Avatar) -> None:
    motion = CutOutMotion(brought, MATTES[0])
    small = np.asarray(cv2.resize(brought.roi, (256, 256), interpolation=cv2.INTER_AREA), np.uint8)
    rest, again = motion.moved(brought.roi), motion.moved(small)
    assert rest.shape == again.shape == (512, 512)
    assert np.abs(rest.astype(int) - again).mean() < 4


@pytest.mark.parametrize("luma", [16, 60, 200, 235])
@pytest.mark.parametrize("share", [40, 128, 220])
def test_the_grey_behind_a_soft_edge_is_taken_out(luma: int, share: int) -> None:
    """A pixel over grey is grey + (own - grey) * alpha; the result is its own colour."""
    alpha = np.full((16, 32), share, np.uint8)
    frame = np.empty((24, 32), np.uint8)
    own = luma, 90, 160
    for plane, value, grey in zip(planes(frame), own, (GREY_LUMA, GREY_CHROMA, GREY_CHROMA), strict=True):
        plane[:] = round(grey + (value - grey) * share / 255)
    seen = frame.copy()
    for plane, value in zip(planes(without_grey(frame, alpha)), own, strict=True):
        assert np.abs(plane.astype(int) - value).max() <= 255 / share / 2 + 1
    assert np.array_equal(frame, seen), "the program's own frame is not written to"


def test_what_is_all_there_or_not_at_all_is_left_as_it_is(brought: Avatar, measured: Avatar) -> None:
    frame = np.random.default_rng(2).integers(16, 236, (HEIGHT * 3 // 2, WIDTH)).astype(np.uint8)
    clean = Cutout(brought).without_backdrop(frame, MATTES[0])
    whole = (MATTES[0] == 0) | (MATTES[0] == 255)
    assert np.array_equal(planes(clean)[0][whole], planes(frame)[0][whole])
    assert not np.array_equal(planes(clean)[0][~whole], planes(frame)[0][~whole])
    assert clean.min() >= 16 and clean.max() <= 240, "within the limited range"
    assert Cutout(measured).without_backdrop(frame, MATTES[0]) is frame, "a measured one has no grey behind it"


def test_a_head_on_its_own_portrait_is_cut_out_where_it_has_gone() -> None:
    """Without a cut-out to move, the matte is measured in the face's own pixels."""
    avatar = sample_avatar()
    cutout = Cutout(avatar)
    shift = 32
    moved = cv2.warpAffine(
        avatar.roi, np.array([[1, 0, shift], [0, 1, 0]], np.float32), (512, 512), borderMode=cv2.BORDER_REPLICATE
    )
    rest, gone = (cutout.alpha(0, np.asarray(roi, np.uint8), 1.0) for roi in (avatar.roi, moved))
    row = int((avatar.plate.placements[0] @ np.array([256.0, 200.0, 1.0]))[1])
    left = [int(np.flatnonzero(each[row] > 128)[0]) for each in (rest, gone)]
    step = shift * np.hypot(*avatar.plate.placements[0][:, 0])
    assert left[1] - left[0] == pytest.approx(step, abs=0.4 * step)
