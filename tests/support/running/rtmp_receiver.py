"""A real RTMP receiver: FFmpeg's own server in a separate process, which decodes the stream and reports what it has.

`python -m tests.support.running.rtmp_receiver PORT`: takes one stream, prints one JSON object for every RECEIVE_S
seconds of it: {"period", "width", "height", "moved", "corner", "hz", "apart"}; period: the least time from one frame to
the next, in seconds of the stream; corner: luma of CORNER_PX at the bottom left.
"""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from queue import Queue
from typing import Any

import av
import numpy as np

from harness.channel import PATIENCE_S

RECEIVE_S = 1.0
CORNER_PX = 40, 140  # height and width; the label is inside
KEY = "s3cr3t-stream-key"


class Receiver:
    """The receiver's process, and its reports."""

    def __init__(self, port: int) -> None:
        self.said: Queue[dict[str, Any]] = Queue()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.running.rtmp_receiver", str(port)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.said.put(json.loads(line))

    def next(self) -> dict[str, Any]:
        """Return the report of the next RECEIVE_S seconds of the stream."""
        return self.said.get(timeout=PATIENCE_S)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._thread.join()
        assert self.process.stdout
        self.process.stdout.close()


@contextmanager
def receiver(port: int) -> Iterator[Receiver]:
    made = Receiver(port)
    try:
        yield made
    finally:
        made.close()


def hertz(wave: np.ndarray, rate: int) -> float:
    """Return the strongest frequency, in Hz."""
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    return float(spectrum.argmax() * rate / len(wave))


def main() -> None:
    port = sys.argv[1]
    with av.open(f"rtmp://127.0.0.1:{port}/live/{KEY}", "r", options={"listen": "1"}) as stream:
        frames: list[Any] = []
        blocks: list[Any] = []
        for frame in stream.decode(video=0, audio=0):
            if isinstance(frame, av.VideoFrame):
                frames.append(frame)
            else:
                blocks.append(frame)
            if len(frames) > 2 and len(blocks) > 2 and frames[-1].time - frames[0].time >= RECEIVE_S:
                luma = np.stack([pixels.to_ndarray(format="gray").astype(np.float32) for pixels in frames])
                wave = np.concatenate([block.to_ndarray().reshape(-1) for block in blocks])
                row = {
                    "period": min(later.time - frame.time for frame, later in pairwise(frames)),
                    "width": luma.shape[2], "height": luma.shape[1],
                    "moved": float(luma.std(axis=0).max()),
                    "corner": luma[-1][-CORNER_PX[0] :, : CORNER_PX[1]].round().tolist(),
                    "hz": hertz(wave, blocks[0].sample_rate),
                    "apart": abs(frames[-1].time - blocks[-1].time),
                }  # fmt: skip
                print(json.dumps(row), flush=True)
                frames, blocks = [], []


if __name__ == "__main__":
    main()


@contextmanager
def black_hole() -> Iterator[tuple[int, list[socket.socket]]]:
    """Run a server that accepts connections and then neither reads nor answers; yields its port and the connections."""
    listener = socket.create_server(("127.0.0.1", 0))
    came: list[socket.socket] = []

    def accept() -> None:
        try:
            while True:
                came.append(listener.accept()[0])
        except OSError:
            return

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield listener.getsockname()[1], came
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for connection in came:
            connection.close()
