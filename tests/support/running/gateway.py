"""A channel whose other services are simulated: real publishers send what they would to a real gateway process."""

import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import zmq
from numpy.typing import NDArray

from compositing.label import draw_label
from engines.options import options_schema
from harness.channel import PATIENCE_S, wait_for
from services.gateway.preview.encoder import encode_jpeg
from services.local.samples import sample_driver
from shared.avatar.plate import save_index
from shared.config.settings import Settings
from shared.config.token import operator_token
from shared.media.colour import crop, planes, rgb_to_i420
from shared.media.driver_view import driver_view
from shared.runtime.clock import now, sound_samples, tick_after, tick_pts
from shared.scene import Scene
from shared.wire.bus import Publisher, Reader, endpoint
from shared.wire.pulse import Meter
from tests.support.engines.slow_engines import LadderOptions

ROOT = Path(__file__).parents[3]
WIDTH, HEIGHT = 480, 640
FACE = (160, 120, 160, 176)
PLATES = 4
CERTIFICATES = httpx.create_ssl_context()  # read once, which takes as long as fifty requests
REPEATED = 25  # last frames of one plate frame that may have been repeated: four seconds


def make_avatar(home: Path, name: str, image: NDArray[np.uint8], frames: int = PLATES) -> list[NDArray[np.uint8]]:
    """Make an avatar's folder as the gateway needs it; its plate moves a little. Returns the plate as limited I420."""
    folder = home / "avatars" / name
    folder.mkdir(parents=True)
    jpegs, plates = [], []
    for index in range(frames):
        moved = np.roll(image, 2 * index, axis=1)
        i420 = rgb_to_i420(moved)
        jpegs.append(encode_jpeg(i420, 92))
        plates.append(i420)
    (folder / "plate.mjpg").write_bytes(b"".join(jpegs))
    eye = np.tile(np.eye(2, 3), (frames, 1, 1))
    ones = np.ones((frames, 3), np.float32)
    height, width = image.shape[:2]
    sizes = [len(jpeg) for jpeg in jpegs]
    save_index(folder, width=width, height=height, fps=25, sizes=sizes, placements=eye, gains=ones, offsets=ones)
    thumb = cv2.resize(image, (192, 256), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(folder / "thumb.jpg"), thumb[..., ::-1])
    (folder / "avatar.json").write_text(
        json.dumps(
            {
                "schema": 1,
                "name": name,
                "rights": "test",
                "own_plate": True,
                "rest": [0, 0],
                "plate": {"kind": "portrait"},
            }
        ),
        encoding="utf-8",
    )
    return plates


