"""Our side of PersonaLive's comparison.

The loop in its parts, on the same input as the original's, and a whole session as it runs for users.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import diffusers
import numpy as np
import torch
from diffusers import AutoencoderTiny
from numpy.typing import NDArray

from benchmarks.engines.personalive_size import (
    CHUNK_FRAMES,
    FaintNoise,
    NetworkSize,
    SizedStandIn,
    clip,
    driver,
    portrait,
    stock_vae,
)
from engines.api import Driving
from engines.liveportrait.networks.motion_extractor import MotionExtractor
from engines.personalive.engine import PersonaLiveEngine
from engines.personalive.image_tensor import bytes_of, tensor_of
from engines.personalive.networks.motion_encoder import MotionEncoder
from engines.personalive.networks.networks import PersonaLiveNetworks
from engines.personalive.networks.pose_guider import PoseGuider
from engines.personalive.networks.unet import DenoisingUNet, ReferenceUNet
from engines.personalive.options import PersonaLiveOptions
from engines.personalive.portrait import read_portrait
from engines.personalive.quality import Rung
from engines.personalive.session import PersonaLiveSession
from engines.personalive.streams import begin_fetch, send
from engines.personalive.transfer import Transfer
from engines.personalive.window import DenoisingWindow
from harness.by_rule import by_rule, calmed, place_key_points
from harness.sample_avatar import sample_avatar
from harness.stopwatch import Stopwatch
from services.generator.engine_thread import EngineThread
from services.generator.session_opener import OpenedSession, PlateClock
from shared.runtime.clock import US, now

SEED = 1


def networks(size: NetworkSize, device: torch.device, dtype: torch.dtype) -> PersonaLiveNetworks:
    """All networks, with weights by rule.

    Do not call it in inference mode: threads fill the networks, and they do not inherit the caller's mode.
    """
    diffusers.utils.logging.set_verbosity_error()  # its warnings have no cause
    small = size.vae["block_out_channels"][:1] * 4 if size.name == "tiny" else (64,) * 4
    made = PersonaLiveNetworks(
        reference=by_rule(ReferenceUNet(**size.unet), "reference"),
        denoising=calmed(by_rule(DenoisingUNet(**size.unet), "denoising")),
        extract=place_key_points(
            by_rule(MotionExtractor(depths=size.extractor[0], widths=size.extractor[1]), "extractor")
        ),
        encode=by_rule(MotionEncoder() if size.encoder else SizedStandIn(), "encoder"),
        guide=by_rule(PoseGuider(size.unet["block_out_channels"][0], size.guider), "guider"),
        vae=by_rule(stock_vae(size), "vae"),
        clip=by_rule(clip(size), "clip"),
        small_vae=by_rule(
            AutoencoderTiny(encoder_block_out_channels=small, decoder_block_out_channels=small), "small vae"
        ),
    )
    for network in made.all():
        network.to(device, torch.float32 if network is made.extract else dtype)
        network.eval().requires_grad_(False)
    return made


@dataclass(frozen=True, slots=True)
class Recording:
    """Output of the first chunks of a driver, for comparison.

    latents: (chunks, 4, 4, h, w) float32. frames: (chunks * 4, s, s, 3) uint8.
    """

    latents: NDArray[np.float32]
    frames: NDArray[np.uint8]


class NetworkLoop:
    """Portrait, transfer, window and decoder, one after the other, with time marks between them."""

    def __init__(
        self, nets: PersonaLiveNetworks, size: NetworkSize, small_vae: bool, noise: Callable[..., Any] | None = None
    ) -> None:
        self._nets, self._size, self._small = nets, size, small_vae
        self._calls = 0
        self._watch = Stopwatch(nets.device)
        self._read = read_portrait(nets, portrait(size), size.frames)
        self._window = DenoisingWindow(nets.reference, nets.denoising, self._read, noise or self._noise)
        self._transfer = Transfer(nets.extract, nets.encode, nets.guide, self._read.image)

    def call(self) -> tuple[torch.Tensor, NDArray[np.uint8]]:
        """Compute the next chunk, from frames on the CPU to frames on the CPU; return its latents and frames."""
        frames = driver(self._size, self._calls)
        self._watch.mark()
        poses, motions = self._transfer.pose_and_motion(tensor_of(send(torch.from_numpy(frames), self._nets.device)))
        rest = None if self._calls else self._transfer.rest
        self._watch.mark()
        clean = self._window.next_chunk(poses, motions, rest)
        self._watch.mark()
        decoded = self._nets.decode(clean, self._small)
        self._watch.mark()
        made = begin_fetch(bytes_of(decoded))().numpy()
        self._watch.mark()
        self._calls += 1
        return clean, made

    def laps(self, calls: int) -> list[list[float]]:
        """Make `calls` calls and return the milliseconds of the parts of each."""
        rows = []
        self._watch.laps()
        for _ in range(calls):
            self.call()
            rows.append(self._watch.laps())
        return rows

    def keep(self, keyframes: int) -> None:
        """Add `keyframes` keyframes to the window."""
        for _ in range(keyframes):
            self._window.add_keyframe(self._read.latent)

    def _noise(self, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.randn(shape).to(self._nets.device, self._nets.dtype)


def record_chunks(nets: PersonaLiveNetworks, size: NetworkSize, small_vae: bool, calls: int) -> Recording:
    """Record the first `calls` chunks, with faint noise."""
    loop = NetworkLoop(nets, size, small_vae, FaintNoise(nets.device, nets.dtype))
    made = [loop.call() for _ in range(calls)]
    latents = np.stack([clean.float().cpu().numpy() for clean, _ in made])
    return Recording(latents, np.concatenate([frames for _, frames in made]))


def relative_difference(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Root mean square of the difference, as a fraction of the other's."""
    a, b = one.astype(np.float64), other.astype(np.float64)
    return float(np.sqrt(((a - b) ** 2).mean() / max((b**2).mean(), 1e-30)))


