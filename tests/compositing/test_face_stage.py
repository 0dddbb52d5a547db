"""Which face is on the plate at each tick, at which opacity and on which plate frame, on a driven clock."""

from typing import Any

import numpy as np
import pytest

from compositing.compose import Composer
from compositing.face_stage import FACE_AHEAD_US, PLATE_HOLD_US, FaceStage, StagedFrame
from compositing.transition import TRANSITION_S
from shared.avatar.model import Avatar
from shared.media.colour import planes
from shared.runtime.clock import US
from shared.wire.face import FaceFacts
from shared.wire.message import Message, WireError
from tests.support.files.small_avatar import FACE, small_avatar

TICK_US = US // 25
IDLE_AFTER_US = US // 2
START = 8 * US  # the plate has played a whole number of rounds by then


@pytest.fixture(scope="module")
def avatar(tmp_path_factory: pytest.TempPathFactory) -> Avatar:
    return small_avatar(tmp_path_factory.mktemp("avatars") / "small")


@pytest.fixture
def stage(avatar: Avatar) -> FaceStage:
    return FaceStage(avatar, IDLE_AFTER_US)


def face(pts: int, level: int = 255, shape: tuple[int, ...] = (64, 64, 3), **facts: Any) -> Message:
    told: dict[str, Any] = {"avatar": "small", "captured": pts, "live": True} | facts
    pixels = np.full(shape, level, np.uint8)
    kind = "rgba" if shape[2] == 4 else "rgb24"
    return Message("face", "main", 0, 0, 0, pts, kind, pixels, facts=FaceFacts(**told).as_facts())


def level(frame: StagedFrame) -> int:
    """Return the luma in the middle of the placed face."""
    return int(planes(frame.composed.frame)[0][FACE][32, 32])


def shown(stage: FaceStage, begin: int, end: int, **facts: Any) -> StagedFrame:
    """Return the frame of the last tick before `end`, with a new face at each tick from `begin` on."""
    for pts in range(begin, end, TICK_US):
        assert stage.take(face(pts, **facts), pts) == ""
        frame = stage.frame(pts)
    return frame


def test_without_a_face_the_plate_is_shown_as_it_is(stage: FaceStage, avatar: Avatar) -> None:
    for number in range(8):
        frame = stage.frame(START + number * TICK_US)
        assert frame.state == "plate" and frame.face is None
        assert frame.composed.plate == (0, 1, 2, 1)[number % 4], "to and fro"
        assert np.array_equal(frame.composed.frame, avatar.plate.frame(frame.composed.plate))
        assert frame.composed.box == (0, 0, 0, 0)


def test_a_face_comes_and_goes_softly(stage: FaceStage) -> None:
    levels = []
    for number in range(60):
        pts = START + number * TICK_US
        if 10 <= number < 30:
            assert stage.take(face(pts, plate=0), pts) == ""
        frame = stage.frame(pts, on_air=number < 35)
        levels.append(level(frame) if frame.composed.plate == 0 else -1)
    rise = [each for each in levels[10:20] if each >= 0]
    assert rise == sorted(rise) and rise[0] < 80 and rise[-1] > 220
    steps = round(TRANSITION_S * US / TICK_US)
    assert max(np.diff(rise)) < 3 * 165 / steps, "without a step"
    fall = [each for each in levels[35 : 35 + steps] if each >= 0]
    assert fall == sorted(fall, reverse=True)
    assert max(each for each in levels[50:] if each >= 0) < 70


@pytest.mark.parametrize(("live", "state"), [(True, "live"), (False, "idle")])
def test_the_state_is_that_of_the_face_that_is_shown(stage: FaceStage, live: bool, state: str) -> None:
    frame = shown(stage, START, START + US, live=live)
    assert frame.state == state and frame.face is not None and frame.face.pts == START + US - TICK_US
    assert stage.frame(START + US, on_air=False).state == "plate"


def test_a_face_names_the_plate_frame_that_is_shown_with_it(stage: FaceStage, avatar: Avatar) -> None:
    for number in range(12):
        pts = START + number * TICK_US
        assert stage.take(face(pts, plate=2), pts) == ""
        assert stage.frame(pts).composed.plate == 2, "whatever the clock's own would be"
    free = FaceStage(avatar, IDLE_AFTER_US)
    for number in range(12):
        pts = START + number * TICK_US
        free.take(face(pts), pts)
        assert free.frame(pts).composed.plate == avatar.plate.index(pts), "one that fits every frame names none"


