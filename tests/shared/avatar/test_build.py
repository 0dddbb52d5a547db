"""Building avatars: placed to a fraction of a pixel, lit like the body, and with no files left after bad input."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from shared.avatar.body_faces import kept_body_faces
from shared.avatar.build import add_avatar
from shared.avatar.manifest import read_avatar_manifest
from shared.avatar.mask import bound_mask, moving_matte, own_mask
from shared.avatar.model import ROI_SIZE_PX, list_avatars, load_avatar, remove_avatar
from shared.avatar.plate_build import turned_note
from shared.avatar.relight import landmark_colours, relight
from shared.avatar.samples import body_motion, sample_portrait
from shared.avatar.skin import RGB_TO_YUV, YUV_BASE, lit_pixels, measure_light, skin_mask
from shared.errors import StudioError
from shared.face import similarity
from shared.face.finder import FaceFinder
from shared.face.landmarks import OVAL, RIGID, SURFACE
from shared.face.rest_pose import turn_to_rest
from shared.media.array_types import ImageArray
from shared.media.colour import rgb_to_i420
from shared.media.mp4 import Mp4Writer
from tests.support.files.image_files import jpeg, png_header, turn

pytestmark = pytest.mark.apart

UNPRIVILEGED = 65534  # a user that owns nothing


@pytest.fixture(scope="module")
def portrait() -> ImageArray:
    return sample_portrait()[:640, 160:800]  # head and shoulders


def save(path: Path, rgb: ImageArray) -> Path:
    cv2.imwrite(str(path), rgb[..., ::-1])
    return path


def film(path: Path, frames: list[ImageArray]) -> Path:
    height, width = frames[0].shape[:2]
    with Mp4Writer(path, width, height, Fraction(25), sound=False, preset="ultrafast", crf=16) as writer:
        for number, rgb in enumerate(frames):
            writer.frame(rgb_to_i420(np.ascontiguousarray(rgb)), index=number)
    return path


def in_light(rgb: ImageArray) -> ImageArray:
    """Return the same scene under a dim, warm lamp from the right."""
    fall = np.interp(np.arange(rgb.shape[1]), (220, 440), (0.55, 1.0))[None, :, None]
    return np.asarray(np.clip(rgb * fall * np.array([1.0, 0.86, 0.66]), 0, 255), np.uint8)


# Built avatars


def test_the_sample_avatars_load(sample_home: Path) -> None:
    assert list_avatars(sample_home) == ["sample", "sample-video"]
    for name, frames in (("sample", 1), ("sample-video", 125)):
        folder = sample_home / "avatars" / name
        avatar = load_avatar(folder)
        assert len(avatar.plate) == len(avatar.plate.placements) == frames
        assert "public domain" in avatar.rights and avatar.own_plate == (name == "sample")
        film = {"film.json", "film.jpg", "body_faces.npy"} if name == "sample-video" else set()
        assert {path.name for path in folder.iterdir()} - film == {
            "avatar.json", "portrait.png", "roi.png", "face.npz", "mask.png", "thumb.jpg", "plate.mjpg", "plate.npz"
        }  # fmt: skip
        assert film <= {path.name for path in folder.iterdir()}
        thumb = cv2.imread(str(folder / "thumb.jpg"))
        assert thumb is not None and max(thumb.shape[:2]) == 256
        manifest = json.loads((folder / "avatar.json").read_text(encoding="utf-8"))
        assert manifest["plate"]["frames"] == frames and manifest["versions"]["litert"] != "unknown"


def test_the_roi_holds_the_face_in_its_middle(sample_home: Path) -> None:
    avatar = load_avatar(sample_home / "avatars" / "sample")
    left, top, right, bottom = avatar.face.box
    assert abs((left + right) / 2 - ROI_SIZE_PX / 2) < 3 and abs((top + bottom) / 2 - ROI_SIZE_PX / 2) < 3
    assert avatar.face.size == pytest.approx(ROI_SIZE_PX / 1.9, rel=0.02)
    finder = FaceFinder()
    again = finder.face_near(avatar.roi, avatar.face.box)
    assert again is not None
    assert np.abs(again.points[:SURFACE, :2] - avatar.face.points[:SURFACE, :2]).mean() < 1.5


def test_a_moving_body_is_followed_to_a_fraction_of_a_pixel(sample_home: Path) -> None:
    avatar = load_avatar(sample_home / "avatars" / "sample-video")
    back = similarity.invert(avatar.portrait_to_roi)
    points = avatar.face.points[:SURFACE, :2]
    off = np.array(
        [
            similarity.apply_similarity(placement, points)
            - similarity.apply_similarity(similarity.compose(body_motion(n), back), points)
            for n, placement in enumerate(avatar.plate.placements)
        ]
    )
    assert np.sqrt((off**2).sum(axis=2).mean()) < 0.5
    assert np.sqrt((np.diff(off, 2, axis=0) ** 2).sum(axis=2).mean()) < 0.05, "it does not tremble"


def test_a_bodys_own_faces_are_kept_as_it_was_followed(sample_home: Path) -> None:
    avatar = load_avatar(sample_home / "avatars" / "sample-video")
    told: list[int] = []
    faces = kept_body_faces(avatar, lambda done, total: told.append(done))
    assert len(faces.seen()) == len(avatar.plate) and not told, "measured again"
    placed = turn_to_rest(avatar.face, avatar.rest).points[RIGID, :2]
    for index in range(0, len(faces), 40):
        face = faces.face(index)
        assert face is not None
        assert np.linalg.norm(face.points[RIGID, :2] - placed, axis=1).mean() < 0.06 * avatar.face.eye_distance


def test_the_openings_of_the_bodys_eyes_and_mouth_are_measured(sample_home: Path) -> None:
    own, moving = (load_avatar(sample_home / "avatars" / name) for name in ("sample", "sample-video"))
    assert own.plate.openings is None and moving.plate.openings is not None
    assert moving.plate.openings.shape == (len(moving.plate), 3)
    off = moving.plate.openings - moving.face.opening_ratios  # the body is the portrait, moved
    assert np.abs(off).max() < 0.08 and np.abs(np.median(off, axis=0)).max() < 0.03


def test_a_body_like_its_portrait_needs_no_correction(sample_home: Path) -> None:
    avatar = load_avatar(sample_home / "avatars" / "sample-video")
    assert np.abs(avatar.rest).max() < 1.5
    assert np.abs(avatar.plate.gains - 1).max() < 0.08 and np.abs(avatar.plate.offsets).max() < 4


def test_the_own_mask_is_all_but_its_rim() -> None:
    mask = own_mask()
    assert mask[:5].max() == 0 and mask[:, -5:].max() == 0 and (mask[60:-60, 60:-60] == 255).all()


def test_a_moving_matte_is_the_face_alone(sample_home: Path) -> None:
    face = load_avatar(sample_home / "avatars" / "sample-video").face
    mask = moving_matte(face, np.full((ROI_SIZE_PX, ROI_SIZE_PX), 255, np.uint8))
    inner = face.points[[1, 13, 33, 263, 61, 291], :2].astype(int)
    assert (mask[inner[:, 1], inner[:, 0]] > 200).all(), "eyes, nose and mouth"
    chin = face.points[152, :2].astype(int)
    assert mask[chin[1] + 12, chin[0]] == 0, "no neck"
    assert mask[:40].max() == 0 and np.abs(np.diff(mask.astype(int), axis=0)).max() < 20, "soft"


def test_a_moving_matte_follows_the_face_within_its_bound(sample_home: Path) -> None:
    avatar = load_avatar(sample_home / "avatars" / "sample-video")
    face, everywhere = avatar.face, np.full((ROI_SIZE_PX, ROI_SIZE_PX), 255, np.uint8)
    still = moving_matte(face, everywhere)
    moved = moving_matte(face.moved(np.array([[1.0, 0, 32], [0, 1, 12]])), everywhere)
    assert np.abs(np.roll(still, (12, 32), (0, 1)).astype(int) - moved).mean() < 1
    assert (moving_matte(face, avatar.mask) <= avatar.mask).all()


def test_the_bound_ends_where_the_plates_face_ends(sample_home: Path) -> None:
    face = load_avatar(sample_home / "avatars" / "sample-video").face
    narrow = face.points[OVAL, :2].copy()
    narrow[:, 0] = 256 + (narrow[:, 0] - 256) * 0.7
    wide, slim = bound_mask(face, face.points[OVAL, :2]), bound_mask(face, narrow)
    cheek = face.points[234, :2].astype(int) + (25, 0)
    assert wide[cheek[1], cheek[0]] > 100 and slim[cheek[1], cheek[0]] < 3


# Light


def test_a_face_takes_the_colour_of_its_body(tmp_path: Path, portrait: ImageArray) -> None:
    warm = in_light(portrait)
    folder = add_avatar(tmp_path, "warm", save(tmp_path / "p.png", portrait), save(tmp_path / "b.png", warm), "mine")
    avatar = load_avatar(folder)
    finder = FaceFinder()
    face = finder.track(warm)
    assert face is not None
    wanted = measure_light(warm, face)
    shown = avatar.roi @ RGB_TO_YUV.T + YUV_BASE
    shown = (shown - 128) * avatar.plate.gains[0] + 128 + avatar.plate.offsets[0]
    skin = skin_mask(avatar.face.points[:, :2], ROI_SIZE_PX, ROI_SIZE_PX) > 0
    placed = cv2.warpAffine(portrait, avatar.portrait_to_roi, (ROI_SIZE_PX, ROI_SIZE_PX))
    before = measure_light(np.asarray(placed, np.uint8), avatar.face)
    assert wanted is not None and before is not None
    assert np.abs(shown[skin][lit_pixels(shown[skin][:, 0])].mean(axis=0) - wanted.mean).max() < 3
    assert np.abs(before.mean - wanted.mean).max() > 30
    left, right = skin.copy(), skin.copy()
    left[:, 256:] = right[:, :256] = False
    plain = cv2.warpAffine(portrait, avatar.portrait_to_roi, (ROI_SIZE_PX, ROI_SIZE_PX)) @ RGB_TO_YUV.T + YUV_BASE
    was, now = (each[left, 0].mean() - each[right, 0].mean() for each in (plain, shown))
    assert now < 0.45 * was, "the lamp stands on the right"


def test_relighting_leaves_black_black_and_equal_light_alone(sample_home: Path) -> None:
    avatar = load_avatar(sample_home / "avatars" / "sample")
    roi, face = avatar.roi.copy(), avatar.face
    x, y = face.points[1, :2].astype(int)
    roi[y - 2 : y + 3, x - 2 : x + 3] = 0
    colours = landmark_colours(roi, face)
    bright = colours * np.array([1.4, 1.4, 1.4, 1.0], np.float32)
    light = measure_light(roi, face)
    assert light is not None
    luma = float(light.mean[0]) - 16
    assert relight(roi, face, colours, bright, luma * 1.4)[y, x].max() == 0
    unchanged = relight(roi, face, colours, colours, luma)
    assert np.abs(unchanged.astype(int) - roi)[roi.max(axis=2) < 200].mean() < 3


# Faces that are hard to find


def test_a_small_face_far_off_is_found(tmp_path: Path, portrait: ImageArray) -> None:
    wide = np.full((1080, 720, 3), 190, np.uint8)
    small = cv2.resize(portrait, None, fx=0.3, fy=0.3, interpolation=cv2.INTER_AREA)
    wide[100 : 100 + small.shape[0], 420 : 420 + small.shape[1]] = small  # a face of 62 pixels
    avatar = load_avatar(
        add_avatar(tmp_path, "small", save(tmp_path / "p.png", portrait), save(tmp_path / "b.png", wide), "mine")
    )
    assert similarity.scale_of(avatar.plate.placements[0]) == pytest.approx(
        0.3 / similarity.scale_of(avatar.portrait_to_roi), rel=0.03
    )


def test_frames_without_a_face_get_the_nearest_placement(tmp_path: Path, portrait: ImageArray) -> None:
    grey = np.full_like(portrait, 128)
    shifted = [np.roll(portrait, n, axis=1) for n in range(9)]
    frames = [grey] * 3 + shifted[:3] + [grey] * 3 + shifted[6:]
    avatar = load_avatar(
        add_avatar(tmp_path, "gaps", save(tmp_path / "p.png", portrait), film(tmp_path / "b.mp4", frames), "mine")
    )
    x = avatar.plate.placements[:, 0, 2]
    assert len(x) == 12 and np.isfinite(avatar.plate.offsets).all()
    assert np.abs(x[:3] - x[3]).max() < 1.5, "before the first: the nearest"
    assert x[5] - 0.5 < x[7] < x[9] + 0.5, "between two: one of theirs"
    assert any(
        "6 of 12 frames" in note
        for note in json.loads((avatar.folder / "avatar.json").read_text(encoding="utf-8"))["notes"]
    )
    assert [avatar.plate.face_opacity(number) for number in range(12)] == [0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1]


def test_a_turned_video_gives_an_upright_plate(tmp_path: Path) -> None:
    upright = sample_portrait()[:640, 280:664]
    lying = np.ascontiguousarray(np.rot90(upright, 1))
    body = film(tmp_path / "b.mp4", [lying] * 3)
    turn(body)
    avatar = load_avatar(add_avatar(tmp_path, "phone", save(tmp_path / "p.png", upright), body, "mine"))
    assert (avatar.plate.width, avatar.plate.height) == (384, 640)
    assert abs(np.degrees(np.arctan2(avatar.plate.placements[0, 1, 0], avatar.plate.placements[0, 0, 0]))) < 2


def test_of_two_faces_the_largest_is_taken_and_noted(tmp_path: Path, portrait: ImageArray) -> None:
    small = cv2.resize(portrait, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    both = np.full((640, 640 + small.shape[1], 3), 180, np.uint8)
    both[:, :640] = portrait
    both[100 : 100 + small.shape[0], 640:] = small
    avatar = load_avatar(add_avatar(tmp_path, "two", save(tmp_path / "p.png", both), None, "mine"))
    middle = similarity.apply_similarity(similarity.invert(avatar.portrait_to_roi), [(256, 256)])[0]
    assert middle[0] < 640
    assert "2 faces" in json.loads((avatar.folder / "avatar.json").read_text(encoding="utf-8"))["notes"][0]


def test_a_large_portrait_is_kept_at_2048_and_its_roi_keeps_the_detail(tmp_path: Path, portrait: ImageArray) -> None:
    large = cv2.resize(portrait, (3000, 3000), interpolation=cv2.INTER_CUBIC)
    avatar = load_avatar(
        add_avatar(tmp_path, "large", save(tmp_path / "p.jpg", np.asarray(large, np.uint8)), None, "mine")
    )
    kept = cv2.imread(str(avatar.folder / "portrait.png"))
    assert kept is not None and kept.shape == (2048, 2048, 3)
    assert (avatar.plate.width, avatar.plate.height) == (1920, 1920)


def test_the_bodys_faces_are_kept_as_they_lie_in_the_roi(sample_home: Path) -> None:
    avatar = load_avatar(sample_home / "avatars" / "sample-video")
    rest = turn_to_rest(avatar.face, avatar.rest)
    assert len(avatar.body_faces) == 8
    for face in avatar.body_faces:
        assert np.linalg.norm(face.points[:SURFACE, :2] - rest.points[:SURFACE, :2], axis=1).mean() < 0.03 * rest.size
    assert load_avatar(sample_home / "avatars" / "sample").body_faces == ()


def test_a_portrait_turned_away_from_its_body_is_noted(sample_home: Path) -> None:
    face = load_avatar(sample_home / "avatars" / "sample").face
    (note,) = turned_note(face, [turn_to_rest(face, (-31.0, 0.0))] * 3)
    assert "is turned 31 degrees away" in note
    (mild,) = turned_note(face, [turn_to_rest(face, (18.0, -4.0))] * 3)
    assert "is turned 18 degrees away" in mild and "turned back to fit" in mild
    assert turned_note(face, [turn_to_rest(face, (11.0, -10.0))] * 3) == ()


def test_the_rest_pose_turns_the_head_where_it_says(sample_home: Path) -> None:
    face = load_avatar(sample_home / "avatars" / "sample").face
    pose = turn_to_rest(face, (12.0, -7.0)).pose
    assert pose.yaw - face.pose.yaw == pytest.approx(12.0, abs=0.1)
    assert pose.pitch - face.pose.pitch == pytest.approx(-7.0, abs=0.1)
    assert pose.roll == pytest.approx(face.pose.roll, abs=0.1)


# Refused inputs


def bad_inputs(folder: Path, portrait: ImageArray) -> dict[str, tuple[Path, Path | None, str]]:
    good = save(folder / "good.png", portrait)

    def file(name: str, data: bytes) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    small = np.full((400, 400, 3), 160, np.uint8)
    shrunk = cv2.resize(portrait, (200, 200), interpolation=cv2.INTER_AREA)
    small[100:300, 100:300] = shrunk
    whole = film(folder / "whole.mp4", [portrait[:320, :320]] * 40).read_bytes()
    return {
        "no face": (save(folder / "wall.png", np.full((300, 300, 3), 120, np.uint8)), None, "No face"),
        "small face": (save(folder / "far.png", small), None, "pixels high"),
        "empty": (file("empty.png", b""), None, "empty"),
        "truncated": (file("half.jpg", jpeg()[:-2000]), None, "truncated"),
        "bomb": (file("bomb.png", png_header(20_000, 20_000)), None, "megapixels"),
        "missing": (folder / "none.png", None, "no file"),
        "body without face": (good, film(folder / "wall.mp4", [np.full((320, 320, 3), 90, np.uint8)] * 12), "No face"),
        "body empty": (good, file("empty.mp4", b""), "empty"),
        "body truncated": (good, file("half.mp4", whole[:300]), "half.mp4"),
        "body no video": (good, file("text.mp4", b"hello" * 99), "text.mp4"),
        "body missing": (good, folder / "none.mp4", "no file"),
    }


@pytest.mark.parametrize(
    "case",
    ["no face", "small face", "empty", "truncated", "bomb", "missing"]
    + ["body without face", "body empty", "body truncated", "body no video", "body missing"],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(tmp_path: Path, portrait: ImageArray, case: str) -> None:
    (tmp_path / "in").mkdir()
    image, body, says = bad_inputs(tmp_path / "in", portrait)[case]
    with pytest.raises(StudioError, match=says) as caught:
        add_avatar(tmp_path / "home", "host", image, body, "mine")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 250
    assert list((tmp_path / "home").rglob("*")) in ([], [tmp_path / "home" / "avatars"])


def test_a_name_is_taken_once(sample_home: Path, tmp_path: Path, portrait: ImageArray) -> None:
    with pytest.raises(StudioError, match="already"):
        add_avatar(sample_home, "sample", save(tmp_path / "p.png", portrait), None, "mine")


@pytest.mark.parametrize("name", ["../x", "", ".hidden", "A", "a/b", "x" * 41])
def test_a_name_cannot_leave_its_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "avatars").mkdir()
    (tmp_path / "x").mkdir()
    for call in (lambda: remove_avatar(tmp_path, name), lambda: add_avatar(tmp_path, name, tmp_path, None, "")):
        with pytest.raises(StudioError, match="cannot name"):
            call()
    assert (tmp_path / "x").is_dir()


def test_removing_an_avatar_leaves_nothing(tmp_path: Path, portrait: ImageArray) -> None:
    add_avatar(tmp_path, "host", save(tmp_path / "p.png", portrait), None, "mine")
    assert list_avatars(tmp_path) == ["host"]
    remove_avatar(tmp_path, "host")
    assert list_avatars(tmp_path) == [] and list((tmp_path / "avatars").iterdir()) == []
    with pytest.raises(StudioError, match="no avatar"):
        remove_avatar(tmp_path, "host")


def test_an_avatar_in_a_home_that_cannot_be_written_stays_whole(portrait: ImageArray, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        folder = add_avatar(home, "host", save(tmp_path / "p.png", portrait), None, "mine")
        home.chmod(0o755)
        before = sorted(folder.iterdir())
        with (
            read_only(home / "avatars"),
            pytest.raises(StudioError, match=r"cannot be removed \(.+\); make .+ writable"),
        ):
            remove_avatar(home, "host")
        assert list_avatars(home) == ["host"] and sorted(folder.iterdir()) == before


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Make a folder read-only for its user; root, who may write anywhere, becomes another user meanwhile."""
    folder.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(UNPRIVILEGED)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)


