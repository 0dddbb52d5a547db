"""The FLV bytes of the push, checked by the specification: Adobe Flash Video File Format 10.1, annex E."""

import struct
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest

from services.gateway.outputs.rtmp.flv import KEYFRAME_PERIOD_S, FlvWriter
from shared.runtime.clock import SOUND_RATE_HZ, sound_samples, tick_pts
from shared.wire.program import ProgramFrame, ProgramSound

pytestmark = pytest.mark.unit

WIDTH, HEIGHT, FIRST = 96, 64, 1000
SOUND, VIDEO, SCRIPT = 8, 9, 18  # E.4.1, TagType
IDR, SPS, PPS = 5, 7, 8  # H.264, nal_unit_type
LEAD_MS = 21  # time of the first frame: AAC's first block of 1024 samples precedes the coded sound


@dataclass(frozen=True)
class Tag:
    """One FLV tag. kind: TagType. at: Timestamp, milliseconds. data: content after the tag's header."""

    kind: int
    at: int
    data: bytes


def tags_of(flv: bytes) -> list[Tag]:
    """Return all complete tags; check each against the size that follows it (E.3)."""
    assert flv[:3] == b"FLV" and flv[3] == 1
    assert flv[4] == 0b101, "there is sound, there is video, and what is reserved is 0"
    assert struct.unpack(">II", flv[5:13]) == (9, 0)
    at, tags = 13, []
    while at < len(flv):
        kind, size = flv[at], int.from_bytes(flv[at + 1 : at + 4])
        time = int.from_bytes(flv[at + 4 : at + 7]) | flv[at + 7] << 24
        assert flv[at + 8 : at + 11] == b"\0\0\0", "StreamID is always 0"
        data = flv[at + 11 : at + 11 + size]
        assert len(data) == size and kind in (SOUND, VIDEO, SCRIPT)
        assert struct.unpack(">I", flv[at + 11 + size : at + 15 + size]) == (11 + size,), "PreviousTagSize"
        tags.append(Tag(kind, time, data))
        at += 15 + size
    return tags


def metadata(tag: Tag) -> dict[str, float | bool | str]:
    """Return the values of `onMetaData`, whose AMF0 (E.4.4) holds numbers, booleans and strings."""
    name = b"onMetaData"
    assert tag.data.startswith(b"\x02" + struct.pack(">H", len(name)) + name + b"\x08")
    at, values = len(name) + 8, {}
    while tag.data[at : at + 3] != b"\0\0\x09":
        length = struct.unpack(">H", tag.data[at : at + 2])[0]
        key, kind = tag.data[at + 2 : at + 2 + length].decode(), tag.data[at + 2 + length]
        at += 3 + length
        if kind == 0:
            values[key] = struct.unpack(">d", tag.data[at : at + 8])[0]
            at += 8
        elif kind == 1:
            values[key] = bool(tag.data[at])
            at += 1
        else:
            assert kind == 2
            length = struct.unpack(">H", tag.data[at : at + 2])[0]
            values[key] = tag.data[at + 2 : at + 2 + length].decode()
            at += 2 + length
    assert at + 3 == len(tag.data)
    return values


def nal_units(data: bytes) -> list[int]:
    """Return the types of the NAL units that fill a sample to its end (ISO 14496-15, four-byte lengths)."""
    at, types = 0, []
    while at < len(data):
        length = struct.unpack(">I", data[at : at + 4])[0]
        assert 0 < length <= len(data) - at - 4
        types.append(data[at + 4] & 0x1F)
        at += 4 + length
    return types


