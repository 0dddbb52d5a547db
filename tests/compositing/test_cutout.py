"""Cutting out the host: with the plate's own matte and the moved face, and with a label that stays readable."""

import shutil
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from compositing.compose import Composer
from compositing.cutout import Cutout
from compositing.label import draw_label
from engines.api import RoiFrame
from services.renderer.encode.segment import SegmentWriter
from services.renderer.pipeline.draw import draw_frames
from shared.avatar.matte import FILE, FRAMES, plate_mattes
from shared.avatar.model import Avatar, load_avatar
from shared.avatar.plate_frames import PlateFrameWriter, SourceFrame
from shared.media.array_types import ImageArray
from shared.media.colour import i420_to_rgb, rgb_to_i420
from shared.media.display.transparency import over_backdrop
from shared.media.image_file import write_pixels
from shared.media.output_spec import OutputSpec


@pytest.fixture(scope="module")
def portrait(sample_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Avatar:
    """The avatar `sample`, copied to a folder of its own; its plate is its portrait."""
    folder = tmp_path_factory.mktemp("avatars") / "sample"
    shutil.copytree(sample_home / "avatars" / "sample", folder)
    return load_avatar(folder)


@pytest.fixture(scope="module")
def body(sample_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Avatar:
    """The avatar `sample-video`, with only the first three frames of its plate."""
    folder = tmp_path_factory.mktemp("avatars") / "sample-video"
    shutil.copytree(sample_home / "avatars" / "sample-video", folder)
    with np.load(folder / "plate.npz", allow_pickle=False) as data:
        facts = {name: data[name] for name in data.files}
    facts["starts"] = facts["starts"][:4]
    for name in ("placements", "gains", "offsets"):
        facts[name] = facts[name][:3]
    facts["order"] = np.array([0, 1, 2, 1])
    facts["cuts"] = np.zeros(0, np.int64)
    np.savez(folder / "plate.npz", **facts)
    with (folder / "plate.mjpg").open("r+b") as file:
        file.truncate(int(facts["starts"][-1]))
    return load_avatar(folder)


def outline(avatar: Avatar, index: int = 0) -> ImageArray:
    """Return (H, W) 1 well inside the plate's face, else 0."""
    plate = avatar.plate
    face = np.zeros(avatar.mask.shape, np.uint8)
    hull = cv2.convexHull(avatar.face.points[:, :2].astype(np.int32))
    cv2.fillConvexPoly(face, hull, (255,))
    placed = cv2.warpAffine(face, plate.placements[index], (plate.width, plate.height))
    return np.asarray(cv2.erode((placed > 250).astype(np.uint8), np.ones((25, 25), np.uint8)), np.uint8)


def test_the_host_is_in_and_the_background_is_out(portrait: Avatar) -> None:
    alpha = Cutout(portrait).alpha(0, None, 0.0)
    assert alpha.shape == (portrait.plate.height, portrait.plate.width)
    assert alpha[outline(portrait) > 0].min() > 250, "the face"
    assert alpha[:60, :60].max() == 0 and alpha[:60, -60:].max() == 0, "the corners above"
    assert alpha[-60, alpha.shape[1] // 2] == 255, "the body"
    edge = ((alpha > 10) & (alpha < 245)).mean()
    assert 0.001 < edge < 0.05, "a soft edge, and nothing else that is half there"


def test_a_plate_is_looked_at_once(body: Avatar, monkeypatch: pytest.MonkeyPatch) -> None:
    (body.folder / FILE).unlink(missing_ok=True)
    done: list[int] = []
    made = plate_mattes(body.folder, body.plate, done.append)
    assert done == [1, 2, 3] and len(made) == 3
    monkeypatch.setattr("shared.avatar.matte.MatteCutter", None)  # measuring a second time would fail
    kept = plate_mattes(body.folder, body.plate)
    assert all(np.array_equal(made.frame(n), kept.frame(n)) for n in range(3))
    assert np.abs(made.frame(0).astype(int) - made.frame(2)).mean() < 4, "steady"
    monkeypatch.undo()
    (body.folder / FILE).write_bytes(b"damaged")
    again = plate_mattes(body.folder, body.plate)
    assert np.array_equal(again.frame(1), made.frame(1))
    assert not list(body.folder.glob(".*")), "nothing half-done stays"


def test_mattes_do_not_pile_up_in_memory(body: Avatar) -> None:
    """The mattes are in the file; only the positions at which they begin are in memory."""
    mattes = plate_mattes(body.folder, body.plate)
    assert mattes.starts[-1] == (body.folder / FRAMES).stat().st_size > 1000
    with (body.folder / FRAMES).open("r+b") as file:
        file.truncate(int(mattes.starts[-1]) - 1)
    assert plate_mattes(body.folder, body.plate).starts[-1] == (body.folder / FRAMES).stat().st_size


def test_a_matte_of_the_face_only_adds(body: Avatar) -> None:
    cutout = Cutout(body)
    plain = cutout.alpha(0, None, 0.0)
    roi = np.zeros((512, 512, 4), np.uint8)
    roi[:100, :100, 3] = 255
    added = cutout.alpha(0, roi, 1.0)
    assert (added >= plain).all()
    corner = body.plate.placements[0] @ np.array([50.0, 50.0, 1.0])
    assert added[int(corner[1]), int(corner[0])] == 255
    half = cutout.alpha(0, roi, 0.5)
    assert half[int(corner[1]), int(corner[0])] in (plain[int(corner[1]), int(corner[0])], 127, 128)


def test_a_head_that_moves_with_its_portrait_is_cut_out_where_it_is(portrait: Avatar) -> None:
    cutout = Cutout(portrait)
    still = cutout.alpha(0, portrait.roi, 1.0)
    rest = cutout.alpha(0, None, 0.0)
    assert np.abs(still.astype(int) - rest).mean() < 2.5
    moved = cv2.warpAffine(
        portrait.roi, np.array([[1, 0, 24], [0, 1, 0]], np.float32), (512, 512), borderMode=cv2.BORDER_REPLICATE
    )
    alpha = cutout.alpha(0, np.asarray(moved, np.uint8), 1.0)
    row = int((portrait.plate.placements[0] @ np.array([256.0, 200.0, 1.0]))[1])
    left = [int(np.flatnonzero(each[row] > 128)[0]) for each in (still, alpha)]
    shift = 24 * np.hypot(*portrait.plate.placements[0][:, 0])
    assert left[1] - left[0] == pytest.approx(shift, abs=0.35 * shift), "the outline goes with the head"


def test_the_label_stays_visible(portrait: Avatar) -> None:
    alpha = Cutout(portrait).alpha(0, None, 0.0, [(10, 12, 40, 20)])
    assert (alpha[12:32, 10:50] == 255).all() and alpha[5, 5] == 0


@pytest.mark.parametrize("label", [False, True])
def test_a_render_has_the_alpha_of_each_of_its_frames(body: Avatar, tmp_path: Path, label: bool) -> None:
    path = tmp_path / "a.webm"
    plate, output = body.plate, OutputSpec("vp9", label=label)
    roi = np.dstack([body.roi, body.mask])
    frames = [RoiFrame(number * 40_000, roi) for number in range(3)]
    with SegmentWriter(path, plate.width, plate.height, Fraction(25), output) as writer:
        assert draw_frames(frames, Composer(body), writer, label, lambda *_: None, Cutout(body)) == 3
    decoder = av.CodecContext.create("libvpx-vp9", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    with av.open(str(path)) as container:
        seen = [frame for packet in container.demux(video=0) for frame in decoder.decode(packet)]
    assert len(seen) == 3
    for number, frame in enumerate(seen):
        plane = frame.planes[3]
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, -1)[:, : plane.width].astype(int)
        box = draw_label(plate.frame(0).copy()) if label else None
        wanted = Cutout(body).alpha(body.plate.index(number * 40_000), roi, 1.0, [box] if box else [])
        if box:
            x, y, w, h = box
            assert rows[y + 2 : y + h - 2, x + 2 : x + w - 2].min() > 240, "the label is not cut out"
        assert np.abs(rows - wanted).mean() < 2.5


# A cut-out that the source contains


@pytest.fixture(scope="module")
def cut_out_portrait(portrait: Avatar, tmp_path_factory: pytest.TempPathFactory) -> tuple[Avatar, ImageArray]:
    """An avatar whose portrait brings a cut-out, over grey, and the alpha of that cut-out."""
    folder = tmp_path_factory.mktemp("avatars") / "cut-out"
    shutil.copytree(portrait.folder, folder)
    plate, roi = portrait.plate, portrait.roi.copy()
    to_roi = cv2.invertAffineTransform(plate.placements[0])
    middle = plate.placements[0] @ np.array([256, 256, 1.0])
    alpha = np.zeros((plate.height, plate.width), np.uint8)
    size = (int(160 * np.hypot(*plate.placements[0][:, 0])), int(220 * np.hypot(*plate.placements[0][:, 0])))
    cv2.ellipse(alpha, (int(middle[0]), int(middle[1])), size, 0, 0, 360, (255,), -1)
    alpha = np.asarray(cv2.GaussianBlur(alpha, (9, 9), 0), np.uint8)
    roi = over_backdrop(roi, np.asarray(cv2.warpAffine(alpha, to_roi, (512, 512)), np.uint8))
    with PlateFrameWriter(folder) as frames:
        frames.add(SourceFrame(over_backdrop(i420_to_rgb(plate.frame(0)), alpha), alpha))
    facts = dict(np.load(folder / "plate.npz"))
    np.savez(folder / "plate.npz", **facts | {"starts": np.array([0, frames.sizes[0]], np.int64)})
    write_pixels(folder / "roi.png", roi[..., ::-1])
    return load_avatar(folder), alpha


def test_a_cut_out_that_is_brought_along_is_kept(cut_out_portrait: tuple[Avatar, ImageArray]) -> None:
    avatar, alpha = cut_out_portrait
    cutout = Cutout(avatar)
    assert np.array_equal(cutout.alpha(0, None, 0.0), alpha)
    shown = cutout.alpha(0, avatar.roi, 1.0)
    assert np.abs(shown.astype(int) - alpha).mean() < 0.5, "a face at rest has it as it is"


def test_it_moves_with_the_head(cut_out_portrait: tuple[Avatar, ImageArray]) -> None:
    avatar, alpha = cut_out_portrait
    moved = np.array([[1, 0, 8], [0, 1, 0]], np.float32)
    roi = cv2.warpAffine(avatar.roi, moved, (512, 512), borderMode=cv2.BORDER_REPLICATE)
    shown = Cutout(avatar).alpha(0, np.asarray(roi, np.uint8), 1.0)
    step = 8 * np.hypot(*avatar.plate.placements[0][:, 0])
    expected = cv2.warpAffine(alpha, np.array([[1, 0, step], [0, 1, 0]], np.float32), alpha.shape[::-1])
    assert np.abs(shown.astype(int) - expected).mean() < 0.4 * np.abs(alpha.astype(int) - expected).mean()


def test_the_grey_behind_it_is_taken_out(cut_out_portrait: tuple[Avatar, ImageArray], portrait: Avatar) -> None:
    avatar, alpha = cut_out_portrait
    rgb = np.full((*alpha.shape, 3), (200, 150, 120), np.uint8)
    seen = rgb_to_i420(over_backdrop(rgb, alpha))
    clean = i420_to_rgb(Cutout(avatar).without_backdrop(seen, alpha)).astype(int)
    edge = (alpha > 60) & (alpha < 255)
    assert np.abs(i420_to_rgb(seen)[edge].astype(int) - (200, 150, 120)).mean() > 8
    assert np.abs(clean[edge] - (200, 150, 120)).mean() < 5
    measured = Cutout(portrait)
    assert measured.without_backdrop(seen, alpha) is seen, "a measured cut-out has no grey behind it"
