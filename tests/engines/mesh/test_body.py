"""The mesh engine on a film's own face.

The mouth rests or speaks; everything else stays as filmed. Each drawn frame belongs to its plate frame.
"""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from compositing.compose import Composer
from engines.api import Driving, RoiFrame, SessionContext, VoiceBlock
from engines.mesh.body.rest import HeadPlace
from engines.mesh.body.session import BodySession
from engines.mesh.engine import MeshEngine
from engines.mesh.motion import MIDDLE, REST, MeshMotion, lip_gaps
from engines.mesh.session import MeshSession
from harness.faces.following import compare_following
from harness.filmed_body import CALM, GAP, TALK, filmed_body, gap_at
from shared.avatar.body_faces import BodyFaces, kept_body_faces
from shared.face.finder import FaceFinder
from shared.face.landmarks import OVAL, SURFACE, Face
from shared.face.scripted import Gesture, shape
from shared.media.array_types import ImageArray
from shared.media.colour import i420_to_rgb
from tests.support.engines.mesh_material import MS, avatar
from tests.support.files.voice_material import silence, sound_of, voiced

pytestmark = pytest.mark.apart

COUNT = CALM + TALK
TICK_US = 40 * MS
OPEN = CALM + 2  # a frame in which the film's own mouth is wide open


def speaks(talks: bool = True) -> BodySession:
    engine = MeshEngine()
    opened = engine.open(filmed_body(talks), SessionContext(options=engine.options({"source": "body"})))
    assert isinstance(opened, BodySession)
    return opened


def shown(frame: RoiFrame, talks: bool = True) -> ImageArray:
    """Return the program frame with an engine's frame on it, RGB."""
    assert frame.plate is not None
    composer = Composer(filmed_body(talks))
    return i420_to_rgb(
        composer.compose(composer.background(frame.plate), frame.plate, frame.pixels, 1.0, own=True).frame
    )


def plate(index: int, talks: bool = True) -> ImageArray:
    return i420_to_rgb(filmed_body(talks).plate.frame(index))


def faces(talks: bool = True) -> BodyFaces:
    return kept_body_faces(filmed_body(talks))


def placed(index: int, talks: bool = True) -> Face:
    """Return the film's own face in a plate frame, in pixels of the plate."""
    face = faces(talks).face(index)
    assert face is not None
    return face.moved(filmed_body(talks).plate.placements[index])


def opening(rgb: ImageArray, index: int) -> float:
    found = FaceFinder().face_near(rgb, placed(index).box)
    assert found is not None
    return found.mouth_opening


def opened_by(lips: float) -> MeshMotion:
    columns = np.array([0.3, 0.6, 0.9, 1, 1, 1, 0.9, 0.6, 0.3], np.float32)
    return replace(REST, lips=columns * np.float32(lips))


def inside(index: int, points: NDArray[np.int64], grown: int = 0) -> NDArray[np.bool_]:
    """Return (H, W) bool: whether a pixel is within the hull of these points of the face, `grown` pixels larger."""
    cover = np.zeros(plate(index).shape[:2], np.uint8)
    hull = cv2.convexHull(placed(index).points[points, :2].copy())
    cv2.fillConvexPoly(cover, np.rint(hull).astype(np.int32), (255,))
    return np.asarray(cv2.dilate(cover, np.ones((2 * grown + 1,) * 2, np.uint8)) > 0)


def test_a_mouth_that_speaks_in_the_film_rests_in_silence() -> None:
    opened = speaks()
    frames = [opened.idle(index * TICK_US)[0] for index in range(COUNT)]
    assert max(opening(plate(index), index) for index in (OPEN, OPEN + 4)) > 0.6 * GAP, "the film does not speak"
    assert max(opening(shown(frames[index]), index) for index in (OPEN - 1, OPEN, OPEN + 1, OPEN + 4)) < 0.03


def test_a_film_that_does_not_speak_is_left_as_it_is() -> None:
    for index in (2, OPEN):
        frame = speaks(talks=False).idle(index * TICK_US)[0]
        assert frame.plate == index and not frame.pixels[..., 3].any()


def test_a_voice_changes_the_lower_face_alone() -> None:
    frames = speaks(talks=False).hear(VoiceBlock(0, sound_of([silence(0.1), voiced("a", 0.6)])))
    changed = 0
    for frame in frames[2:14:3]:
        assert frame.plate is not None
        before, after = plate(frame.plate, talks=False).astype(int), shown(frame, talks=False).astype(int)
        apart = np.abs(after - before).max(axis=2)
        assert apart[~inside(frame.plate, OVAL, 1)].max() == 0, "outside of the face"
        upper = np.array([70, 105, 107, 336, 334, 300, 263, 33, 145, 374, 159, 386])
        assert apart[inside(frame.plate, upper)].mean() <= 2.0, "eyes and brows"
        mouth = np.array([61, 0, 291, 17])
        changed += int(apart[inside(frame.plate, mouth)].mean() > 4.0)
    assert changed >= 2, "the mouth does not move"


