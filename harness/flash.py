"""A test program for synchronisation: a flash and a beep once a second, sent through a real gateway.

Flash and beep begin with the same tick, so the time between them at a viewer is the error added on the way. A moving
bar makes every frame different; fine grain gives the encoder as much work as cloth and hair.
"""

import math
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import zmq
from numpy.typing import NDArray

from harness.channel import PATIENCE_S
from services.local.channel_supervisor import PRIORITY
from shared.config.child_environment import child_environment
from shared.config.settings import Settings
from shared.config.token import operator_token
from shared.runtime.clock import SOUND_RATE_HZ, US, now, sound_samples, tick_after, tick_pts
from shared.wire.bus import Publisher, endpoint
from shared.wire.pulse import Meter

FLASH_S = 0.2
BEEP_HZ = 1000
BRIGHT, DARK = 225, 60
# Standard deviation of the luma, as from a camera in good light. With 6, a 1080p frame does not fit the bit rate: the
# flash then takes 200 ms to send, and the receiver needs half a minute to align the sound with it.
GRAIN = 2.0


class FlashProgram(threading.Thread):
    """Thread that sends "program" and "sound" like a compositor. `size` and `muted` may be changed while it runs."""

    def __init__(self, settings: Settings, size: tuple[int, int]) -> None:
        super().__init__(daemon=True)
        self.settings, self.size = settings, size
        self.muted = False
        self._stop_asked = threading.Event()

    def stop(self) -> None:
        """Stop the thread and wait for it."""
        self._stop_asked.set()
        self.join()

    def run(self) -> None:
        """Send the program until `stop`."""
        context: zmq.Context[Any] = zmq.Context()
        run_dir, channel, rate = self.settings.run_dir, self.settings.channel, self.settings.rate
        program, sound = (Publisher(context, endpoint(run_dir, name), name, channel) for name in ("program", "sound"))
        pulse = Publisher(context, endpoint(run_dir, "pulse"), "pulse", channel, bind=False)
        meter, pulsed = Meter("compositor"), 0
        tick = tick_after(now(), rate)
        frames = FlashFrames(self.size)
        while not self._stop_asked.wait(max(0.0, (tick_pts(tick, rate) - now()) / US)):
            if frames.size != self.size:
                frames = FlashFrames(self.size)
            pts = tick_pts(tick, rate)
            facts = {
                "tick": tick, "avatar": "flash", "plate": 0, "state": "live", "box": [], "label": False,
                "captured": pts,
            }  # fmt: skip
            sound.send(pts, beep(tick, rate, self.muted), "s16", facts={"tick": tick})
            program.send(pts, frames.frame_at(tick, rate), "i420", facts=facts, stamps={"composed": now()})
            meter.frame(now(), pts)
            meter.state = "live"
            if pts - pulsed > US // 2:
                pulsed = pts
                pulse.send(pts, facts=meter.pulse(pts).as_dict())
            tick += 1
        for publisher in (program, sound, pulse):
            publisher.close()
        context.term()


class FlashFrames:
    """Dark and bright frames with a moving bar, in a ring of buffers because the bus sends frames without a copy."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = width, height = size
        grain = np.random.default_rng(1).normal(0, GRAIN, (height, width))
        self._grounds = []
        for luma in (DARK, BRIGHT):
            ground = np.full((height * 3 // 2, width), 128, np.uint8)
            ground[:height] = (luma + grain).clip(16, 235)
            self._grounds.append(ground)
        self._ring = [np.empty_like(self._grounds[0]) for _ in range(8)]

    def frame_at(self, tick: int, rate: Fraction) -> NDArray[np.uint8]:
        """Return the frame of a tick, (H * 3 / 2, W) I420. Its buffer is reused after eight ticks."""
        width, height = self.size
        made = self._ring[tick % len(self._ring)]
        np.copyto(made, self._grounds[flashing(tick, rate)])
        at = tick * 8 % (width - 32)
        made[height * 7 // 8 : height, at : at + 32] = 150
        return made


def flashing(tick: int, rate: Fraction) -> bool:
    """Whether the tick's frame is bright: the first FLASH_S of each second."""
    return tick % round(rate) < round(FLASH_S * rate)


