"""The boxes of a recording, checked by ISO/IEC 14496-12: a file that was cut off is playable up to that point."""

import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from harness.channel import PATIENCE_S, wait_for
from services.gateway.channel.event_log import EventLog
from services.gateway.outputs.recorder import Recorder, RecordingPart
from services.gateway.outputs.recording_captions import PartCaptions
from shared.config.settings import Settings
from shared.errors import StudioError
from shared.runtime.clock import SOUND_RATE_HZ, sound_samples, tick_pts
from shared.runtime.private_files import USERS_UMASK
from shared.wire.program import ProgramFrame, ProgramSound

pytestmark = pytest.mark.unit

WIDTH, HEIGHT, FIRST, RATE = 96, 64, 1000, Fraction(25)
LEAD = Fraction(1024, SOUND_RATE_HZ)  # seconds: AAC's first block, which precedes the coded sound
DEFAULT_BASE_IS_MOOF, NOT_SYNC = 0x020000, 0x010000
HOLDERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"mvex", b"moof", b"traf", b"udta"}


@dataclass
class Box:
    """One box. kind: its four letters. at: its position in the file. data: its content. inner: the boxes in it."""

    kind: bytes
    at: int
    data: bytes
    inner: list["Box"] = field(default_factory=list)

    def all(self, *path: bytes) -> list["Box"]:
        found = [box for box in self.inner if box.kind == path[0]]
        return [deep for box in found for deep in box.all(*path[1:])] if len(path) > 1 else found

    def one(self, *path: bytes) -> "Box":
        (box,) = self.all(*path)
        return box


def boxes(data: bytes, begin: int = 0) -> list[Box]:
    """Return the boxes that fill `data`; a last box that is cut off, as by a killed writer, is left out."""
    at, found = 0, []
    while at + 8 <= len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        if size < 8 or at + size > len(data):
            break
        inner = boxes(data[at + 8 : at + size], begin + at + 8) if kind in HOLDERS else []
        found.append(Box(kind, begin + at, data[at + 8 : at + size], inner))
        at += size
    return found


@dataclass
class TrackRun:
    """Samples of one track in one fragment (tfhd, tfdt, trun). offset: the first sample's, from the moof."""

    track: int
    begin: int
    offset: int
    sizes: list[int]
    durations: list[int]
    flags: list[int]
    shifts: list[int]


def run_of(traf: Box) -> TrackRun:
    head, time, samples = traf.one(b"tfhd").data, traf.one(b"tfdt").data, traf.one(b"trun").data
    has, track = int.from_bytes(head[1:4]), int.from_bytes(head[4:8])
    assert has & DEFAULT_BASE_IS_MOOF and not has & 1, "its offsets count from its own moof"
    at, default = 8 + (4 if has & 2 else 0), {}
    for bit in (8, 16, 32):  # default duration, size and flags of a sample
        if has & bit:
            default[bit] = int.from_bytes(head[at : at + 4])
            at += 4
    begin = int.from_bytes(time[4:12] if time[0] == 1 else time[4:8])
    told, count = int.from_bytes(samples[1:4]), int.from_bytes(samples[4:8])
    assert told & 1
    offset, at = int.from_bytes(samples[8:12]), 12
    first_flags = None
    if told & 4:
        first_flags, at = int.from_bytes(samples[at : at + 4]), at + 4
    run = TrackRun(track, begin, offset, [], [], [], [])
    for number in range(count):
        values = {}
        for bit in (0x100, 0x200, 0x400, 0x800):
            if told & bit:
                values[bit] = int.from_bytes(samples[at : at + 4])
                at += 4
        run.durations.append(values.get(0x100, default.get(8, 0)))
        run.sizes.append(values.get(0x200, default.get(16, 0)))
        flags = values.get(0x400, default.get(32, 0))
        run.flags.append(first_flags if first_flags is not None and number == 0 else flags)
        run.shifts.append(values.get(0x800, 0))
    assert at == len(samples)
    return run


