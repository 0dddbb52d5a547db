"""A face and the plate frame it was made for are shown together, on a busy machine and when faces are late."""

import subprocess
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

from harness.channel import studio
from shared.avatar.model import load_avatar
from tests.support.engines.plate_engine import ENGINES, STALL, read_index, shows_plate

FRAMES = 180  # of which the 120th comes late
HELD_TICKS = 16  # that a plate frame may stay: 200 ms with its face, .3 s while that fades, and two of a busy machine
FADE_TICKS = 5  # of a face that comes, in which the plate is seen through it
STALL_S = 1.5


@pytest.fixture
def load() -> Iterator[None]:
    """Two processes that take all there is."""
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    yield
    for burner in burners:
        burner.kill()
        burner.wait()


def test_every_frame_of_a_moving_plate_is_shown_with_its_own_face(live_home: Path, run_root: Path, load: None) -> None:
    plate = load_avatar(live_home / "avatars" / "sample-video").plate
    arguments = ("--port", "0", "--avatar", "sample-video", "--engine", "plated", "--no-label")
    with studio(live_home, run_root, *arguments, engines=ENGINES, environment={STALL: str(STALL_S)}) as run:
        run.on_air()
        shown = [message for _, message in run.collect_messages("program", FRAMES / 25 + 3)]
        drops = run.state()["services"]["compositor"]["drops"]
        run.end()
    assert len(shown) >= FRAMES - drops.get("tick missed", 0), "the program never stops"
    stretches = [list(same) for state, same in groupby(shown, lambda each: each.facts["state"]) if state == "live"]
    live = [message for stretch in stretches for message in stretch[FADE_TICKS:]]
    assert len(live) > FRAMES / 2
    wrong = []
    for message in live:
        index, box = message.facts["plate"], tuple(message.facts["box"])
        if not shows_plate(message.array, plate, index, box) or read_index(message.array, plate, index) != index:
            wrong.append((message.facts["tick"], index))
    assert not wrong
    assert len({message.facts["plate"] for message in live}) > 60, "it moves"
    runs = [len(list(same)) for _, same in groupby(message.facts["plate"] for message in shown)]
    assert max(runs) <= HELD_TICKS, "a plate goes on when faces are late"
    assert any(message.facts["state"] == "plate" for message in shown), "some were"
