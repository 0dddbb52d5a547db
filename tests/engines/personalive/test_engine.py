"""PersonaLive as an engine.

It takes four frames a call and holds twelve back; segments give the same frames; no earlier person is left in them.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.engines.personalive_material import FRAME_US, avatar, driver, networks, run, same, session, state  # isort: skip

from engines.api import Driving, RoiFrame, Unavailable
from engines.personalive import engine
from engines.personalive.networks.networks import PersonaLiveNetworks
from engines.personalive.window import KEYFRAMES
from engines.registry import load
from shared.avatar.model import Avatar
from shared.runtime.arrays import from_bytes, to_bytes


@pytest.fixture(scope="session")
def nets() -> PersonaLiveNetworks:
    return networks()


@pytest.fixture(scope="session")
def usual(nets: PersonaLiveNetworks) -> list[RoiFrame]:
    """Return a new session's frames for the first 16 driving frames."""
    return run(session(nets), list(driver(16)))


def test_four_frames_at_a_time_and_every_driver_frame_has_its_own(nets: PersonaLiveNetworks) -> None:
    one = session(nets)
    made = [len(one.step(frame)) for frame in driver(22)]
    assert made == [0] * 15 + [4, 0, 0, 0, 4, 0, 0], "the look-ahead of the spec is 15, and chunks are of four"
    left = one.flush()
    assert [frame.pts for frame in left] == [i * FRAME_US for i in range(8, 22)]
    assert left[0].pixels.shape == (512, 512, 3) and left[0].pixels.dtype == np.uint8
    assert one.flush() == [], "what was flushed is gone"
    assert engine.INFO.frames_held == 15 and engine.INFO.frames_per_step == 4


def test_a_seed_makes_frames_repeatable_and_another_seed_others(
    nets: PersonaLiveNetworks, usual: list[RoiFrame]
) -> None:
    again, other = (run(session(nets, seed), list(driver(16))) for seed in (1, 2))
    assert same(usual, again) and not same(usual, other)


def test_segments_that_resume_give_the_frames_of_one_run(
    nets: PersonaLiveNetworks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.personalive.window.SETTLED", 2)
    monkeypatch.setattr("engines.personalive.window.UNLIKE", 1e-6)
    frames = list(driver(26))
    whole = session(nets)
    wanted = run(whole, frames) + whole.flush()
    part, made = session(nets), []
    for start in range(0, 26, 13):  # in the middle of a chunk
        made += run(part, frames[start : start + 13])
        state = from_bytes(to_bytes(part.save()))
        part = session(nets)
        part.restore(state)
    made += part.flush()
    assert same(made, wanted)
    assert len(state["keyframes"]) == KEYFRAMES, "there was something to remember, and no more than there may be"


def test_memory_of_a_window_is_bounded_however_unlike_the_motion_is(
    nets: PersonaLiveNetworks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.personalive.window.SETTLED", 0)
    monkeypatch.setattr("engines.personalive.window.UNLIKE", -1.0)
    one = session(nets)
    sizes = []
    for i in range(6):
        run(one, list(driver(4, 4 * i)))
        sizes.append(sum(array.nbytes for array in one.save().values()))
    assert len(set(sizes[KEYFRAMES:])) == 1 and len(one.save()["keyframes"]) == KEYFRAMES


def test_without_a_face_the_last_motion_is_held(nets: PersonaLiveNetworks) -> None:
    frames = list(driver(16))
    gone = [Driving(frame.pts, None, None, frame.frame) for frame in frames]
    held = [replace(frame, frame=frames[11].frame) for frame in frames]
    assert same(run(session(nets), frames[:12] + gone[12:]), run(session(nets), frames[:12] + held[12:]))
    assert run(session(nets), gone) == [], "no face was ever seen"


def test_after_a_reset_nothing_is_left_of_the_driver_before(nets: PersonaLiveNetworks, usual: list[RoiFrame]) -> None:
    one = session(nets)
    run(one, list(driver(10, seed=3)))
    one.reset()
    assert same(run(one, list(driver(16))), usual)


def test_another_portrait_shows_nothing_of_the_one_before(nets: PersonaLiveNetworks) -> None:
    who = replace(avatar(), roi=np.ascontiguousarray(avatar().roi[::-1]))
    frames = list(driver(8))

    def after(of: PersonaLiveNetworks, person: Avatar) -> bytes:
        one = session(of, who=person)
        run(one, frames)
        return state(one)

    first, second = after(nets, avatar()), after(nets, who)
    assert first != second, "it is another person"
    assert second == after(networks(fresh=1), who), "as without another portrait before"
    assert first == after(nets, avatar()), "and the first one comes back as it was"


def test_a_neutral_is_retaken_without_a_restart(nets: PersonaLiveNetworks) -> None:
    frames = list(driver(8))
    own = avatar().face
    moved = replace(own, points=own.points + np.float32(20))
    plain, changed = session(nets), session(nets)
    run(plain, frames)
    run(changed, frames[:4] + [replace(frame, neutral=moved) for frame in frames[4:]])
    one, other = plain.save(), changed.save()
    assert np.array_equal(one["under_way"], other["under_way"]), "it goes on"
    assert not np.array_equal(one["held"], other["held"]), "the driver is seen in another square"
    assert not np.array_equal(one["neutral_shift"], other["neutral_shift"]), "its shift counts from another frame"


def test_decoding_frame_by_frame_gives_the_same_frames(nets: PersonaLiveNetworks, usual: list[RoiFrame]) -> None:
    small = session(nets)
    small._small = True
    for a, b in zip(usual, run(small, list(driver(16))), strict=True):
        assert np.abs(a.pixels.astype(int) - b.pixels).max() <= 1, "but for rounding"


def test_the_engine_says_why_it_cannot_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_WEIGHTS", str(tmp_path))
    reason = load("personalive").probe()
    assert reason is not None and "studio weights pull personalive" in reason.reason
    monkeypatch.setattr(engine, "find_spec", lambda name: None)
    assert load("personalive").probe() == Unavailable(engine.NO_TORCH.format("torch"), "make setup-torch")
