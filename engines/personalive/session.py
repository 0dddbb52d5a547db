"""The engine's session on one avatar: driving frames in, four at a time; their ROI frames out, twelve frames later."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engines.api import Driving, EngineSession, RoiFrame
from engines.options import EngineOptions
from engines.personalive.driver import DriverView
from engines.personalive.image_tensor import bytes_of, tensor_of
from engines.personalive.networks.networks import PersonaLiveNetworks
from engines.personalive.networks.schedule import CHUNK_FRAMES, FILL
from engines.personalive.noise import SeededNoise
from engines.personalive.options import PersonaLiveOptions
from engines.personalive.portrait import EncodedPortrait, read_portrait
from engines.personalive.quality import AUTO, NO_SMALL_DECODER, SMALL_DECODER, Rung, below, rung
from engines.personalive.session_state import restore_transfer, restore_window, saved_transfer, saved_window
from engines.personalive.streams import PendingTensor, begin_fetch, send, streams_of
from engines.personalive.transfer import Transfer
from engines.personalive.window import DenoisingWindow
from shared.avatar.model import ROI_SIZE_PX, Avatar
from shared.errors import OutOfMemoryError, StudioError
from shared.media.array_types import ImageArray
from shared.runtime.arrays import StateArrays

PADDING = -1  # pts of a frame that no caller asked for


class PersonaLiveSession(EngineSession):
    """Session whose state is the window of frames in progress. Not thread-safe."""

    rung: Rung
    _small_decoder: bool
    _portrait: EncodedPortrait
    _view: DriverView
    _noise: SeededNoise
    _window: DenoisingWindow
    _transfer: Transfer
    _pending: list[tuple[int, ImageArray]]  # driver crops of the next chunk, with their pts
    _under_way: deque[int]  # pts of the frames in the window
    _count: int  # driving frames since the driver began
    _retaken: int  # index of the pending frame that has a new neutral, -1 for none

    def __init__(
        self,
        avatar: Avatar,
        networks: PersonaLiveNetworks,
        options: PersonaLiveOptions,
        first: Rung | None = None,
        small: bool = False,
    ) -> None:
        """Encode the portrait and begin without a driver.

        first: the quality level to begin with, if it differs from the options. small: decode frame by frame, in a
            quarter of the memory.
        """
        self.adjusts = options.quality == AUTO
        self._avatar, self._networks, self._seed, self._small = avatar, networks, options.seed, small
        self._device, self._streams = networks.device, streams_of(networks.device)
        self._stand_on(first or rung(options.quality))
        self._read()

    def step(self, driving: Driving) -> list[RoiFrame]:
        """Return four frames at every fourth input, from the sixteenth on. Without a face the last motion is held."""
        wait = self.begin(driving)
        return [] if wait is None else wait()

    def begin(self, driving: Driving) -> Callable[[], list[RoiFrame]] | None:
        """Start what `step` does without waiting for it.

        At every fourth frame the result is a callable that waits for the frames, in any thread and without using the
        session.
        """
        self._count += 1
        if self._count % self.rung.every:
            return None
        if self._view.update_view(driving):
            self._retaken = len(self._pending)
        if self._view.held is None:
            return None
        self._pending.append((driving.pts, self._view.held))
        return self._chunk() if len(self._pending) == CHUNK_FRAMES else None

    def flush(self) -> list[RoiFrame]:
        """Return the frames in progress, filling the window with repeats of the last one; then start a new window."""
        frames: list[RoiFrame] = []
        while any(pts != PADDING for pts in (*self._under_way, *(pts for pts, _ in self._pending))):
            assert self._view.held is not None
            while len(self._pending) < CHUNK_FRAMES:
                self._pending.append((PADDING, self._view.held))
            frames += self._chunk()()
        self._begin()
        return frames

    def reset(self) -> None:
        """Forget the driver."""
        self._view = DriverView(self._avatar.face, self.rung.size)
        self._begin()

    def lower(self) -> str | None:
        """Lower the quality by one level, for speed or memory; return a sentence that names it, None at the lowest."""
        lower = below(self.rung, self._networks.small_vae is not None)
        if lower is None:
            return None
        self._change(lower)
        return f"PersonaLive continues with {lower.title}."

    def apply(self, options: EngineOptions) -> bool:
        """Change to the quality level in the options. Returns False for another seed, which needs a new session."""
        assert isinstance(options, PersonaLiveOptions)
        if options.seed != self._seed:
            return False
        wanted = rung(options.quality)
        if wanted.name == SMALL_DECODER and self._networks.small_vae is None:
            raise StudioError(NO_SMALL_DECODER)
        self.adjusts = options.quality == AUTO
        self._change(wanted)
        return True

    def save(self) -> StateArrays:
        """Return the whole state as plain arrays."""
        pending = [frame for _, frame in self._pending]
        state: StateArrays = {
            "rung": np.array(self.rung.name),
            "small_decoder": np.array(self._small_decoder),
            "count": np.array([self._count, self._retaken, self._noise.draws, self._window.calls], np.int64),
            "under_way": np.array(self._under_way, np.int64),
            "pending_pts": np.array([pts for pts, _ in self._pending], np.int64),
            "pending": np.array(pending, np.uint8),
        }
        if self._view.held is not None and self._view.neutral is not None:
            state |= {"held": self._view.held, "driver_neutral": self._view.neutral}
        if not self._window.calls:
            return state
        with self._on_device(), self._streams.reading.work():
            state |= saved_transfer(self._transfer)
        with self._on_device(), self._streams.denoising.work():
            return state | saved_window(self._window)

    def restore(self, state: StateArrays) -> None:
        """Continue from the state that `save` returned, at the same quality.

        Raises StudioError if that needs a decoder that is not installed.
        """
        if state["rung"] != self.rung.name:
            self._change(rung(str(state["rung"])))
        self._small_decoder = bool(state["small_decoder"])
        if self._small_decoder and self._networks.small_vae is None:
            raise StudioError(NO_SMALL_DECODER)
        self.reset()
        self._count, self._retaken, draws, calls = (int(value) for value in state["count"])
        self._under_way = deque(int(pts) for pts in state["under_way"])
        frames = np.asarray(state["pending"], np.uint8)
        self._pending = [(int(pts), frame) for pts, frame in zip(state["pending_pts"], frames, strict=True)]
        if "held" in state:
            self._view.held = np.asarray(state["held"], np.uint8)
            self._view.neutral = np.asarray(state["driver_neutral"], np.float32)
        if calls:
            with self._on_device(), self._streams.reading.work():
                restore_transfer(self._transfer, state)
            with self._on_device(), self._streams.denoising.work():
                restore_window(self._window, state)
        self._window.calls, self._noise.draws = calls, draws

    def _change(self, wanted: Rung) -> None:
        """Change the level; keep the frames in progress if the frame size stays the same, else start from empty."""
        self._stand_on(wanted)
        if wanted.size != self._portrait.image.shape[-1]:
            self._read()

    def _stand_on(self, wanted: Rung) -> None:
        self.rung, self.quality = wanted, wanted.name
        self._small_decoder = wanted.small_vae and self._networks.small_vae is not None

    def _read(self) -> None:
        """Encode the portrait at the level's size, and begin without a driver."""
        with self._on_device(), self._streams.denoising.work():
            self._portrait = read_portrait(self._networks, self._avatar.roi, self.rung.size)
        self.reset()

    def _begin(self) -> None:
        nets, streams = self._networks, self._streams
        self._pending = []
        self._under_way = deque([PADDING] * FILL)  # frames made up between portrait and driver are not shown
        self._count, self._retaken = 0, -1
        self._noise = SeededNoise(self._seed, self._device, nets.dtype)
        with self._on_device(), streams.denoising.work():
            self._window = DenoisingWindow(nets.reference, nets.denoising, self._portrait, self._noise)
        with self._on_device(), streams.reading.work():
            streams.reading.wait_for(streams.denoising, self._portrait.image)
            self._transfer = Transfer(nets.extract, nets.encode, nets.guide, self._portrait.image)

    def _chunk(self) -> Callable[[], list[RoiFrame]]:
        """Start a call of the window; the returned callable waits for the frames that leave the window."""
        pts, frames = zip(*self._pending, strict=True)
        self._pending = []
        self._under_way.extend(pts)
        leave = [self._under_way.popleft() for _ in range(CHUNK_FRAMES)]
        try:
            with self._on_device():
                clean = self._denoise(np.stack(frames))
                fetched = self._decode(clean, any(at != PADDING for at in leave))
        except OutOfMemoryError:
            self.reset()  # a partly executed call leaves no usable state
            raise

        def wait() -> list[RoiFrame]:
            pixels = fetched().numpy()
            return [RoiFrame(at, frame) for at, frame in zip(leave, pixels, strict=True) if at != PADDING]

        return wait

    def _denoise(self, frames: ImageArray) -> Tensor:
        """Denoise with (4, s, s, 3) driver frames; return the latents that leave the window, (4, 4, s / 8, s / 8)."""
        reading, denoising = self._streams.reading, self._streams.denoising
        with reading.work():
            seen = tensor_of(send(torch.from_numpy(frames), self._device))
            poses, motions = self._transfer.pose_and_motion(seen, self._retaken)
            self._retaken = -1
        with denoising.work():
            rest = self._transfer.rest if self._window.calls == 0 else None
            denoising.wait_for(reading, poses, motions, *(each for each in (rest,) if each is not None))
            return self._window.next_chunk(poses, motions, rest)

    def _decode(self, latents: Tensor, shown: bool) -> PendingTensor:
        """Decode latents that left the window to (4, S, S, 3) uint8, and start their transfer to the host.

        If no caller asked for the frames, the latents themselves are transferred.
        """
        decoding = self._streams.decoding
        with decoding.work():
            decoding.wait_for(self._streams.denoising, latents)
            if not shown:
                return begin_fetch(latents.float())  # NumPy lacks some precisions
            pieces = latents.split(1) if self._small else [latents]
            decoded = torch.cat([self._networks.decode(piece, self._small_decoder) for piece in pieces])
            if decoded.shape[-1] != ROI_SIZE_PX:
                decoded = F.interpolate(
                    decoded.float(), size=(ROI_SIZE_PX, ROI_SIZE_PX), mode="bicubic", antialias=True
                )
            return begin_fetch(bytes_of(decoded))

    @contextmanager
    def _on_device(self) -> Iterator[None]:
        try:
            with torch.inference_mode():
                yield
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise OutOfMemoryError(
                f"The GPU has too little memory for PersonaLive at {self.rung.name} ({str(error)[:80]}); free some or "
                "set STUDIO_PERSONALIVE_QUALITY lower."
            ) from None
