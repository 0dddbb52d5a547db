"""Capture sends as much of the driver's image as the scene asks for, and the face's points in any case."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from shared.media.driver_view import PERIOD_US, WIDTH_PX, view_size
from shared.media.reader import Mp4Writer
from shared.runtime.clock import now
from shared.scene import Scene
from shared.wire.message import Message
from tests.support.running.capture import CaptureChannel

WIDTH, HEIGHT = 480, 360


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A grey film of half a second, shown in a loop."""
    path = tmp_path / "film.mp4"
    with Mp4Writer(path, WIDTH, HEIGHT, Fraction(25), sound=False) as writer:
        for number in range(12):
            writer.frame(np.full((HEIGHT * 3 // 2, WIDTH), 90, np.uint8), index=number)
    return path


@pytest.fixture
def channel(run_root: Path, tmp_path: Path) -> Iterator[CaptureChannel]:
    made = CaptureChannel(run_root, tmp_path)
    yield made
    made.close()


def collected(channel: CaptureChannel, scene: Scene) -> list[Message]:
    """Return ten messages tracked after `scene` was chosen; messages of the scene before may still be in flight."""
    channel.choose(scene)
    since = now()

    def seen() -> list[Message]:
        return [message for message in channel.seen if message.stamps["tracked"] >= since]

    channel.turn(lambda: len(seen()) >= 10)
    return seen()[:10]


@pytest.mark.apart
def test_the_image_travels_whole_or_small_or_not_at_all(channel: CaptureChannel, film: Path) -> None:
    for wanted in ("whole", "none", "small", "whole"):
        messages = collected(channel, Scene(driver=f"file:{film}", driver_image=wanted))
        assert all(message.facts["present"] is False for message in messages), "what was seen travels with each"
        if wanted == "whole":
            assert {(m.format, m.array.shape) for m in messages} == {("rgb24", (HEIGHT, WIDTH, 3))}
        else:
            assert {m.format for m in messages} == {"bytes"}
            views = [message for message in messages if message.array.size]
            assert bool(views) is (wanted == "small")
            assert {view_size(view.array.tobytes()) for view in views} <= {(WIDTH_PX, HEIGHT * WIDTH_PX // WIDTH)}
            assert all(b.pts - a.pts >= PERIOD_US for a, b in pairwise(views))