def image(width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """An RGB image with the fine detail that cloth and hair have."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    rgb = np.stack([90 + 60 * np.sin(x / 40), 110 + 50 * np.cos(y / 55), 120 + 40 * np.sin((x + y) / 70)], axis=2)
    grain = cv2.GaussianBlur(np.random.default_rng(1).normal(0, 40, (height, width, 1)).astype(np.float32), (0, 0), 1.2)
    return np.asarray((rgb + grain[..., None]).clip(0, 255), np.uint8)


@dataclass(frozen=True, slots=True)
class SentFrame:
    """The program frame of a tick: the plate and, if there is a face, a ball that moves in it.

    label: whether the outputs draw the label on it.
    """

    tick: int
    plates: list[NDArray[np.uint8]]
    face: tuple[int, int, int, int]
    state: str
    label: bool

    @property
    def plate(self) -> int:
        return self.tick % len(self.plates)

    def compose(self) -> NDArray[np.uint8]:
        """Compose the frame as the compositor sends it: I420 without the label."""
        program = self.plates[self.plate].copy()
        x, y, w, h = self.face
        if self.state != "plate":
            luma = planes(program)[0]
            ball = np.zeros((h, w), np.float32)
            at = (int(w / 2 + w / 4 * math.sin(self.tick / 5)), h // 2)
            cv2.circle(ball, at, min(w, h) // 6, (1.0,), -1)
            ball = np.asarray(cv2.GaussianBlur(ball, (0, 0), 3), np.float32)
            ball[[0, -1]] = ball[:, [0, -1]] = 0
            part = luma[y : y + h, x : x + w]
            part[:] = (part + ball * (210 - part)).astype(np.uint8)
        return program

    def shown(self) -> NDArray[np.uint8]:
        """Compose the frame as an output shows it."""
        program = self.compose()
        if self.label:
            draw_label(program)
        return program


class GatewayChannel:
    """Simulates capture, generator and compositor; `stop` and `start` act as a kill and a restart of the compositor."""

    def __init__(self, settings: Settings, plates: list[NDArray[np.uint8]], avatar: str) -> None:
        self.settings, self.plates, self.avatar = settings, plates, avatar
        self.state = "live"
        self.face = FACE
        self.late = 0  # microseconds more between driver and program
        self.sent: dict[int, SentFrame] = {}  # by tick
        self.scene: Scene | None = None
        self.meters = {name: Meter(name) for name in ("capture", "generator", "compositor")}
        self.meters["generator"].facts = {
            "engines": {
                "mesh": {
                    "title": "Mesh warp",
                    "inputs": ["motion", "voice"],
                    "modes": ["live", "offline"],
                    "needs_image": True,
                    "unavailable": "",
                },
                "ladder": {
                    "title": "Ladder",
                    "options": options_schema(LadderOptions()),
                    "unavailable": "",
                },
                "verbose": {
                    "title": "Verbose",
                    "options": {"properties": {"prompt": {"type": "string", "default": ""}}},
                    "unavailable": "",
                },
                "live-portrait": {
                    "title": "LivePortrait",
                    "terms": "Weights for research only.",
                    "unavailable": "Weights are missing: studio weights pull live-portrait.",
                },
            }
        }
        self.meters["generator"].facts |= {"quality": {"name": "half", "title": "256 pixels"}, "needs_image": False}
        self.meters["capture"].facts = {"cameras": [0], "present": True}
        self._stop: threading.Event | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(self._stop,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if self._stop and self._thread:
            self._stop.set()
            self._thread.join()

    def shown(self, tick: int, plate: int, captured: float) -> list[NDArray[np.uint8]]:
        """Return the frames that a viewer may see in this tick: its own or, if the gateway repeated one, those before.

        plate, captured: from the preview's header; captured is 0 for a repeated frame, and without a driver.
        """
        if captured:
            return [self.sent[tick].shown()]
        before = [each for each in list(self.sent.values()) if each.tick <= tick and each.plate == plate]
        return [each.shown() for each in before[-REPEATED:]]

    @property
    def label(self) -> tuple[int, int, int, int]:
        box = draw_label(self.plates[0].copy())
        assert box
        return box

    def _send_driver(self, driving: Publisher, pts: int, rgb: NDArray[np.uint8]) -> None:
        """Send as much of the driver's image as the scene asks for."""
        facts = {"present": True, "pose": [0.0, 0.0, 0.0]}
        wanted = self.scene.driver_image if self.scene else "whole"
        if wanted == "whole":
            driving.send(pts, rgb, "rgb24", facts=facts)
        elif wanted == "small":
            driving.send(pts, np.frombuffer(driver_view(rgb), np.uint8), "bytes", facts=facts)
        else:
            driving.send(pts, facts=facts)

    def _run(self, stop: threading.Event) -> None:
        context: zmq.Context[Any] = zmq.Context()
        run_dir, channel, rate = self.settings.run_dir, self.settings.channel, self.settings.rate
        program, sound, driving = (
            Publisher(context, endpoint(run_dir, name), name, channel) for name in ("program", "sound", "driving")
        )
        pulses = {
            name: Publisher(context, endpoint(run_dir, "pulse"), "pulse", channel, bind=False) for name in self.meters
        }
        scenes = Reader(context, endpoint(run_dir, "scene"), "scene", channel)
        tick, pulsed = tick_after(now(), rate), 0
        while not stop.wait(max(0.0, (tick_pts(tick, rate) - now()) / 1e6)):
            for message in scenes.read():
                self.scene = Scene.from_dict(message.facts)
                for meter in self.meters.values():
                    if meter.scene != self.scene.revision:
                        meter.scene, pulsed = self.scene.revision, 0
            pts = tick_pts(tick, rate)
            frame = SentFrame(tick, self.plates, self.face, self.state, self.scene is None or self.scene.label)
            self.sent[tick] = frame
            made = frame.compose()
            captured = now() - 9_000 - self.late
            facts = {
                "tick": tick, "avatar": self.avatar, "plate": frame.plate, "state": frame.state,
                "box": list(frame.face) if frame.state != "plate" else [], "label": frame.label,
                "captured": captured if frame.state == "live" else 0,
            }  # fmt: skip
            program.send(pts, made, "i420", facts=facts, stamps={"composed": now()})
            first, end = sound_samples(tick, rate, 48_000)
            wave = np.sin(np.arange(first, end) * 2 * math.pi * 440 / 48_000) * 6000
            sound.send(pts, wave.astype(np.int16), "s16", facts={"tick": tick})
            if tick % 2 == 0:
                x, y, w, h = self.face
                rgb = np.asarray(cv2.cvtColor(crop(made, x, y, w, h), cv2.COLOR_YUV2RGB_I420), np.uint8)
                self._send_driver(driving, pts, rgb)
            for meter in self.meters.values():
                meter.frame(now(), captured)
                meter.state = self.state
            if now() - pulsed > 500_000:
                pulsed = now()
                for name, meter in self.meters.items():
                    pulses[name].send(pulsed, facts=meter.pulse(pulsed).as_dict())
            tick += 1
        scenes.close()
        for publisher in (program, sound, driving, *pulses.values()):
            publisher.close()
        context.term()


class GatewayStudio:
    """A gateway process with its channel and clients. http: client with the operator's token. stranger: without."""

    def __init__(self, settings: Settings, channel: GatewayChannel) -> None:
        self.settings, self.channel = settings, channel
        self.token = operator_token(settings.home)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.headers = {"Authorization": f"Bearer {self.token}"}
        base = f"http://{self.address}/api/v1"
        self.http = httpx.Client(base_url=base, headers=self.headers, timeout=PATIENCE_S, verify=CERTIFICATES)
        self.stranger = httpx.Client(base_url=base, timeout=PATIENCE_S, verify=CERTIFICATES)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the gateway on the socket that stays open here, as the supervisor does."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("STUDIO_")}
        fd = self._listener.fileno()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "services.gateway", "--fd", str(fd)],
            cwd=ROOT, env=environment | self.settings.environment(), pass_fds=[fd],
        )  # fmt: skip
        self.wait(lambda: self.state()["on_air_state"] in ("ON AIR", "IDLE", "OFF"))

    def state(self) -> dict[str, Any]:
        answer = self.http.get(f"/channels/{self.settings.channel}")
        answer.raise_for_status()
        return dict(answer.json())

    def patch(self, **changes: Any) -> httpx.Response:
        return self.http.patch(f"/channels/{self.settings.channel}/scene", json=changes)

    def wait(self, true: Callable[[], Any]) -> Any:
        """Call `true` until its result is true, and return that; a gateway that does not answer yet is asked again."""

        def asked() -> Any:
            try:
                return true()
            except httpx.TransportError:
                return None

        return wait_for(asked, PATIENCE_S, every=0.05)

    def on_air(self) -> None:
        """Wait until the channel is on air; after a stall of the machine it recovers first."""
        self.wait(lambda: self.state()["on_air_state"] == "ON AIR")

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()

    def terminate(self) -> int:
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def close(self) -> None:
        try:
            if self.process and self.process.poll() is None:
                self.terminate()
        finally:
            self.channel.stop()
            self.http.close()
            self.stranger.close()
            self._listener.close()


@contextmanager
def studio(folder: Path, rgb: NDArray[np.uint8] | None = None, **changes: Any) -> Iterator[GatewayStudio]:
    """Run a studio on air in a folder, whose path must be short."""
    home = folder / "home"
    made = image() if rgb is None else rgb
    plates = make_avatar(home, "sample", made)
    make_avatar(home, "mona", np.ascontiguousarray(made[:, ::-1]))
    sample_driver(home).parent.mkdir()
    sample_driver(home).touch()
    settings = Settings(home=home, run_root=folder / "run", log_level="warning", port=0, **changes)
    settings.run_dir.mkdir(parents=True)
    channel = GatewayChannel(settings, plates, "sample")
    running = GatewayStudio(settings, channel)
    channel.start()
    try:
        running.start()
        yield running
    finally:
        running.close()
