"""The output that a render is asked for: kept where it is possible, else refused in one sentence."""

import json
from fractions import Fraction
from pathlib import Path

import pytest

from shared.errors import StudioError
from shared.media.output_spec import CODECS, OutputSpec, fit_within, is_hd, read_fps, read_size


@pytest.mark.parametrize(
    "output",
    [
        OutputSpec(),
        OutputSpec("hevc", Fraction(30000, 1001), (1920, 1080), False, encoder="libx265"),
        OutputSpec("vp9", size=(64, 8192)),
        OutputSpec(burn_captions=True),
    ],
)
def test_an_output_goes_through_a_manifest(output: OutputSpec) -> None:
    assert OutputSpec.from_dict(json.loads(json.dumps(output.as_dict()))) == output
    assert OutputSpec.from_dict({}) == OutputSpec()


@pytest.mark.parametrize(
    "data, words",
    [
        ({"codec": "gif"}, "h264, hevc, prores, vp9"),
        ({"fps": "0"}, "1 to 240"),
        ({"fps": "fast"}, "not a frame rate"),
        ({"fps": "1/0"}, "not a frame rate"),
        ({"size": [641, 480]}, "even"),
        ({"size": [1920, 32]}, "even and 64 to 8192"),
        ({"size": [1920]}, "cannot be read"),
        ({"size": "1920x1080x3"}, "cannot be read"),
        ({"fsp": 25}, "no setting 'fsp'"),
        ([], "cannot be read"),
    ],
)
def test_what_is_impossible_is_one_sentence(data: dict[str, object], words: str) -> None:
    with pytest.raises(StudioError, match=words) as caught:
        OutputSpec.from_dict(data)
    assert "\n" not in str(caught.value)


def test_the_suffix_fits_the_codec() -> None:
    good = {"h264": "a.mp4", "hevc": "a.MP4", "prores": "a.mov", "vp9": "a.webm"}
    for codec in CODECS:
        OutputSpec.from_dict({"codec": codec}).check_path(Path(good[codec]))
    with pytest.raises(StudioError, match=r"a\.mov should end in \.mp4.*codec prores"):
        OutputSpec().check_path(Path("a.mov"))
    with pytest.raises(StudioError, match=r"a\.mp4 should end in \.webm.*h264 or hevc"):
        OutputSpec("vp9").check_path(Path("a.mp4"))
    with pytest.raises(StudioError, match=r"a\.avi should end in \.mp4, the format for h264\.$"):
        OutputSpec().check_path(Path("a.avi"))


@pytest.mark.parametrize(
    "text, rate",
    [
        ("25", 25),
        ("29.97", Fraction(30000, 1001)),
        ("23.976", Fraction(24000, 1001)),
        ("30000/1001", None),
        ("12.5", None),
    ],
)
def test_a_rate_is_read_exactly(text: str, rate: Fraction | None) -> None:
    assert read_fps(text) == (rate if rate is not None else Fraction(text))


def test_a_size_is_read() -> None:
    assert read_size("1920x1080") == read_size(" 1920X1080") == (1920, 1080)
    for text in ("1920", "x", "1920x", "-2x4", "1920x1080x2"):
        with pytest.raises(StudioError, match="not a size"):
            read_size(text)


def test_a_plate_is_shown_whole_in_another_shape() -> None:
    assert fit_within((720, 1080), (1920, 1080)) == (600, 0, 720, 1080)
    assert fit_within((1920, 1080), (1080, 1920)) == (0, 656, 1080, 608)
    assert fit_within((720, 1080), (1440, 2160)) == (0, 0, 1440, 2160)
    for inner in ((720, 1080), (4000, 64), (66, 98)):
        for outer in ((64, 64), (1920, 1080), (98, 8192)):
            x, y, width, height = fit_within(inner, outer)
            assert not any(each % 2 for each in (x, y, width, height)) and width > 0 and height > 0
            assert x >= 0 and y >= 0 and x + width <= outer[0] and y + height <= outer[1]


def test_hd_is_what_players_take_for_it() -> None:
    assert is_hd((1280, 720)) and is_hd((720, 1080)) and not is_hd((720, 576)) and not is_hd((512, 512))


@pytest.mark.parametrize(
    "text",
    ["1e400", "1e99999999", "nan", "inf", "-25", "1/0", "9" * 5000, "25/1/1", "\u0662\u0665", "25\x00"],
)
def test_a_rate_that_is_none_is_one_sentence(text: str) -> None:
    with pytest.raises(StudioError, match="not a frame rate"):
        read_fps(text)