@pytest.mark.parametrize("index", [3, OPEN])
def test_the_mouth_opens_as_far_as_a_portraits_does(index: int, tmp_path: Path) -> None:
    body, wanted = speaks(), (0.03, 0.06, 0.09, 0.12)
    rest = faces().face(body._renderer.rest.frame)
    assert rest is not None
    roi = body._renderer._source.roi(body._renderer.rest.frame)
    portrait = MeshSession(replace(avatar(), folder=tmp_path, roi=roi, face=rest))  # of the film's own closed mouth
    finder = FaceFinder()
    on_film, on_portrait = [], []
    for lips in wanted:
        on_film.append(opening(shown(body.frame(index * TICK_US, opened_by(lips))), index))
        found = finder.face_near(portrait.frame(0, opened_by(lips)).pixels, rest.box)
        assert found is not None
        on_portrait.append(found.mouth_opening)
    assert np.corrcoef(wanted, on_film)[0, 1] > 0.97
    assert 0.9 < sum(on_film) / sum(on_portrait) < 1.1, (on_film, on_portrait)


def test_lips_that_the_film_has_apart_stay_so_in_silence_and_follow_a_voice() -> None:
    opened = speaks()
    opened._renderer.rest = replace(
        opened._renderer.rest, talks=np.zeros(COUNT, np.float32)
    )  # a smile that shows teeth
    drawn, render = list[MeshMotion](), opened._renderer.render

    def kept(motion: MeshMotion, index: int) -> NDArray[np.uint8]:
        drawn.append(motion)
        return render(motion, index)

    opened._renderer.render = kept  # type: ignore[method-assign]
    opened.hear(VoiceBlock(0, sound_of([silence(0.4), voiced("a", 0.8), silence(3.0)])))
    ajar = [float(motion.ajar[0]) for motion in drawn]
    assert ajar[0] == ajar[-1] == 1.0 and min(ajar) == 0.0
    assert max(abs(after - before) for before, after in pairwise(ajar)) < 0.2, "a jump"
    lower, place = opened._renderer.lower, placed(OPEN)
    filmed = HeadPlace.of(place).local(place.points[:SURFACE])
    wide, rest = (float(lip_gaps(each)[MIDDLE].mean()) for each in (filmed, opened._renderer.rest.local))
    for lips in (0.0, 0.03):
        for left, wanted in ((1.0, wide), (0.0, rest + lips)):
            motion = replace(opened_by(lips), ajar=np.full(1, left, np.float32))
            found = float(lip_gaps(filmed + lower.moved(filmed, motion))[MIDDLE].mean())
            assert abs(found - wanted) < 0.006, (lips, left, found, wanted)


def test_a_face_on_video_adds_its_expression_and_leaves_the_head() -> None:
    opened, own = speaks(), avatar().face
    frames = []
    for index, mouth in enumerate((0.0, 0.4, 0.8)):
        opened.reset()
        frames.append(opened.step(Driving(index * TICK_US, shape(own, Gesture(yaw=15, mouth=mouth)), own))[0])
    openings = [opening(shown(frame), index) for index, frame in enumerate(frames)]
    assert openings[0] < 0.03 and openings[0] + 0.02 < openings[1] < openings[2]
    found = FaceFinder().face_near(shown(frames[2]), placed(2).box)
    assert found is not None and abs(found.pose.yaw - placed(2).pose.yaw) < 2.0


def test_a_frame_has_the_pixels_of_the_plate_frame_that_it_names() -> None:
    engine, body = MeshEngine(), filmed_body()
    context = SessionContext(
        options=engine.options({"source": "body"}), plate_at=lambda pts: pts // TICK_US * 7 % COUNT
    )
    opened = engine.open(body, context)
    assert isinstance(opened, BodySession)
    for tick in range(5):
        frame = opened.frame(tick * TICK_US, opened_by(0.02))
        assert frame.plate == tick * 7 % COUNT
        cheek = inside(frame.plate, np.array([205, 187, 147, 50])) | inside(frame.plate, np.array([425, 411, 376, 280]))
        apart = shown(frame)[cheek].mean(axis=0) - plate(frame.plate)[cheek].mean(axis=0)
        assert np.abs(apart).max() < 1.0, "another frame's, or in another light"


def test_a_frame_without_a_face_is_left_as_it_is() -> None:
    opened = speaks()
    points = faces().points.copy()
    points[3] = np.iinfo(np.int16).min
    opened._renderer._faces = BodyFaces(points)
    assert not opened.frame(3 * TICK_US, opened_by(0.1)).pixels.any()


def test_all_that_the_film_is_moved_by_follows_a_performance() -> None:
    """As for a portrait, the mouth tracked in the output is compared with the driver's."""
    opened, own = speaks(talks=False), avatar().face
    driver = [shape(own, Gesture(mouth=0.9 * abs(np.sin(index / 2.5)))) for index in range(COUNT)]
    frames = [shown(opened.step(Driving(n * TICK_US, face, own))[0], talks=False) for n, face in enumerate(driver)]
    figures = compare_following(driver, [np.ascontiguousarray(frame) for frame in frames])["mouth"]
    assert figures["correlation"] >= 0.9 and 0.7 <= figures["gain"] <= 1.3, figures


def test_the_mouth_is_calm_where_the_film_rests() -> None:
    """The mouth drawn in silence moves no more than the film's own mouth while that is closed."""
    opened = speaks()
    gaps = [opening(shown(opened.idle(index * TICK_US)[0]), index) for index in range(CALM, COUNT)]
    assert float(np.std(gaps)) < 0.01 < float(np.std([gap_at(index) for index in range(CALM, COUNT)]))