@pytest.mark.parametrize(("facts", "held"), [({"plate": 1}, PLATE_HOLD_US), ({}, IDLE_AFTER_US)])
def test_the_last_face_is_held_only_so_long(stage: FaceStage, facts: dict[str, Any], held: int) -> None:
    shown(stage, START, START + US, **facts)
    last = START + US - TICK_US
    assert stage.frame(last + held).state == "live"
    gone = stage.frame(last + held + 1)
    assert gone.state == "plate" and level(gone) > 200, "it has just begun to fade"
    assert gone.composed.plate == (1 if facts else stage.avatar.plate.index(last + held + 1))
    after = stage.frame(last + held + round(TRANSITION_S * US) + TICK_US)
    assert after.composed.plate == stage.avatar.plate.index(last + held + round(TRANSITION_S * US) + TICK_US)
    assert np.array_equal(after.composed.frame, stage.avatar.plate.frame(after.composed.plate))


@pytest.mark.parametrize(
    ("pts", "facts", "why"),
    [
        (0, {"avatar": "other"}, "face of another avatar"), (-IDLE_AFTER_US - 1, {}, "face stale"),
        (-IDLE_AFTER_US, {}, ""),
        (FACE_AHEAD_US + 1, {}, "face ahead"), (FACE_AHEAD_US, {"captured": 0}, ""),
        (0, {"captured": START + FACE_AHEAD_US + 1}, "face ahead"),
    ],
)  # fmt: skip
def test_a_face_that_is_not_taken_says_why(stage: FaceStage, pts: int, facts: dict[str, Any], why: str) -> None:
    assert stage.take(face(START + pts, **facts), START) == why
    assert (stage.frame(START).face is None) == bool(why)


@pytest.mark.parametrize(
    "changes", [{"plate": 3}, {"plate": 1 << 40}, {"shape": (64, 48, 3)}, {"captured": -1}],
)  # fmt: skip
def test_a_face_that_cannot_be_is_an_error_and_the_last_one_stays(stage: FaceStage, changes: dict[str, Any]) -> None:
    stage.take(face(START, 200), START)
    with pytest.raises(WireError):
        stage.take(face(START + TICK_US, **changes), START + TICK_US)
    kept = stage.frame(START + TICK_US).face
    assert kept is not None and kept.pts == START


def test_a_frame_is_the_receivers_own(stage: FaceStage, avatar: Avatar) -> None:
    frame = stage.frame(START)
    frame.composed.frame[:] = 0
    assert planes(avatar.plate.frame(0))[0].min() > 50
    assert level(stage.frame(START + 4 * TICK_US)) > 50


@pytest.mark.parametrize("named", [None, 2])
def test_a_plate_frame_is_decoded_ahead_and_once(
    avatar: Avatar, named: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames composed from a background prepared ahead equal those composed without one."""
    plain, ahead = FaceStage(avatar, IDLE_AFTER_US), FaceStage(avatar, IDLE_AFTER_US)
    decoded: list[int] = []
    background = Composer.background

    def counted(composer: Composer, index: int) -> Any:
        if composer is ahead._composer:
            decoded.append(index)
        return background(composer, index)

    monkeypatch.setattr(Composer, "background", counted)
    for number in range(20):
        pts = START + number * TICK_US
        for each in (plain, ahead):
            each.take(face(pts, plate=named), pts)
        before = len(decoded)
        frame = ahead.frame(pts)
        if number:
            assert len(decoded) == before, "nothing is decoded in the tick"
        assert np.array_equal(frame.composed.frame, plain.frame(pts).composed.frame)
        ahead.prepare_tick(pts + TICK_US)
    assert len(decoded) <= 21


def test_a_plate_frame_that_was_made_ahead_for_another_tick_is_not_shown(stage: FaceStage, avatar: Avatar) -> None:
    assert stage.take(face(START, plate=2), START) == ""
    frame = stage.frame(START, on_air=False)
    assert frame.composed.plate == 0 and np.array_equal(frame.composed.frame, avatar.plate.frame(0))


def test_a_matte_of_the_face_leaves_the_plate_where_it_is_clear(stage: FaceStage, avatar: Avatar) -> None:
    for number in range(15):
        pts = START + number * TICK_US
        message = face(pts, shape=(64, 64, 4), plate=0)
        message.array[:, :32, 3] = 0
        assert stage.take(message, pts) == ""
        frame = stage.frame(pts)
    luma = planes(frame.composed.frame)[0][FACE]
    assert luma[32, 50] > 220 and np.array_equal(luma[:, :30], planes(avatar.plate.frame(0))[0][FACE][:, :30])