def frame(tick: int, rate: Fraction = Fraction(25)) -> ProgramFrame:
    i420 = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
    i420[: HEIGHT // 2, tick % WIDTH :] = 200
    return ProgramFrame(tick, tick_pts(tick, rate), i420, "a", 0, None, False, "live", 0)


def sound(tick: int, rate: Fraction = Fraction(25)) -> ProgramSound:
    first, end = sound_samples(tick, rate, SOUND_RATE_HZ)
    wave = 6000 * np.sin(np.arange(first, end) * 2 * np.pi * 440 / SOUND_RATE_HZ)
    return ProgramSound(tick, tick_pts(tick, rate), wave.astype(np.int16))


def pushed(ticks: list[int], rate: Fraction = Fraction(25), sounds: list[int] | None = None) -> list[Tag]:
    """Return the tags written for these ticks."""
    out = bytearray()

    def write(data: bytes) -> int:
        out.extend(data)
        return len(data)

    writer = FlvWriter(write, frame(ticks[0], rate), rate, 300)
    for tick in sorted({*ticks, *(sounds or ticks)}):
        if tick in (ticks if sounds is None else sounds):
            writer.sound(sound(tick, rate))
        if tick in ticks:
            writer.frame(frame(tick, rate))
    before = len(out)
    writer.close()
    assert len(out) == before, "nothing is written once it is closed"
    return tags_of(bytes(out))


def samples(tags: list[Tag], kind: int) -> list[Tag]:
    """Return the tags of one kind that hold coded data, without the sequence header that comes first."""
    found = [tag for tag in tags if tag.kind == kind]
    assert [tag.data[1] for tag in found[:2]] == [0, 1], "the sequence header comes first"
    assert {tag.data[1] for tag in found[1:]} <= {1, 2}
    return [tag for tag in found if tag.data[1] == 1]


@pytest.fixture(scope="module")
def tags() -> list[Tag]:
    return pushed(list(range(FIRST, FIRST + 120)))


def test_it_begins_with_what_a_receiver_has_to_know(tags: list[Tag]) -> None:
    assert [(tag.kind, tag.at) for tag in tags[:3]] == [(SCRIPT, 0), (VIDEO, 0), (SOUND, 0)]
    told = metadata(tags[0])
    assert {"width": WIDTH, "height": HEIGHT, "framerate": 25, "videocodecid": 7, "audiocodecid": 10}.items() <= (
        told.items()
    )
    assert told["stereo"] is False and told["audiosamplerate"] == SOUND_RATE_HZ
    assert not {"duration", "filesize"} & told.keys(), "a stream has neither"


def test_the_video_header_is_a_decoder_configuration(tags: list[Tag]) -> None:
    data = next(tag.data for tag in tags if tag.kind == VIDEO)
    assert data[:5] == b"\x17\0\0\0\0", "a key frame of AVC, its sequence header, no composition time"
    record = data[5:]
    assert record[0] == 1 and record[4] & 3 == 3, "lengths of four bytes"
    assert record[5] & 0x1F == 1
    length = struct.unpack(">H", record[6:8])[0]
    assert record[8] & 0x1F == SPS and record[1:4] == record[9:12], "profile and level are those of the SPS"
    assert record[8 + length] == 1 and record[8 + length + 3] & 0x1F == PPS


def test_the_sound_header_says_one_channel_at_48_khz(tags: list[Tag]) -> None:
    data = next(tag.data for tag in tags if tag.kind == SOUND)
    assert data[0] >> 4 == 10 and data[1] == 0
    config = int.from_bytes(data[2:4])
    assert (config >> 11, config >> 7 & 15, config >> 3 & 15) == (2, 3, 1), "AAC-LC, 48 kHz, mono (ISO 14496-3)"


def test_each_frame_is_at_its_tick_and_no_frame_is_held_back(tags: list[Tag]) -> None:
    video = samples(tags, VIDEO)
    assert [tag.at for tag in video] == [LEAD_MS + 40 * number for number in range(len(video))]
    assert len(video) >= 115
    assert {tag.data[2:5] for tag in video} == {b"\0\0\0"}, "it is shown when it is decoded"


def test_a_key_frame_comes_when_services_ask_for_it(tags: list[Tag]) -> None:
    for tag in samples(tags, VIDEO):
        types = nal_units(tag.data[5:])
        assert tag.data[0] & 15 == 7 and (tag.data[0] >> 4 == 1) == (IDR in types)
    keys = [tag.at for tag in samples(tags, VIDEO) if tag.data[0] >> 4 == 1]
    assert keys == [LEAD_MS + KEYFRAME_PERIOD_S * 1000 * number for number in range(3)]


def test_sound_is_as_long_as_the_video_and_in_step(tags: list[Tag]) -> None:
    found = samples(tags, SOUND)
    assert {tag.data[0] >> 4 for tag in found} == {10}
    steps = np.diff([tag.at for tag in found])
    assert set(steps) <= {21, 22}, "1024 samples, in whole milliseconds"
    assert found[0].at == 0 and abs(found[-1].at - samples(tags, VIDEO)[-1].at) < 200


def test_time_goes_only_forward(tags: list[Tag]) -> None:
    for kind in (SOUND, VIDEO):
        assert all(step > 0 for step in np.diff([tag.at for tag in samples(tags, kind)]))


def test_a_hole_in_the_ticks_is_a_hole_in_time() -> None:
    ticks = [*range(FIRST, FIRST + 20), *range(FIRST + 45, FIRST + 80)]
    video = samples(pushed(ticks), VIDEO)
    wanted = [LEAD_MS + 40 * (tick - FIRST) for tick in ticks]
    assert [tag.at for tag in video] == wanted[: len(video)] and len(video) > 45


def test_a_tick_that_was_written_is_not_written_again() -> None:
    out: list[bytes] = []

    def write(data: bytes) -> int:
        out.append(data)
        return len(data)

    writer = FlvWriter(write, frame(FIRST), Fraction(25), 300)
    for tick in (FIRST, FIRST, FIRST + 2, FIRST + 1, FIRST - 1, FIRST + 3):
        writer.sound(sound(tick))
        writer.frame(frame(tick))
    for tick in range(FIRST + 4, FIRST + 30):
        writer.sound(sound(tick))
        writer.frame(frame(tick))
    times = [tag.at for tag in samples(tags_of(b"".join(out)), VIDEO)]
    assert times[:4] == [LEAD_MS + at for at in (0, 80, 120, 160)]
    writer.close()


def test_sound_before_the_first_frame_is_left_out() -> None:
    ticks = list(range(FIRST, FIRST + 50))
    early = pushed(ticks, sounds=list(range(FIRST - 25, FIRST + 50)))
    plain = pushed(ticks)
    assert [tag.at for tag in samples(early, SOUND)] == [tag.at for tag in samples(plain, SOUND)]


@pytest.mark.parametrize("rate", [Fraction(30000, 1001), Fraction(60)])
def test_the_rate_is_kept_over_its_whole_length(rate: Fraction) -> None:
    video = samples(pushed(list(range(FIRST, FIRST + 90)), rate), VIDEO)
    off = [abs(tag.at - LEAD_MS - float(number * 1000 / rate)) for number, tag in enumerate(video)]
    assert max(off) <= 1 and len(video) > 80


def test_a_receiver_that_is_gone_is_an_error_of_the_write() -> None:
    def write(data: bytes) -> int:
        raise BrokenPipeError(32, "Broken pipe")

    writer = FlvWriter(write, frame(FIRST), Fraction(25), 300)
    with pytest.raises(BrokenPipeError):
        for tick in range(FIRST, FIRST + 200):
            writer.sound(sound(tick))
            writer.frame(frame(tick))
    writer.close()
