"""Sound and frames of the program agree: what the driver does at one time is seen and heard at one time."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from harness.channel import studio, wait_for
from shared.media.reader import Mp4Writer
from shared.runtime.clock import SOUND_RATE_HZ, US
from shared.wire.bus import Reader
from shared.wire.message import Message
from tests.support.running.channel_looks import ENDS_S, next_messages

SECONDS, FPS = 6, 25
LOUD = 8000
CLICKS = 5  # clicks that are heard in a look
TOGETHER_US = 40_000  # greatest difference between sight and sound


def film(path: Path, source: Path) -> None:
    """Write a video of a face, with a click every half second."""
    clicks = np.zeros(SECONDS * SOUND_RATE_HZ, np.int16)
    clicks[SOUND_RATE_HZ // 4 :: SOUND_RATE_HZ // 2] = 30_000
    with av.open(str(source)) as container:
        frames = [np.asarray(f.to_ndarray(format="yuv420p"), np.uint8) for f in container.decode(video=0)]
    height, width = frames[0].shape[0] * 2 // 3, frames[0].shape[1]
    with Mp4Writer(path, width, height, Fraction(FPS), sound=True) as writer:
        for number in range(SECONDS * FPS):
            writer.frame(frames[number], index=number)
        writer.sound(clicks, 0)


def clicks_in(messages: list[Message]) -> list[float]:
    """Return the time of the loudest sample of each click, in microseconds on the channel clock."""
    times: list[float] = []
    for message in messages:
        if len(message.array) and np.abs(message.array).max() > LOUD:
            at = message.pts + int(np.abs(message.array).argmax()) * US / SOUND_RATE_HZ
            if not times or at - times[-1] > US / 10:
                times.append(at)
    return times


def drained(reader: Reader, into: list[Message]) -> None:
    into.extend(Message(m.stream, "", 0, 0, 0, m.pts, "s16", m.array.copy(), {}, m.facts) for m in reader.read())


def test_what_happens_together_is_seen_and_heard_together(live_home: Path, run_root: Path, tmp_path: Path) -> None:
    film(tmp_path / "clicks.mp4", live_home / "drivers" / "sample.mp4")
    with studio(live_home, run_root, "--port", "0", "--driver", str(tmp_path / "clicks.mp4")) as run:
        run.on_air()
        voice, sound = run.read("voice"), run.read("sound")
        said: list[Message] = []
        heard: list[Message] = []

        def together() -> bool:
            """Return whether sight and sound agree for a while; a busy machine may show a face late now and then."""
            heard.clear()
            while len(clicks_in(heard)) < CLICKS:
                frames = next_messages(run, "program", FPS, lambda message: message.facts["captured"])
                drained(voice, said)
                drained(sound, heard)
            behind = float(np.median([m.pts - m.facts["captured"] for m in frames if m.facts["captured"]]))
            offsets = offsets_of(np.array(clicks_in(said)), clicks_in(heard), behind)
            print("sound after video, microseconds:", offsets)
            return len(offsets) >= CLICKS - 1 and bool(np.abs(np.median(offsets)) <= TOGETHER_US)

        wait_for(together, ENDS_S, "in sync", every=0)
        run.end()


def offsets_of(said: NDArray[np.float64], heard: list[float], behind: float) -> list[float]:
    """Return by how many microseconds each click is heard later than it would be seen."""
    found = []
    for at in heard:
        before = said[said <= at]
        if len(before) and at - before[-1] < US / 2:
            found.append(at - before[-1] - behind)
    return found
