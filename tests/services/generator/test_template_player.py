"""A motion template as live driver: at its own rate, looped or once, with one sentence where it cannot be played."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from engines.api import Driving, FrameEngine
from engines.liveportrait.motion.template import LivePortraitTemplate, TemplateFrame
from engines.mesh.engine import MeshEngine
from services.generator.template_player import LATE_US, LEAD_US, TemplatePlayer
from shared.config.settings import Settings
from shared.runtime.clock import US, tick_after, tick_pts
from shared.scene import Scene
from shared.wire.message import Message
from tests.support.engines.slow_engines import ENGINES, PlayingEngine
from tests.support.jobs.template_farm import template
from tests.support.running.generator import GeneratorChannel

RATE_FPS = Fraction(25)
FRAMES = 5


@pytest.fixture
def walk(tmp_path: Path) -> Path:
    template(FRAMES, 12.5).save(path := tmp_path / "walk.npz")
    return path


@pytest.fixture
def player() -> Iterator[TemplatePlayer]:
    with ThreadPoolExecutor(1) as pool:
        yield TemplatePlayer(RATE_FPS, pool)


def scene(path: Path | str, loop: bool = True) -> Scene:
    return Scene(driver=f"file:{path}", loop=loop)


def open_with(player: TemplatePlayer, wanted: Scene, engine: FrameEngine | None = None) -> None:
    player.on_scene(wanted)
    player.set_engine("playing", engine or PlayingEngine())
    arrive(player)


def arrive(player: TemplatePlayer) -> None:
    assert player._reading is not None
    player._reading.exception()
    player.arrived()


def number(driving: Driving | None, of: Path) -> int:
    assert driving is not None and isinstance(driving.recorded, TemplateFrame)
    exp = driving.recorded.motion.exp
    made = PlayingEngine().read_template(of)
    return next(i for i, motion in enumerate(made.motions) if (motion.exp == exp).all())


def test_it_plays_at_its_own_rate_in_step_with_the_program_round_and_round(player: TemplatePlayer, walk: Path) -> None:
    open_with(player, scene(walk))
    first = player.due()
    assert (first + LEAD_US) in {tick_pts(tick_after(first + LEAD_US, RATE_FPS) - 1, RATE_FPS)}, (
        "just before a program tick"
    )
    for count in range(2 * FRAMES + 1):
        assert player.due() == first + count * 80_000
        driving = player.due_frame(player.due())
        assert driving is not None and driving.pts == first + count * 80_000
        assert number(driving, walk) == count % FRAMES and driving.face is None
    assert (player.skipped, player.stalls, player.note) == (0, 0, "")


def test_once_it_says_that_it_has_ended_and_begins_again_when_it_may(player: TemplatePlayer, walk: Path) -> None:
    open_with(player, scene(walk, loop=False))
    epoch = player.epoch
    for _ in range(FRAMES):
        assert player.due_frame(player.due()) is not None
    assert player.due_frame(player.due()) is None and player.note.startswith("The recorded motion has ended; ")
    player.on_scene(scene(walk))
    assert player.note == "" and player.epoch > epoch
    assert number(player.due_frame(player.due()), walk) == 0


def test_a_slow_loop_skips_frames_and_a_stall_is_not_made_up_for(player: TemplatePlayer, walk: Path) -> None:
    open_with(player, scene(walk))
    player.due_frame(player.due())
    assert number(player.due_frame(player.due() + 90_000), walk) == 2 and player.skipped == 1
    due = player.due()
    assert player.due_frame(due + LATE_US + US) is None and player.stalls == 1
    assert due + LATE_US + US <= player.due() <= due + LATE_US + US + 80_000
    assert number(player.due_frame(player.due()), walk) == 3


def test_another_engine_starts_over_and_another_avatar_does_not(player: TemplatePlayer, walk: Path) -> None:
    open_with(player, scene(walk))
    epoch = player.epoch
    player.due_frame(player.due())
    player.set_engine("playing", PlayingEngine())
    assert number(player.due_frame(player.due()), walk) == 1 and player.epoch == epoch
    player.set_engine("other", PlayingEngine())
    assert player.due_frame(player.due()) is None, "nothing is played that the engine has not read"
    arrive(player)
    assert number(player.due_frame(player.due()), walk) == 0 and player.epoch > epoch
    player.on_scene(Scene(driver="sample"))
    assert not player.drives and player.due_frame(player.due()) is None


def test_what_cannot_be_played_is_one_sentence(player: TemplatePlayer, walk: Path, tmp_path: Path) -> None:
    open_with(player, scene(walk))
    player.set_engine("mesh", MeshEngine())
    arrive(player)
    assert player.note.startswith("Mesh warp cannot play motion templates; choose an engine that can")
    player.set_engine("playing", PlayingEngine())
    (tmp_path / "bad.npz").write_bytes(b"PK no template")
    for path, says in ((tmp_path / "bad.npz", "is not a motion template"), (tmp_path / "gone.npz", "cannot be read")):
        player.on_scene(scene(path))
        arrive(player)
        assert says in player.note and player.due_frame(player.due()) is None
    player.set_engine("broken", BreakingEngine())
    arrive(player)
    assert player.note == "The recorded motion cannot be read (RuntimeError: no such kernel); choose another driver."


class BreakingEngine(PlayingEngine):
    """Fails to read a template with an unexpected error."""

    def read_template(self, path: Path) -> LivePortraitTemplate:
        raise RuntimeError("no such kernel")


@pytest.fixture
def channel(live_home: Path, run_root: Path) -> Iterator[GeneratorChannel]:
    made = GeneratorChannel(Settings(run_root=run_root, home=live_home, engines=ENGINES))
    yield made
    made.close()


def colours(faces: list[Message]) -> set[bytes]:
    return {bytes(m.array[0, 0, :3]) for m in faces}


def played(channel: GeneratorChannel) -> list[Message]:
    """Return faces of recorded motion that show each of its frames."""
    channel.faces.clear()

    def live() -> list[Message]:
        return [m for m in channel.faces if m.facts["state"] == "live"]

    channel.turn(lambda: len(live()) > FRAMES and len(colours(live())) >= FRAMES)
    return live()


def test_the_service_plays_it_under_an_engine_that_can_and_idles_under_one_that_cannot(
    channel: GeneratorChannel, walk: Path
) -> None:
    meter = channel.generator.loop.meter
    channel.wanted = scene(walk)
    channel.turn(lambda: bool(meter.note) and len(channel.faces) >= 5)
    assert meter.note.startswith("Mesh warp cannot play motion templates;") and meter.state == "idle"
    assert {m.facts["state"] for m in channel.faces} == {"idle"}
    channel.wanted = replace(scene(walk), engine="playing")
    channel.turn(lambda: bool(channel.faces) and channel.faces[-1].facts["state"] == "live")
    assert meter.note == ""
    stalled = meter.drops["recorded motion stalled"]
    while True:
        live, stalls = played(channel), meter.drops["recorded motion stalled"]
        if stalls == stalled:
            break
        stalled = stalls  # the machine stalled: the motion went on from where it was, so look again
    steps = {(later.facts["captured"] - one.facts["captured"]) % 80_000 for one, later in pairwise(live)}
    assert len(live) > FRAMES and steps == {0}, "at the template's rate"
    assert len(colours(live)) == FRAMES, "the mesh's corner has the frame's own colour"
    channel.wanted = replace(scene(walk, loop=False), engine="playing")
    channel.turn(lambda: "has ended" in meter.note)
    channel.turn(lambda: channel.faces[-1].facts["state"] == "idle")
