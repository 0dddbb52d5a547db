"""The LivePortrait engine keeps the engines' contract: frames that are shown, held, eased, saved and not drawn."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="torch is not installed: `make setup-torch` brings it")

from engines.api import Driving, SessionContext  # noqa: E402
from engines.liveportrait.motion import crop  # noqa: E402
from engines.liveportrait.motion.face_crop import driver_square, in_reference, ratios, source_square  # noqa: E402
from engines.liveportrait.motion.recording import record_keypoints  # noqa: E402
from engines.liveportrait.motion.template import LivePortraitTemplate, parse_template  # noqa: E402
from engines.liveportrait.options import LivePortraitOptions  # noqa: E402
from engines.liveportrait.portrait import PortraitRenderer  # noqa: E402
from engines.liveportrait.session import LivePortraitSession  # noqa: E402
from engines.liveportrait.settings import LivePortraitSettings  # noqa: E402
from engines.registry import load_frame_engine  # noqa: E402
from harness.faces.following import psnr  # noqa: E402
from shared.errors import StudioError  # noqa: E402
from tests.parity.liveportrait_steps import pasted  # noqa: E402
from tests.support.engines.liveportrait_material import MS, NarrowEngine, avatar, driving, networks, session  # noqa: E402


def pixels(of: LivePortraitSession, given: Driving) -> NDArray[Any]:
    (frame,) = of.step(given)
    assert frame.pts == given.pts
    return frame.pixels


def shown(of: LivePortraitSession) -> NDArray[Any]:
    return of._fade.shown.copy()


def test_frames_are_rois_and_follow_the_driver() -> None:
    opened = session()
    frames = [pixels(opened, driving(i * 40 * MS, i)) for i in (0, 4, 8)]
    assert all(frame.shape == (512, 512, 3) and frame.dtype == np.uint8 for frame in frames)
    assert not np.array_equal(frames[0], frames[1]) and not np.array_equal(frames[1], frames[2])
    assert opened.hear(None) == [] and opened.flush() == []  # type: ignore[arg-type]


def test_at_the_neutral_the_source_is_where_it_was() -> None:
    opened = session(settings=LivePortraitSettings(stitching=False, close_lips=False))
    opened.step(driving(0, 0))
    assert np.allclose(shown(opened), opened._portrait.points, atol=1e-5)
    opened.step(driving(40 * MS, 6))
    assert np.abs(shown(opened) - opened._portrait.points).max() > 1e-3


def test_a_body_of_its_own_gets_the_matte_of_the_moved_face() -> None:
    opened = session(own_plate=False)
    frame = pixels(opened, driving(0, 0))
    nose = avatar().face.points[4, :2].astype(int)
    assert frame.shape == (512, 512, 4) and frame[nose[1], nose[0], 3] > 250 and not frame[:20, :, 3].any()
    aside = opened._portrait.points + np.array([0.1, 0, 0], np.float32)
    columns = [
        np.nonzero(matte.max(axis=0) > 128)[0]
        for matte in (frame[..., 3], opened._portrait._matte(opened._portrait.shot(aside)))
    ]
    assert columns[1].min() > columns[0].min() + 10, "the matte stays behind"


def test_segments_give_the_frames_of_the_whole() -> None:
    nets = networks()
    script = [(i * 40 * MS, None if i == 3 else i, 0 if i < 5 else 5) for i in range(8)]
    whole = session(nets)
    frames = [pixels(whole, driving(*line)) for line in script[:4]]
    saved = whole.save()
    assert all(isinstance(value, np.ndarray) for value in saved.values())
    frames += [pixels(whole, driving(*line)) for line in script[4:]]
    resumed, run_up = session(nets), session(nets)
    resumed.restore(saved)
    run_up.draws = False
    for line in script[:4]:
        assert pixels(run_up, driving(*line)).size == 0
    run_up.draws = True
    for line, frame in zip(script[4:], frames[4:], strict=True):
        assert np.array_equal(pixels(resumed, driving(*line)), frame)
        assert np.array_equal(pixels(run_up, driving(*line)), frame)
    assert {name: value.tobytes() for name, value in resumed.save().items()} == {
        name: value.tobytes() for name, value in whole.save().items()
    }


def test_without_a_face_the_last_motion_is_held_and_a_face_found_again_is_followed() -> None:
    opened = session()
    opened.draws = False
    opened.step(driving(0, 0))
    opened.step(driving(40 * MS, 7))
    last = shown(opened)
    for t in (80, 2000):
        opened.step(driving(t * MS, None))
        assert np.array_equal(shown(opened), last)
    opened.step(driving(2040 * MS, 3))
    found = shown(opened)
    fresh = session()
    fresh.draws = False
    fresh.step(driving(0, 0))
    fresh.step(driving(2040 * MS, 3))
    assert np.allclose(found, shown(fresh), atol=1e-4), "what was before the gap is still in it"
    opened.step(driving(2080 * MS, None))
    assert np.array_equal(shown(opened), found)


def test_a_retaken_neutral_is_eased_to() -> None:
    opened = session(settings=LivePortraitSettings(stitching=False, close_lips=False, variance=0))
    opened.draws = False
    opened.step(driving(0, 0))
    for t in range(40, 4000, 40):  # until the crop has settled around the face
        opened.step(driving(t * MS, 6))
    away = np.abs(shown(opened) - opened._portrait.points).max()
    before = shown(opened)
    steps = []
    for t in range(4000, 4400, 40):
        opened.step(driving(t * MS, 6, neutral=6))
        steps.append(shown(opened))
    assert np.abs(steps[0] - before).max() < 0.1 * away, "it jumps"
    assert max(np.abs(b - a).max() for a, b in pairwise([before, *steps])) < 0.5 * away
    assert np.abs(steps[-1] - opened._portrait.points).max() < 0.05 * away, "it is not at rest"


def test_other_options_are_taken_over_on_air_without_a_jump() -> None:
    opened, quiet = session(settings=LivePortraitSettings(variance=0)), LivePortraitOptions(variance=0, multiplier=0.0)
    for number in range(4):
        opened.step(driving(number * 40 * MS, number))
    before = shown(opened).copy()
    assert opened.apply(quiet)
    opened.step(driving(160 * MS, 3))
    step = np.abs(shown(opened) - before).max()
    for number in range(4, 16):
        opened.step(driving(number * 40 * MS, 3))
    assert step < 0.2 * np.abs(shown(opened) - before).max(), "it comes over to them"
    fresh = session(settings=LivePortraitSettings(variance=0, multiplier=0.0))
    fresh.step(driving(0, 3))
    assert np.allclose(shown(opened), shown(fresh), atol=1e-5)
    assert opened.apply(LivePortraitOptions(variance=1e-4))
    assert opened._driver.variance == opened._steady.variance == 1e-4
    assert not opened.apply(LivePortraitOptions(source="body")), "another source is another portrait"


def test_the_engine_opens_with_the_options_of_its_context() -> None:
    engine = NarrowEngine()
    options = engine.options({"region": "lip", "multiplier": "0.5"})
    opened = engine.open(avatar(), SessionContext(options=options))
    assert (opened._options.region, opened._options.multiplier) == ("lip", 0.5)


def test_a_neutral_never_seen_is_stood_for_by_the_nearest_frame() -> None:
    opened = session(settings=LivePortraitSettings(stitching=False, close_lips=False, variance=0))
    opened.draws = False
    opened.step(driving(0, 6))
    assert np.allclose(shown(opened), opened._portrait.points, atol=1e-5), "the first frame stands for it"
    before = opened.save()["anchor"]
    for i in range(1, 10):  # away from the neutral, then in it
        opened.step(driving(i * 40 * MS, 6 if i < 5 else 0))
        assert (opened.save()["distance"] == 0) == (i >= 5)
    assert not np.array_equal(opened.save()["anchor"], before), "the neutral itself did not replace it"


def test_waiting_moves_blinks_and_is_eased_into_and_out_of() -> None:
    opened = session()
    opened.draws = False
    opened.step(driving(0, 5))
    driven = shown(opened)
    opened.idle(40 * MS)
    assert np.abs(shown(opened) - driven).max() < 0.1 * np.abs(driven - opened._portrait.points).max() + 1e-4
    track = []
    for t in range(80, 12_000, 40):
        opened.idle(t * MS)
        track.append(shown(opened))
    moved = np.abs(np.diff(track, axis=0)).max(axis=(1, 2))
    assert 0.002 < np.ptp(np.array(track), axis=0).max() < 0.3 and moved.max() < 0.05
    again = session()
    again.draws = False
    for t in (0, 1000, 11_960):
        again.idle(t * MS)
    assert np.array_equal(shown(again), track[-1]), "waiting depends on more than the time"
    waiting = shown(opened)
    opened.step(driving(12_000 * MS, 5))
    assert np.abs(shown(opened) - waiting).max() < 0.1 * max(np.abs(driven - waiting).max(), 0.01)
    opened.draws = True
    assert opened.idle(12_040 * MS)[0].pixels.shape == (512, 512, 3)


def test_a_recorded_motion_is_played_as_it_was_driven(tmp_path: Path) -> None:
    nets = networks()
    settings = LivePortraitSettings(variance=0)
    live, played = session(nets, settings=settings), session(nets, settings=settings)
    live.draws = played.draws = False
    frames = [driving(i * 40 * MS, i) for i in range(4)]
    record_keypoints([driving(0, None), *frames], nets.read, 25).save(tmp_path / "motion.npz")
    template = parse_template(tmp_path / "motion.npz")
    assert len(template.motions) == 4 and template.fps == 25
    for number, frame in enumerate(frames):
        live.step(frame)
        played.step(Driving(frame.pts, None, None, recorded=template[number]))
        assert np.allclose(shown(played), shown(live), atol=1e-6)
    still = LivePortraitTemplate(template.motions[:1], 25, None, template.anchor)
    played.step(Driving(200 * MS, None, None, recorded=still[0]))
    assert not np.allclose(shown(played), played._portrait.points, atol=1e-3), "one frame moves nothing"
    with pytest.raises(StudioError, match="No face was found"):
        record_keypoints([driving(0, None)], nets.read, 25)


def test_reset_forgets_the_driver() -> None:
    opened, fresh = session(), session()
    opened.step(driving(0, 6))
    opened.reset()
    assert np.array_equal(pixels(opened, driving(0, 2)), pixels(fresh, driving(0, 2)))


def test_following_with_the_crop_takes_nothing_from_the_motion() -> None:
    kp = np.random.default_rng(0).normal(0, 0.4, (21, 3)).astype(np.float32)
    face = avatar().face
    boxes = driver_square(face), driver_square(face.moved(np.array([[1.2, 0, 30.0], [0, 1.2, -20.0]])))
    scale, t = np.array(1.4, np.float32), np.array([0.1, -0.05, 0.0], np.float32)

    def on_image(scale: NDArray[Any], t: NDArray[Any], box: crop.Square) -> NDArray[Any]:
        return np.asarray(box.centre + (scale * kp[:, :2] + t[:2]) * (box.side / 2))

    there = on_image(*in_reference(scale, t, boxes[1], boxes[0]), boxes[0])
    assert np.allclose(there, on_image(scale, t, boxes[1]), atol=1e-2)


def test_the_crop_laid_back_is_the_originals_paste() -> None:
    portrait = PortraitRenderer(avatar(), networks())
    y, x = np.mgrid[0:512, 0:512] / 512
    face = np.stack([x, y, (x + y) / 2], axis=-1).astype(np.float32)
    around = portrait.shot(portrait.points).source.around[None]
    ours = portrait._on_roi(torch.from_numpy(face).permute(2, 0, 1)[None], around)[0].numpy()
    theirs = pasted((face * 255).astype(np.uint8), portrait.to_crop, avatar().roi)
    off = np.abs(ours.astype(int) - theirs)  # ours is sampled more sharply
    assert (off > 2).mean() < 2e-3 and off.max() < 10
    again = portrait._on_roi(torch.from_numpy(portrait.image()).permute(2, 0, 1)[None] / 255, around)[0].numpy()
    assert psnr(again, avatar().roi) > 32, "the crop of a portrait does not give the portrait back"


def test_openings_are_in_the_originals_measure() -> None:
    for ours, theirs in ((0.071, 0.019), (0.171, 0.195), (0.275, 0.291), (0.398, 0.463), (0.489, 0.549)):
        read = ratios(np.array([ours, ours, 0.158], np.float32))
        assert np.allclose(read.eyes, theirs, atol=0.035) and np.allclose(read.lips, 0.154, atol=0.01)
    assert not ratios(np.array([0.03, 0.0, 0.0], np.float32)).eyes.any(), "an eye more than closed"


def test_the_source_crop_reaches_as_far_as_the_originals() -> None:
    found = source_square(avatar().face)
    _, top, _, bottom = avatar().face.box
    assert 1.5 < found.side / (bottom - top) < 2.1
    assert found.centre[1] < (top + bottom) / 2, "there is no room for the hair"


def test_an_overflow_of_half_precision_is_drawn_again_in_float32_that_frame_alone() -> None:
    nets, plain = networks(torch.bfloat16), session(networks(torch.bfloat16))
    draw, opened = nets.draw, session(nets)

    def overflowing(volume: Any, compressed: Any, source: Any, driven: Any) -> Any:
        spoilt = np.allclose(driven.numpy(), shown(opened))
        return draw(volume, compressed, source, driven) * (float("nan") if spoilt and overflows else 1.0)

    nets.draw = overflowing
    for number, overflows in enumerate((False, True, False)):
        given = driving(number * 40 * MS, number)
        frame, usual = pixels(opened, given), pixels(plain, given)
        if overflows:
            exact = session(networks())
            for i in range(number + 1):
                frame_in_float32 = pixels(exact, driving(i * 40 * MS, i))
            off = np.abs(frame_in_float32.astype(int) - frame)
            assert 0 < off.mean() < 2, "the weights stay rounded"
        else:
            assert np.array_equal(frame, usual), "one frame's overflow changes the others"
    assert nets.dtype == torch.bfloat16


def test_half_precision_shows_the_same_frame() -> None:
    given = driving(0, 2)
    exact, half = (pixels(session(networks(dtype)), given) for dtype in (torch.float32, torch.bfloat16))
    assert np.abs(exact.astype(int) - half).mean() < 2


def test_a_face_beyond_its_frame_is_drawn_from_what_is_there() -> None:
    """The generator steps a new session like this, to compile everything that is compiled on first use."""
    face = avatar().face
    frame = pixels(session(), Driving(0, face, face, np.zeros((2, 2, 3), np.uint8)))
    assert frame.shape == (512, 512, 3)


def test_a_wrong_option_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_LIVEPORTRAIT_REGION", "nose")
    with pytest.raises(StudioError, match=r"liveportrait\.region'"):
        LivePortraitSettings.load()


def test_without_torch_or_weights_it_says_what_helps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    engine = load_frame_engine("liveportrait")
    monkeypatch.setenv("STUDIO_WEIGHTS", str(tmp_path))
    assert "studio weights pull liveportrait" in str(engine.probe())
    with pytest.raises(StudioError, match="studio weights pull liveportrait"):
        engine.open(avatar())
    monkeypatch.setattr("engines.liveportrait.engine.find_spec", lambda name: None)
    assert "make setup-torch" in str(engine.probe())