def frame(tick: int) -> ProgramFrame:
    i420 = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
    i420[: HEIGHT // 2, tick % WIDTH :] = 200
    return ProgramFrame(tick, tick_pts(tick, RATE), i420, "a", 0, None, False, "live", 0)


def sound(tick: int) -> ProgramSound:
    first, end = sound_samples(tick, RATE, SOUND_RATE_HZ)
    wave = 6000 * np.sin(np.arange(first, end) * 2 * np.pi * 440 / SOUND_RATE_HZ)
    return ProgramSound(tick, tick_pts(tick, RATE), wave.astype(np.int16))


def part_of(path: Path, ticks: int) -> RecordingPart:
    """Return an unfinished part with this many ticks."""
    captions = PartCaptions(path, tick_pts(FIRST, RATE), EventLog(), private=True)
    part = RecordingPart.create(path, captions, frame(FIRST), RATE)
    for tick in range(FIRST, FIRST + ticks):
        part.frame(frame(tick))
        part.sound(sound(tick))
    return part


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Bytes on the disk after 110 ticks of a part that is never finished."""
    path = tmp_path_factory.mktemp("killed") / "out.mp4"
    part = part_of(path, 110)
    written = path.read_bytes()
    part.writer.abort()
    return written


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Bytes of a finished part of 110 ticks."""
    path = tmp_path_factory.mktemp("finished") / "out.mp4"
    part_of(path, 110).writer.close()
    return path.read_bytes()


def tracks(data: bytes) -> dict[bytes, tuple[int, int, Box]]:
    """Return (number, time scale, trak box) of each track by its handler."""
    moov = Box(b"", 0, data, boxes(data)).one(b"moov")
    found = {}
    for trak in moov.all(b"trak"):
        handler = trak.one(b"mdia", b"hdlr").data[8:12]
        scale = int.from_bytes(trak.one(b"mdia", b"mdhd").data[12:16])
        found[handler] = (int.from_bytes(trak.one(b"tkhd").data[12:16]), scale, trak)
    return found


def runs(data: bytes) -> list[TrackRun]:
    """Return all track runs; check that their samples fill the mdat that follows their moof."""
    top, found = boxes(data), []
    for moof, mdat in pairwise(top):
        if moof.kind == b"moof":
            assert mdat.kind == b"mdat"
            here = [run_of(traf) for traf in moof.all(b"traf")]
            at = mdat.at + 8 - moof.at
            for run in sorted(here, key=lambda run: run.offset):
                assert run.offset == at
                at += sum(run.sizes)
            assert at - (mdat.at + 8 - moof.at) == len(mdat.data), "the samples are all of the data"
            found += here
    return found


def test_all_that_a_player_needs_comes_before_the_first_frame(finished: bytes) -> None:
    assert [box.kind for box in boxes(finished)[:4]] == [b"ftyp", b"moov", b"moof", b"mdat"]
    moov = boxes(finished)[1]
    assert len(moov.all(b"mvex", b"trex")) == 2
    known = tracks(finished)
    assert set(known) == {b"vide", b"soun"}
    for _, _, trak in known.values():
        for table, at in ((b"stts", 4), (b"stco", 4), (b"stsz", 8)):
            (box,) = trak.all(b"mdia", b"minf", b"stbl", table)
            assert int.from_bytes(box.data[at : at + 4]) == 0, "its samples are in the fragments"
    video, sound_track = known[b"vide"][2], known[b"soun"][2]
    assert struct.unpack(">II", video.one(b"tkhd").data[-8:]) == (WIDTH << 16, HEIGHT << 16)
    entry = video.one(b"mdia", b"minf", b"stbl", b"stsd").data
    assert entry[12:16] == b"avc1" and b"avcC\x01" in entry
    entry = sound_track.one(b"mdia", b"minf", b"stbl", b"stsd").data
    assert entry[12:16] == b"mp4a" and struct.unpack(">H", entry[32:34]) == (1,), "one channel"
    assert struct.unpack(">I", entry[40:44]) == (SOUND_RATE_HZ << 16,)


def test_it_says_that_it_is_made_by_a_machine(finished: bytes) -> None:
    assert b"AI-generated" in boxes(finished)[1].one(b"udta").data


@pytest.mark.parametrize("state", ["killed", "finished"])
def test_each_fragment_begins_with_a_key_frame_and_is_a_second(state: str, request: pytest.FixtureRequest) -> None:
    data = request.getfixturevalue(state)
    number, scale, _ = tracks(data)[b"vide"]
    video = [run for run in runs(data) if run.track == number]
    assert len(video) == (3 if state == "killed" else 5)
    for place, run in enumerate(video):
        assert Fraction(run.begin, scale) == (place + LEAD if place else 0), "the first frame is shown that much longer"
        assert not run.flags[0] & NOT_SYNC and all(flags & NOT_SYNC for flags in run.flags[1:])
        assert set(run.shifts) == {0}, "no frame is shown at another time than it is decoded"
        assert len(run.sizes) == (10 if place == 4 else 25)
        lengths = [Fraction(length, scale) for length in run.durations]
        assert lengths == [1 / RATE + (0 if place else LEAD), *[1 / RATE] * (len(lengths) - 1)]


def test_a_killed_process_loses_a_fragment_and_what_its_encoder_holds(killed: bytes) -> None:
    for handler in (b"vide", b"soun"):
        number, scale, _ = tracks(killed)[handler]
        there = [run for run in runs(killed) if run.track == number]
        seconds = sum(Fraction(sum(run.durations), scale) for run in there)
        assert seconds > Fraction(110, 25) - Fraction(3, 2), handler


@pytest.mark.parametrize("cut", [1, 7, 100])
def test_a_file_that_was_cut_off_is_whole_up_to_its_last_fragment(killed: bytes, cut: int) -> None:
    assert [run.sizes for run in runs(killed[:-cut])] == [run.sizes for run in runs(killed)[:-2]]


def test_sound_and_frames_are_of_one_length_without_a_hole(finished: bytes) -> None:
    for handler, most in ((b"vide", 0), (b"soun", 2 * 1024)):
        number, scale, _ = tracks(finished)[handler]
        at = None
        for run in (each for each in runs(finished) if each.track == number):
            assert at in (None, run.begin), handler
            at = run.begin + sum(run.durations)
        assert at is not None and 0 <= at - (LEAD + 110 / RATE) * scale <= most, handler


def test_a_frame_that_is_missing_is_a_longer_one_before_it(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    captions = PartCaptions(path, tick_pts(FIRST, RATE), EventLog(), private=True)
    part = RecordingPart.create(path, captions, frame(FIRST), RATE)
    for tick in (FIRST, FIRST + 1, FIRST + 4, FIRST + 3, FIRST + 5):
        part.frame(frame(tick))
    part.writer.close()
    number, scale, _ = tracks(path.read_bytes())[b"vide"]
    (run,) = [run for run in runs(path.read_bytes()) if run.track == number]
    assert [Fraction(length, scale) * RATE for length in run.durations[:3]] == [1, 3, 1] and len(run.sizes) == 4


@contextmanager
def recording(path: Path, home: Path) -> Iterator[tuple[Recorder, EventLog]]:
    """Run a recorder in a thread and yield it with its event log; it has stopped afterwards."""
    event_log = EventLog()
    recorder = Recorder(Settings(home=home), event_log)
    recorder.want(str(path))
    thread = threading.Thread(target=recorder.run)
    thread.start()
    try:
        yield recorder, event_log
    finally:
        recorder.stop()
        thread.join()


def put(recorder: Recorder, ticks: range) -> None:
    for tick in ticks:
        recorder.outlet.put(frame(tick))
        recorder.outlet.put(sound(tick))


@pytest.mark.parametrize(("place", "mode"), [("home/recordings", 0o600), ("elsewhere", 0o664)])
def test_a_recording_in_the_home_is_its_owners_and_another_is_as_the_user_has_files(
    tmp_path: Path, place: str, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(USERS_UMASK, "002")
    path = tmp_path / place / "out.mp4"
    with recording(path, tmp_path / "home") as (recorder, _):
        put(recorder, range(FIRST, FIRST + 5))
        wait_for(lambda: recorder.state.state == "live", PATIENCE_S, "a frame is written")
    assert path.stat().st_mode & 0o777 == mode and runs(path.read_bytes())


def test_a_place_that_cannot_be_written_is_a_sentence_and_the_next_try_may_do(tmp_path: Path) -> None:
    (tmp_path / "way").write_text("", encoding="utf-8")
    with recording(tmp_path / "way" / "out.mp4", tmp_path) as (recorder, event_log):
        put(recorder, range(FIRST, FIRST + 5))
        wait_for(lambda: recorder.state.state == "failed", PATIENCE_S, "it has failed")
        assert recorder.state.note == f"{tmp_path / 'way'} is not a folder; choose another place."
        assert [event.kind for event in event_log.events()] == ["error"]
        (tmp_path / "way").unlink()
        put(recorder, range(FIRST + 5, FIRST + 10))
        wait_for(lambda: not recorder.outlet._frames, PATIENCE_S, "they are taken")
        assert recorder.state.state == "failed", "not again by itself"
        recorder.try_again()
        put(recorder, range(FIRST + 10, FIRST + 15))
        wait_for(lambda: recorder.state.state == "live", PATIENCE_S, "a frame is written")
    assert runs((tmp_path / "way" / "out.mp4").read_bytes())


def test_a_file_that_is_removed_under_it_ends_the_recording_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    part = part_of(path, 3)
    path.unlink()
    with pytest.raises(StudioError, match=r"out\.mp4 was removed while it was being written"):
        part.bytes()
    part.writer.abort()