def test_everyone_in_a_photograph_is_counted(tmp_path: Path, portrait: ImageArray) -> None:
    crowd = np.full((900, 1500, 3), 150, np.uint8)
    for place, side in (((20, 20), 500), ((560, 40), 420), ((1040, 60), 400)):
        x, y = place
        crowd[y : y + side, x : x + side] = cv2.resize(portrait, (side, side), interpolation=cv2.INTER_AREA)
    for x in (150, 650, 1150):
        crowd[640:860, x : x + 220] = cv2.resize(portrait, (220, 220), interpolation=cv2.INTER_AREA)
    folder = add_avatar(tmp_path, "crowd", save(tmp_path / "crowd.png", crowd), None, "test")
    (note,) = json.loads((folder / "avatar.json").read_bytes())["notes"]
    assert note == "crowd.png shows 6 faces; the largest was taken."


def test_names_that_are_no_text_are_kept_escaped(tmp_path: Path, portrait: ImageArray) -> None:
    given = save(tmp_path / "p.png", portrait).rename(tmp_path / os.fsdecode(b"p\xfcrtrait.png"))
    folder = add_avatar(tmp_path, "odd", given, None, "test")
    assert json.loads((folder / "avatar.json").read_bytes())["sources"]["portrait"] == "p\\udcfcrtrait.png"


def test_a_body_that_breaks_off_is_used_as_far_as_it_goes(tmp_path: Path, portrait: ImageArray) -> None:
    whole = film(tmp_path / "whole.mp4", [portrait[:320, :320]] * 100).read_bytes()
    (tmp_path / "half.mp4").write_bytes(whole[: len(whole) // 2])
    folder = add_avatar(tmp_path, "host", save(tmp_path / "face.png", portrait), tmp_path / "half.mp4", "test")
    assert "half.mp4 ends after" in " ".join(read_avatar_manifest(folder).notes)


def test_a_body_is_an_image_by_what_it_holds(tmp_path: Path, portrait: ImageArray) -> None:
    face = save(tmp_path / "face.png", portrait)
    (tmp_path / "body").write_bytes(face.read_bytes())
    folder = add_avatar(tmp_path, "host", face, tmp_path / "body", "test")
    assert read_avatar_manifest(folder).plate.kind == "image"
