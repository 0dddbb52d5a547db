"""A viewer without a browser: subscribes with LiveKit's SDK and records what it receives, with times.

    python -m harness.viewers.subscriber URL SECONDS [X Y W H] < token      one JSON object on standard output

It runs in a separate process, so that measuring does not slow down the process under test.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypedDict

import numpy as np

from shared.media.array_types import PixelBox
from shared.runtime.clock import SOUND_RATE_HZ

LOUD = 1500  # of int16
MeasuredRow = list[float]


class ReceivedCaption(TypedDict):
    """One received update of a caption.

    at: seconds since the subscriber began to connect. track: whether it names an audio track of the subscriber.
    """

    at: float
    id: str
    text: str
    final: bool
    track: bool


@dataclass(slots=True)
class Received:
    """What a subscriber received. Times are seconds since the subscriber began to connect.

    frames: rows of (time, width, height, mean luma, frame id or -1, age in milliseconds by the capture time in its
    metadata or -1, mean luma of the lower eighth's left half minus that of its right half).
    onsets: times at which sound began after silence. silences: for each loud audio frame, the time at which it last was
    loud. peaks: rows of (time, hertz of the loudest partial, RMS) per quarter second.
    begun: monotonic time in seconds that all times count from.
    box: rows of (time, mean luma inside the requested box).
    captions: transcription updates in order of arrival.
    """

    frames: list[MeasuredRow] = field(default_factory=list)
    onsets: list[float] = field(default_factory=list)
    silences: list[float] = field(default_factory=list)
    peaks: list[MeasuredRow] = field(default_factory=list)
    begun: float = 0.0
    box: list[MeasuredRow] = field(default_factory=list)
    captions: list[ReceivedCaption] = field(default_factory=list)

    def flashes(self, bright: float = 140) -> list[float]:
        """Return the times at which the mean luma rose to `bright`."""
        return [b[0] for a, b in zip(self.frames, self.frames[1:], strict=False) if a[3] < bright <= b[3]]

    def offsets(self) -> list[tuple[float, float]]:
        """Return (time of a flash, milliseconds until its beep) for each flash; positive when the sound is late."""
        found = []
        for flash in self.flashes():
            nearest = min(self.onsets, key=lambda onset: abs(onset - flash), default=None)
            if nearest is not None and abs(nearest - flash) < 0.45:
                found.append((flash, (nearest - flash) * 1000))
        return found


async def receive(url: str, token: str, seconds: float, box: PixelBox | None = None) -> Received:
    """Subscribe to all tracks for some seconds. box: (x, y, w, h) in pixels of the frame whose luma is recorded."""
    got = Received(begun=time.monotonic())
    await receive_until(url, token, got, lambda: asyncio.sleep(got.begun + seconds - time.monotonic()), box)
    return got


async def receive_until(
    url: str, token: str, got: Received, ended: Callable[[], Awaitable[object]], box: PixelBox | None = None
) -> None:
    """Subscribe to all tracks and record into `got` until `ended()`, which is awaited once connected, returns."""
    from livekit import rtc

    begun, tasks, sounds = got.begun, [], set()
    room = rtc.Room()

    def on_track(track: Any, *_: Any) -> None:
        if track.kind == rtc.TrackKind.KIND_VIDEO:
            tasks.append(
                asyncio.create_task(_watch(rtc.VideoStream(track, format=rtc.VideoBufferType.I420), got, begun, box))
            )
        else:
            sounds.add(track.sid)
            stream = rtc.AudioStream(track, sample_rate=SOUND_RATE_HZ, num_channels=1)
            tasks.append(asyncio.create_task(_listen(stream, got, begun)))

    async def read(reader: Any) -> None:
        at, said = time.monotonic() - begun, reader.info.attributes
        final, track = said["lk.transcription_final"] == "true", said["lk.transcribed_track_id"] in sounds
        row: ReceivedCaption = {"at": at, "id": said["lk.segment_id"], "text": "", "final": final, "track": track}
        got.captions.append(row)
        row["text"] = await reader.read_all()

    def on_text(reader: Any, _: str) -> None:
        tasks.append(asyncio.create_task(read(reader)))

    room.register_text_stream_handler("lk.transcription", on_text)
    room.on("track_subscribed", on_track)
    await room.connect(url, token)
    await ended()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await room.disconnect()


async def _watch(stream: Any, got: Received, begun: float, box: PixelBox | None) -> None:
    async for event in stream:
        at, frame = time.monotonic() - begun, event.frame
        width, height = frame.width, frame.height
        whole = np.frombuffer(frame.data, np.uint8, width * height).reshape(height, width)
        luma = whole[::8, ::8]
        foot = luma[luma.shape[0] * 7 // 8 + 1 :]
        half = foot.shape[1] // 2
        stamp = event.metadata
        age = time.time() * 1000 - stamp.user_timestamp / 1000 if stamp and stamp.user_timestamp else -1.0
        number = stamp.frame_id if stamp else -1
        side = float(foot[:, :half].mean() - foot[:, half:].mean())
        if box:
            x, y, w, h = box
            got.box.append([at, float(whole[y : y + h, x : x + w].mean())])
        got.frames.append([at, width, height, float(luma.mean()), number, age, side])


async def _listen(stream: Any, got: Received, begun: float) -> None:
    quiet_since, window = 0.0, []
    async for event in stream:
        samples = np.frombuffer(event.frame.data, np.int16)
        at = time.monotonic() - begun - len(samples) / SOUND_RATE_HZ
        loud = np.abs(samples) > LOUD
        if loud.any():
            if at - quiet_since > 0.1:
                got.onsets.append(at + int(loud.argmax()) / SOUND_RATE_HZ)
            quiet_since = at + (len(samples) - int(loud[::-1].argmax())) / SOUND_RATE_HZ
            got.silences.append(quiet_since)
        window.append(samples)
        if len(window) * len(samples) >= SOUND_RATE_HZ // 4:
            block = np.concatenate(window).astype(np.float64)
            spectrum = np.abs(np.fft.rfft(block * np.hanning(len(block))))
            hertz = float(spectrum.argmax() * SOUND_RATE_HZ / len(block))
            got.peaks.append([at, hertz, float(np.sqrt((block**2).mean()))])
            window = []


def start(url: str, token: str, seconds: float, box: PixelBox | None = None) -> "subprocess.Popen[bytes]":
    """Start a subscriber in a separate process; `finished_subscriber` returns what it received."""
    command = [sys.executable, "-m", "harness.viewers.subscriber", url, str(seconds), *map(str, box or ())]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin
    process.stdin.write(token.encode())
    process.stdin.close()
    return process


def finished_subscriber(process: "subprocess.Popen[bytes]") -> Received:
    """Wait until a subscriber process has ended and return what it received."""
    assert process.stdout
    with process:
        return Received(**json.loads(process.stdout.read()))


if __name__ == "__main__":
    asked = tuple(int(word) for word in sys.argv[3:7])
    looked_at = (asked[0], asked[1], asked[2], asked[3]) if asked else None
    received = asyncio.run(receive(sys.argv[1], sys.stdin.read().strip(), float(sys.argv[2]), looked_at))
    print(json.dumps({name: getattr(received, name) for name in Received.__slots__}))
