"""A face is shown on the plate frame it was made for, on a busy machine and when faces are late."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import pytest

from harness.channel import Studio, studio, wait_for
from shared.avatar.model import load_avatar
from shared.avatar.plate import Plate
from tests.support.engines.plate_engine import ENGINES, STALL, read_index, shows_plate
from tests.support.running.channel_looks import next_messages

FRAMES, LIVE_FRAMES, PLATE_FRAMES = 180, 90, 60  # frames a look; at least, with a face; distinct plate frames
HELD_TICKS = 16  # longest stay of a plate frame: 200 ms with its face, 0.3 s of fade, two of a busy machine
FADE_TICKS = 5  # while a face fades in, the plate shows through it
STALL_S = 1.5


@pytest.fixture
def load() -> Iterator[None]:
    """Run two processes that use all processor time."""
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    yield
    for burner in burners:
        burner.kill()
        burner.wait()


def test_every_frame_of_a_moving_plate_is_shown_with_its_own_face(live_home: Path, run_root: Path, load: None) -> None:
    plate = load_avatar(live_home / "avatars" / "sample-video").plate
    arguments = ("--port", "0", "--avatar", "sample-video", "--engine", "plated", "--no-label")
    seen = ShownPlates()
    with studio(live_home, run_root, *arguments, engines=ENGINES, environment={STALL: str(STALL_S)}) as run:
        run.on_air()
        wait_for(lambda: seen.look(run, plate), what="faces, and some that come late", every=0)
        run.end()
    assert not seen.wrong
    assert seen.held <= HELD_TICKS, "a plate goes on when faces are late"


@dataclass(slots=True)
class ShownPlates:
    """What the program has shown.

    live: frames with a face. plates: plate frames seen with one. wrong: (tick, plate) of faces on another plate frame.
    held: most frames for which a plate frame stayed. late: whether the plate was shown alone because a face was late.
    """

    live: int = 0
    plates: set[int] = field(default_factory=set)
    wrong: list[tuple[int, int]] = field(default_factory=list)
    held: int = 0
    late: bool = False

    def look(self, run: Studio, plate: Plate) -> bool:
        """Look at FRAMES more frames; return whether enough has been seen."""
        shown = next_messages(run, "program", FRAMES)
        self.late |= any(message.facts["state"] == "plate" for message in shown)
        runs = [len(list(same)) for _, same in groupby(message.facts["plate"] for message in shown)]
        self.held = max(self.held, *runs)
        stretches = [list(same) for state, same in groupby(shown, lambda each: each.facts["state"]) if state == "live"]
        for message in (message for stretch in stretches for message in stretch[FADE_TICKS:]):
            index, box = message.facts["plate"], tuple(message.facts["box"])
            if not shows_plate(message.array, plate, index, box) or read_index(message.array, plate, index) != index:
                self.wrong.append((message.facts["tick"], index))
            self.plates.add(index)
            self.live += 1
        return self.late and self.live > LIVE_FRAMES and len(self.plates) > PLATE_FRAMES
