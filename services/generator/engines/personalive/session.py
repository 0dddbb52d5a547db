"""The engine opened on one avatar: driving frames in, four at a time; their ROI frames out, twelve later."""

import hashlib
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from services.generator.engine import Driving, RoiFrame, VoiceBlock
from services.generator.engines.personalive.driver import DriverView, Picture
from services.generator.engines.personalive.networks import Networks
from services.generator.engines.personalive.picture import pixels_of, tensor_of
from services.generator.engines.personalive.portrait import Portrait, read_portrait
from services.generator.engines.personalive.quality import Rung, below
from services.generator.engines.personalive.schedule import CHUNK, FILL
from services.generator.engines.personalive.state import State, restored, saved
from services.generator.engines.personalive.transfer import Transfer
from services.generator.engines.personalive.window import Window
from shared.avatar import ROI_SIZE, Avatar
from shared.errors import OutOfMemoryError

PADDING = -1  # pts of a frame that nobody asked for


class SeededNoise:
    """Normal noise, the same for the same seed and number of the draw, on any device."""

    def __init__(self, seed: int, device: torch.device, dtype: torch.dtype) -> None:
        self._seed, self._device, self._dtype = seed, device, dtype
        self.draws = 0

    def __call__(self, shape: tuple[int, ...]) -> Tensor:
        digest = hashlib.sha256(f"{self._seed}/{self.draws}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:4], "little"))  # it heeds no more than 32 bits
        self.draws += 1
        return torch.randn(shape, generator=generator).to(self._device, self._dtype)


class PersonaLiveSession:
    """Carries the window of frames under way. Not thread-safe."""

    rung: Rung
    _portrait: Portrait
    _view: DriverView
    _noise: SeededNoise
    _window: Window
    _transfer: Transfer
    _pending: list[tuple[int, Picture]]  # of the next chunk, with their pts
    _under_way: deque[int]  # pts of the frames in the window
    _count: int  # driving frames since the beginning
    _retaken: int  # which of the pending ones has a new neutral, -1 for none

    def __init__(self, avatar: Avatar, networks: Networks, rung: Rung, seed: int, small: bool = False) -> None:
        """small: decode frame by frame, in a quarter of the memory."""
        self.draws = True
        self.adjusts = False
        self._avatar, self._networks, self._seed, self._small = avatar, networks, seed, small
        self._read(rung)

    def step(self, driving: Driving) -> list[RoiFrame]:
        """Four frames at every fourth, from the sixteenth on. Without a face the last motion is held."""
        self._count += 1
        if self._count % self.rung.every:
            return []
        if self._view.see(driving):
            self._retaken = len(self._pending)
        if self._view.held is None:
            return []
        self._pending.append((driving.pts, self._view.held))
        return self._chunk() if len(self._pending) == CHUNK else []

    def hear(self, block: VoiceBlock) -> list[RoiFrame]:
        """Nothing: no voice drives it."""
        return []

    def idle(self, pts: int) -> list[RoiFrame]:
        """Nothing: the plate idles."""
        return []

    def flush(self) -> list[RoiFrame]:
        """The frames under way, their window filled up with the last one again; then it begins anew."""
        frames: list[RoiFrame] = []
        while any(pts != PADDING for pts in (*self._under_way, *(pts for pts, _ in self._pending))):
            assert self._view.held is not None
            while len(self._pending) < CHUNK:
                self._pending.append((PADDING, self._view.held))
            frames += self._chunk()
        self._begin()
        return frames

    def reset(self) -> None:
        """Forget the driver."""
        self._view = DriverView(self._avatar.face, self.rung.size)
        self._begin()

    def lower(self) -> str | None:
        """Go one rung down, for speed or memory; what it is now, None where there is no further one."""
        rung = below(self.rung, self._networks.small_vae is not None)
        if rung is None:
            return None
        self._read(rung)
        return f"PersonaLive goes on with {rung}."

    def save(self) -> State:
        """Everything, as plain arrays."""
        pending = [picture for _, picture in self._pending]
        state: State = {
            "rung": np.array(self.rung.name),
            "count": np.array([self._count, self._retaken, self._noise.draws, self._window.calls], np.int64),
            "under_way": np.array(self._under_way, np.int64),
            "pending_pts": np.array([pts for pts, _ in self._pending], np.int64),
            "pending": np.array(pending, np.uint8),
        }
        if self._view.held is not None and self._view.neutral is not None:
            state |= {"held": self._view.held, "driver_neutral": self._view.neutral}
        return state | (saved(self._window, self._transfer) if self._window.calls else {})

    def restore(self, state: State) -> None:
        """Go on where `save` left off."""
        self.reset()
        self._count, self._retaken, draws, calls = (int(value) for value in state["count"])
        self._under_way = deque(int(pts) for pts in state["under_way"])
        pictures = np.asarray(state["pending"], np.uint8)
        self._pending = [(int(pts), picture) for pts, picture in zip(state["pending_pts"], pictures, strict=True)]
        if "held" in state:
            self._view.held = np.asarray(state["held"], np.uint8)
            self._view.neutral = np.asarray(state["driver_neutral"], np.float32)
        with self._on_device():
            if calls:
                restored(self._window, self._transfer, state)
            self._window.calls, self._noise.draws = calls, draws

    def _read(self, rung: Rung) -> None:
        """Read the portrait at a rung's size, and begin with no driver."""
        self.rung = rung
        with self._on_device():
            self._portrait = read_portrait(self._networks, self._avatar.roi, rung.size)
        self.reset()

    def _begin(self) -> None:
        nets = self._networks
        self._pending = []
        self._under_way = deque([PADDING] * FILL)  # what lies between portrait and driver is not shown
        self._count, self._retaken = 0, -1
        self._noise = SeededNoise(self._seed, nets.device, nets.dtype)
        with self._on_device():
            self._window = Window(nets.reference, nets.denoising, self._portrait, self._noise)
            self._transfer = Transfer(nets.extract, nets.encode, nets.guide, self._portrait.picture)

    def _chunk(self) -> list[RoiFrame]:
        pts, pictures = zip(*self._pending, strict=True)
        self._under_way.extend(pts)
        self._pending = []
        with self._on_device():
            seen = tensor_of(np.stack(pictures)).to(self._networks.device)
            poses, motions = self._transfer.take(seen, self._retaken)
            self._retaken = -1
            clean = self._window.step(poses, motions, self._transfer.rest if self._window.calls == 0 else None)
            leave = [self._under_way.popleft() for _ in range(CHUNK)]
            if all(each == PADDING for each in leave):
                return []
            decoded = self._decode(clean)
            if decoded.shape[-1] != ROI_SIZE:
                decoded = F.interpolate(decoded.float(), size=(ROI_SIZE, ROI_SIZE), mode="bicubic", antialias=True)
            pixels = pixels_of(decoded)
        return [RoiFrame(at, frame) for at, frame in zip(leave, pixels, strict=True) if at != PADDING]

    def _decode(self, latents: Tensor) -> Tensor:
        pieces = latents.split(1) if self._small else [latents]
        return torch.cat([self._networks.decode(piece, self.rung.small_vae) for piece in pieces])

    @contextmanager
    def _on_device(self) -> Iterator[None]:
        try:
            with torch.inference_mode():
                yield
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise OutOfMemoryError(
                f"The GPU has too little memory for PersonaLive at {self.rung} ({str(error)[:80]}); free some or set"
                " STUDIO_PERSONALIVE_QUALITY lower."
            ) from None
