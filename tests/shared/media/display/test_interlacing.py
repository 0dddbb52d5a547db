"""Interlaced films: a moving bar has one edge, not a comb, and reading from the middle gives the same frames."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from services.capture.demux import DriverFrame, read_driver
from shared.media.array_types import ImageArray
from shared.media.intake.damage import Damage
from shared.media.reader import VideoReader
from tests.support.files.film_files import write_film

pytestmark = pytest.mark.unit

FRAMES = 12
STEP_PX = 4  # distance that the bar moves between two fields


def bar(at: int) -> ImageArray:
    rgb = np.full((96, 192), 40, np.uint8)
    rgb[:, at : at + 40] = 220
    return np.repeat(rgb[..., None], 3, axis=2)


def woven(lower_first: bool = False) -> Iterator[av.VideoFrame]:
    """Yield frames of two fields: the bar is at `begins` in the first field, and STEP_PX further in the second."""
    for number in range(FRAMES):
        rgb, second = bar(begins(number)), bar(begins(number) + STEP_PX)
        rows = slice(0, None, 2) if lower_first else slice(1, None, 2)
        rgb[rows] = second[rows]
        yield marked(av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format="yuv420p"), lower_first)


def marked(frame: av.VideoFrame, lower_first: bool) -> av.VideoFrame:
    """Return the frame marked with the field that comes first, which encoders go by."""
    graph = av.filter.Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25))
    mark, sink = graph.add("setfield", "bff" if lower_first else "tff"), graph.add("buffersink")
    source.link_to(mark)
    mark.link_to(sink)
    graph.configure()
    graph.vpush(frame)
    return graph.vpull()


def begins(number: int) -> int:
    return 10 + 2 * STEP_PX * number


def interlaced(path: Path, lower_first: bool = False) -> Path:
    order = "bff=1" if lower_first else "tff=1"
    options = {"preset": "ultrafast", "qp": "4", "x264-params": f"{order}:keyint=4:min-keyint=4:scenecut=0"}
    return write_film(path, woven(lower_first), options=options)


def combing(rgb: ImageArray) -> float:
    """Return by how much adjacent rows differ where rows two apart do not."""
    rows = rgb[8:-8, :, 1].astype(int)
    return float(np.clip(np.abs(rows[1:-1] - rows[2:]) - np.abs(rows[:-2] - rows[2:]), 0, None).mean())


@pytest.mark.parametrize("lower_first", [False, True])
def test_a_moving_edge_is_one_edge(lower_first: bool, tmp_path: Path) -> None:
    assert np.mean([combing(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)) for frame in woven()]) > 5, (
        "the film is combed"
    )
    film = interlaced(tmp_path / "a.mp4", lower_first)
    with VideoReader(film) as reader:
        frames = list(reader)
    assert [pts for pts, _ in frames] == [number * 40_000 for number in range(FRAMES)], "none is lost or doubled"
    assert max(combing(rgb) for _, rgb in frames[1:-1]) < 0.5
    for number, (_, rgb) in enumerate(frames[1:-1], 1):
        edges = [int(np.argmax(row > 128)) for row in rgb[8:-8, :, 1]]
        assert abs(np.mean(edges) - begins(number)) < 1, "of the field that comes first"
    driven = [each for each in read_driver(film, motion=True, damage=Damage()) if isinstance(each, DriverFrame)]
    assert [each.pts for each in driven] == [pts for pts, _ in frames], "live too"
    assert max(combing(each.rgb) for each in driven[1:-1]) < 0.5


@pytest.mark.parametrize("start", range(1, FRAMES))
def test_reading_from_the_middle_gives_the_same_frames(start: int, tmp_path: Path) -> None:
    film = interlaced(tmp_path / "a.mp4")
    with VideoReader(film) as reader:
        whole = list(reader)
    with VideoReader(film, start=start * 40_000) as reader:
        part = list(reader)
    assert [pts for pts, _ in part] == [pts for pts, _ in whole[start:]]
    for (_, one), (_, other) in zip(part, whole[start:], strict=True):
        assert np.array_equal(one, other)


def test_a_film_that_is_not_interlaced_is_untouched(tmp_path: Path) -> None:
    still = np.random.default_rng(3).integers(0, 256, (96, 192, 3)).astype(np.uint8)  # every row differs from the next
    frame = av.VideoFrame.from_ndarray(still, "rgb24").reformat(format="yuv444p")
    film = write_film(tmp_path / "a.mp4", [frame])
    with VideoReader(film) as reader:
        ((_, rgb),) = reader
    assert np.array_equal(rgb, frame.to_ndarray(format="rgb24"))


def test_a_single_interlaced_frame_comes_out(tmp_path: Path) -> None:
    film = write_film(tmp_path / "a.mp4", [next(woven())], options={"x264-params": "tff=1"})
    with VideoReader(film) as reader:
        assert len(list(reader)) == 1
