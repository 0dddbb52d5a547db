"""Parts of a recording, split by time or size: nothing is lost where one ends and the next begins."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from harness.channel import PATIENCE_S, wait_for
from services.gateway.channel.event_log import EventLog
from services.gateway.outputs.recorder import Recorder
from shared.config.settings import Settings
from shared.runtime.clock import sound_samples, tick_pts
from shared.wire.program import ProgramFrame, ProgramSound

WIDTH, HEIGHT, SIDE, BITS = 320, 96, 16, 16
FIRST = 1000
CLICK_SAMPLES = 960  # offset of the click in each tick, samples


@contextmanager
def recording(path: Path, **settings: float) -> Iterator[Recorder]:
    """Run a recorder in a thread, writing to `path`; it has stopped afterwards."""
    recorder = Recorder(Settings(**settings), EventLog())  # type: ignore[arg-type]
    recorder.want(str(path))
    thread = threading.Thread(target=recorder.run)
    thread.start()
    try:
        yield recorder
    finally:
        recorder.stop()
        thread.join()


def make_frame(tick: int, noise: NDArray[np.uint8]) -> ProgramFrame:
    """Return a frame with its tick coded in black and white squares, on noise that gives it a size when coded."""
    i420 = noise.copy()
    for bit in range(BITS):
        i420[:SIDE, bit * SIDE : (bit + 1) * SIDE] = 220 if tick >> bit & 1 else 30
    return ProgramFrame(tick, tick_pts(tick, Settings().rate), i420, "a", 0, None, False, "live", 0)


def sound(tick: int) -> ProgramSound:
    """Return the sound of a tick, with a click in its middle."""
    first, end = sound_samples(tick, Settings().rate, 48_000)
    samples = np.zeros(end - first, np.int16)
    samples[CLICK_SAMPLES : CLICK_SAMPLES + 48] = 20_000
    return ProgramSound(tick, tick_pts(tick, Settings().rate), samples)


def feed(recorder: Recorder, count: int) -> None:
    """Put `count` ticks into the recorder, with the sound before or after its frame in turns, never together."""
    generator = np.random.default_rng(3)
    noise = [generator.integers(0, 255, (HEIGHT * 3 // 2, WIDTH)).astype(np.uint8) for _ in range(5)]
    ahead = FIRST
    for tick in range(FIRST, FIRST + count):
        lead = -2 if (tick - FIRST + 15) // 30 % 2 else 2  # the sound is behind at one seam and ahead at the next
        if tick % 2:
            recorder.outlet.put(make_frame(tick, noise[tick % 5]))
        while ahead <= tick + lead:
            recorder.outlet.put(sound(ahead))
            ahead += 1
        if not tick % 2:
            recorder.outlet.put(make_frame(tick, noise[tick % 5]))
        if tick % 3 == 0:
            wait_for(lambda: not recorder.outlet._frames, PATIENCE_S, "the recorder keeps up")
    for tick in range(ahead, FIRST + count):
        recorder.outlet.put(sound(tick))


def ticks_shown(path: Path) -> list[int]:
    """Return the tick that is coded in each frame."""
    with av.open(str(path)) as container:
        lumas = [frame.to_ndarray(format="gray")[: SIDE - 4] for frame in container.decode(video=0)]
    return [sum(int(y[4:, b * SIDE + 4 : (b + 1) * SIDE - 4].mean() > 128) << b for b in range(BITS)) for y in lumas]


def clicks(path: Path) -> NDArray[np.int64]:
    """Return the samples at which clicks begin."""
    with av.open(str(path)) as container:
        wave = np.concatenate([np.abs(block.to_ndarray().reshape(-1)) for block in container.decode(audio=0)])
    loud = np.flatnonzero(wave > 0.2)
    return loud[np.diff(loud, prepend=-10_000) > 500]


@pytest.mark.parametrize("split", [{"record_split_minutes": 1.2 / 60}, {"record_split_megabytes": 1}])
def test_nothing_is_lost_at_the_seam(tmp_path: Path, split: dict[str, float]) -> None:
    count = 150
    with recording(tmp_path / "out.mp4", **split) as recorder:
        feed(recorder, count)
        wait_for(
            lambda: recorder.state.figures.get("seconds", 0) * 25 == pytest.approx(count), PATIENCE_S, "all written"
        )
        figures = recorder.state.figures
    names = ["out.mp4", *(f"out-{n}.mp4" for n in range(2, 20))]
    parts = [tmp_path / name for name in names if (tmp_path / name).exists()]
    assert len(parts) >= 2 and len(parts) == figures["parts"] == len(list(tmp_path.iterdir()))
    shown = [ticks_shown(part) for part in parts]
    assert [tick for part in shown for tick in part] == list(range(FIRST, FIRST + count))
    if "record_split_minutes" in split:
        assert {len(part) for part in shown[:-1]} == {30}
    begins = []
    for part, ticks in zip(parts, shown, strict=True):
        heard = clicks(part)
        assert len(heard) == len(ticks), f"{part.name}: a click for each frame"
        assert np.abs(np.diff(heard) - 1920).max() <= 4
        begins.append(heard[0])
    assert max(begins) - min(begins) <= 4, "each part's sound begins with its first frame"


def test_what_had_come_when_it_was_ended_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = 20
    noise = np.zeros((HEIGHT * 3 // 2, WIDTH), np.uint8)
    with recording(tmp_path / "out.mp4") as recorder:
        recorder.outlet.put(make_frame(FIRST, noise))
        wait_for(lambda: recorder.state.state == "live", PATIENCE_S, "a frame is written")
        taken, drain = threading.Event(), recorder.outlet.drain

        def held(timeout: float) -> list[ProgramFrame | ProgramSound]:
            taken.wait(PATIENCE_S)
            return drain(timeout)

        monkeypatch.setattr(recorder.outlet, "drain", held)
        for tick in range(FIRST, FIRST + count):
            recorder.outlet.put(sound(tick))
            recorder.outlet.put(make_frame(tick, noise))
        recorder.want("")
        taken.set()
        wait_for(lambda: recorder.state.state == "off", PATIENCE_S, "it is off")
    assert ticks_shown(tmp_path / "out.mp4")[-1] == FIRST + count - 1
    assert len(clicks(tmp_path / "out.mp4")) >= count - 1


def test_without_a_limit_there_is_one_part(tmp_path: Path) -> None:
    with recording(tmp_path / "out.mp4") as recorder:
        feed(recorder, 60)
        wait_for(lambda: recorder.state.figures.get("seconds", 0) * 25 == pytest.approx(60), PATIENCE_S, "all written")
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    assert recorder.state.state == "live" and recorder.state.since > 0


def test_a_recorder_that_is_off_holds_nothing(tmp_path: Path) -> None:
    recorder = Recorder(Settings(), EventLog())
    recorder.outlet.put(sound(FIRST))
    assert recorder.outlet.drain(0) == []
