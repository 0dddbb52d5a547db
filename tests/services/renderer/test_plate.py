"""A render shows each face on the plate frame it was made for, at the driver's rate and at another."""

import math
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from services.renderer.job.foreground import render_file
from shared.avatar.model import load_avatar
from shared.media.output_spec import OutputSpec
from shared.runtime.clock import tick_pts
from tests.support.engines.plate_engine import ENGINES, read_index
from tests.support.files.media_material import first_frames

FRAMES = 60


@pytest.fixture(scope="module")
def driver(live_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first frames of the sample driver, as many as the tests check."""
    path = tmp_path_factory.mktemp("driver") / "driver.mp4"
    return first_frames(live_home / "drivers" / "sample.mp4", path, FRAMES)


@pytest.mark.parametrize("fps", [None, Fraction(30000, 1001)])
def test_every_frame_of_a_moving_plate_carries_its_own_face(
    live_home: Path, driver: Path, tmp_path: Path, fps: Fraction | None
) -> None:
    avatar, out = load_avatar(live_home / "avatars" / "sample-video"), tmp_path / "out.mp4"
    output = OutputSpec(fps=fps, label=False)
    render_file(
        avatar,
        driver,
        out,
        engine="plated",
        engines=ENGINES,
        output=output,
        segment_seconds=1,
    )
    rate, seen = fps or Fraction(25), []
    with av.open(str(out)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            index = avatar.plate.index(tick_pts(number, rate))
            seen.append(
                (read_index(np.asarray(frame.to_ndarray(format="yuv420p"), np.uint8), avatar.plate, index), index)
            )
    assert len(seen) == math.ceil(FRAMES * rate / 25) and all(painted == shown for painted, shown in seen)
    assert len({shown for _, shown in seen}) > FRAMES / 2