class DrivenSession:
    """A session as it runs for users, with its own endless driver."""

    def __init__(self, nets: PersonaLiveNetworks, size: NetworkSize, small_vae: bool) -> None:
        """Open the session. first_frame_s: from the networks on the device to the first frame of the driver."""
        self._device, self._avatar = nets.device, sample_avatar()
        self._number = 0
        synchronise(self._device)
        began = time.perf_counter()
        rung = Rung(size.name, size.name, size.frames, small_vae, 1)
        self.session = PersonaLiveSession(self._avatar, nets, PersonaLiveOptions(quality="full", seed=SEED), rung)
        while not self.session.step(self._next(self._number * US // 25)):
            pass
        self.first_frame_s = time.perf_counter() - began

    def calls(self, count: int) -> tuple[float, float]:
        """Make `count` overlapping calls; return the seconds of one by the clock, and in processor time.

        Each call begins before the frames of the previous one are ready, as in a live channel.
        """
        synchronise(self._device)
        began, worked = time.perf_counter(), time.process_time()
        wait: Callable[[], object] | None = None
        for _ in range(count * CHUNK_FRAMES):
            begun = self.session.begin(self._next(self._number * US // 25))
            if begun is not None:
                if wait is not None:
                    wait()
                wait = begun
        if wait is not None:
            wait()
        synchronise(self._device)
        return (time.perf_counter() - began) / count, (time.process_time() - worked) / count

    def delay(self, interval_s: float, batches: int) -> dict[str, Any]:
        """Measure the delay from a driver frame to its output at this pace, as the generator measures it live.

        The figures include the bound that the delay cannot go below.
        """
        interval = int(interval_s * US)
        batch = EngineThread(
            OpenedSession(PersonaLiveEngine(), self._avatar, self.session, PlateClock(self._avatar.plate)),
            lambda: None,
            away=60 * US,
        )
        begin = now()
        try:
            for number in range(batches * CHUNK_FRAMES):
                while (left := begin + number * interval - now()) > 0:
                    time.sleep(min(left, 1000) / US)
                    batch.due_frame(now())
                batch.offer(self._next(now()), {}, restarted=number == 0)
                if batch.failure is not None:
                    raise batch.failure
            facts: Any = batch.as_dict().get("delay", {})
            return dict(facts) | dict(batch.counted())
        finally:
            batch.close()

    def _next(self, pts: int) -> Driving:
        self._number += 1
        frame = np.roll(self._avatar.roi, (2 * self._number, self._number), (0, 1))
        return Driving(pts, self._avatar.face, self._avatar.face, frame)


def synchronise(device: torch.device) -> None:
    """Wait for what a GPU is doing."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