def beep(tick: int, rate: Fraction, muted: bool = False) -> NDArray[np.int16]:
    """Return (n,) int16 of the tick's sound: a tone while the frame is bright, otherwise silence."""
    first, end = sound_samples(tick, rate, SOUND_RATE_HZ)
    if muted or not flashing(tick, rate):
        return np.zeros(end - first, np.int16)
    wave = np.sin(np.arange(first, end) * 2 * math.pi * BEEP_HZ / SOUND_RATE_HZ) * 12_000
    return np.asarray(wave, np.int16)


class FlashGateway:
    """A gateway process that receives the flash program, and a client of its API."""

    def __init__(self, folder: Path, size: tuple[int, int], **changes: Any) -> None:
        self.settings = Settings(home=folder / "home", run_root=folder / "run", log_level="warning", port=0, **changes)
        self.settings.run_dir.mkdir(parents=True)
        self.token = operator_token(self.settings.home)
        self.program = FlashProgram(self.settings, size)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        headers = {"Authorization": f"Bearer {self.token}"}
        self.http = httpx2.Client(
            base_url=f"http://{self.address}/api/v1", headers=headers, timeout=PATIENCE_S, trust_env=False
        )
        self.log = folder / "gateway.log"
        self.process = self._start()
        self.program.start()
        self.wait(lambda: self.state()["on_air_state"] == "ON AIR")

    def state(self) -> dict[str, Any]:
        """Return the channel's state."""
        return dict(self.http.get(f"/channels/{self.settings.channel}").raise_for_status().json())

    def livekit(self) -> dict[str, Any]:
        """Return the state of the LiveKit output."""
        return dict(self.state()["outputs"]["livekit"])

    def patch(self, **changes: Any) -> httpx2.Response:
        """Change the scene's fields to these values and return the API's response."""
        return self.http.patch(f"/channels/{self.settings.channel}/scene", json=changes)

    def post(self, path: str, body: Any = None) -> httpx2.Response:
        """Send a POST request to a path below the channel."""
        return self.http.post(f"/channels/{self.settings.channel}/{path}", json=body)

    def wait(self, true: Callable[[], Any]) -> Any:
        """Poll `true` and return its first true value; HTTP errors count as not yet. AssertionError on timeout."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                if value := true():
                    return value
            except httpx2.HTTPError:
                pass
            time.sleep(0.1)
        raise AssertionError(
            f"it did not become true within {PATIENCE_S} s; {self.log.read_text(encoding='utf-8')[-2000:]}"
        )

    def cpu(self) -> float:
        """Return the seconds of processor time that the gateway has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """Stop the gateway and the program."""
        self.process.terminate()
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.program.stop()
        self.http.close()
        self._listener.close()

    def _start(self) -> subprocess.Popen[bytes]:
        fd = self._listener.fileno()
        with self.log.open("ab") as file:
            return subprocess.Popen(
                [sys.executable, "-m", "services.gateway", "--fd", str(fd)],
                env=child_environment(self.settings, secrets=True), pass_fds=[fd], stdout=file, stderr=file,
            )  # fmt: skip


def preferred() -> None:
    """Raise the priority of this process and its future children to that of the supervisor's services.

    In a test, viewers share this machine's processor with the studio. At normal priority the measurement would include
    the time that they wait for it.
    """
    try:
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
    except OSError:
        pass  # not permitted: the figures then hold only on an otherwise idle machine


@contextmanager
def flash_gateway(size: tuple[int, int], **changes: Any) -> Iterator[FlashGateway]:
    """Run a gateway on air with the flash program, in a temporary folder whose path is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="studio-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        running = FlashGateway(Path(folder), size, **changes)
        try:
            yield running
        finally:
            running.close()
