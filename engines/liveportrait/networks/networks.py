"""All networks of the engine, loaded from the published layout onto one device."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engines.liveportrait.motion.crop import INPUT
from engines.liveportrait.motion.keypoints import KeypointMotion, motions
from engines.liveportrait.motion.retarget_rules import Correctors
from engines.liveportrait.networks import retargeting
from engines.liveportrait.networks.appearance import AppearanceExtractor
from engines.liveportrait.networks.checkpoint_files import F, G, M, S, W
from engines.liveportrait.networks.cuda_graph import CudaGraph
from engines.liveportrait.networks.decoder import SpadeDecoder
from engines.liveportrait.networks.motion_extractor import MotionExtractor
from engines.liveportrait.networks.retargeting import Retargeting
from engines.liveportrait.networks.warping import WarpingNetwork
from engines.torch_device import pick_device
from shared.errors import OutOfMemoryError
from shared.media.array_types import FloatArray
from shared.weights.checkpoint import check_state, fold_spectral_norm, load_state

DrawFunction = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
CPU = torch.device("cpu")
DEVICE_ADVICE = "set STUDIO_LIVEPORTRAIT_DEVICE to auto"
PUBLISHED: Mapping[str, Mapping[str, Any]] = {}


@dataclass(slots=True, eq=False, weakref_slot=True)
class LivePortraitNetworks:
    """The seven networks, in evaluation mode.

    Warping and decoding are in `dtype`, the others in float32. Those of `retargeting` stay on the CPU: they are so
    small that the transfer to a device would take longer than running them.
    """

    appearance: AppearanceExtractor
    motion: MotionExtractor
    warping: WarpingNetwork
    decoder: SpadeDecoder
    stitching: Retargeting
    eyes: Retargeting
    lips: Retargeting
    device: torch.device = CPU
    dtype: torch.dtype = torch.float32
    draw: DrawFunction = field(init=False, repr=False)
    _exact: tuple[WarpingNetwork, SpadeDecoder] | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        self.draw = self._draw

    @classmethod
    def load(cls, folder: Path) -> "LivePortraitNetworks":
        """Load the networks from a folder with the published layout.

        Raises StudioError for a file that is missing, damaged or a different checkpoint.
        """
        with torch.device("meta"):
            nets = cls.empty()
        for net, path, key in (
            (nets.appearance, F, None),
            (nets.motion, M, None),
            (nets.warping, W, None),
            (nets.decoder, G, None),
            (nets.stitching, S, "retarget_shoulder"),
            (nets.lips, S, "retarget_mouth"),
            (nets.eyes, S, "retarget_eye"),
        ):
            state = fold_spectral_norm(load_state(folder / path, key))
            wanted = {name: tuple(value.shape) for name, value in net.state_dict().items()}
            net.load_state_dict(check_state(state, wanted, str(folder / path)), strict=True, assign=True)
            net.requires_grad_(False)
        return nets

    @classmethod
    def empty(cls, sizes: Mapping[str, Mapping[str, Any]] = PUBLISHED) -> "LivePortraitNetworks":
        """Return networks without weights. sizes: constructor arguments by network, unless the published ones."""
        nets = cls(
            AppearanceExtractor(**sizes.get("appearance", {})),
            MotionExtractor(**sizes.get("motion", {})),
            WarpingNetwork(**sizes.get("warping", {})),
            SpadeDecoder(**sizes.get("decoder", {})),
            Retargeting(retargeting.STITCHING),
            Retargeting(retargeting.EYES),
            Retargeting(retargeting.LIPS),
        )
        for net in (nets.appearance, nets.motion, nets.warping, nets.decoder, nets.stitching, nets.eyes, nets.lips):
            net.eval().requires_grad_(False)
        return nets

    @classmethod
    def shared(
        cls, folder: Path, device: str = "auto", precision: str = "auto", compiled: bool = False
    ) -> "LivePortraitNetworks":
        """Return the networks of this folder, ready to run.

        Callers share one copy for as long as it is in use, so another avatar needs no second copy. Raises StudioError.
        """
        key = f"{folder} {device} {precision} {compiled}"
        nets = _SHARED.get(key)
        if nets is None:
            chosen = pick_device(device, DEVICE_ADVICE)
            nets = cls.load(folder)
            nets.prepare(chosen, pick_precision(precision, chosen), compiled)
            _SHARED[key] = nets
        return nets

    def prepare(self, device: torch.device, dtype: torch.dtype, compiled: bool = False) -> None:
        """Move the networks to a device and optimise their layout for it."""
        self.device, self.dtype = device, dtype
        for net in (self.appearance, self.motion):
            net.to(device)
        for net in (self.warping, self.decoder):
            net.fuse()
            net.to(device, dtype)
            _lay_out(net, device)
        if compiled:
            draw = torch.compile(self._draw, dynamic=False)
            self.draw = CudaGraph(draw) if device.type == "cuda" else draw

    def draw_exactly(self, volume: Tensor, source: Tensor, driving: Tensor) -> Tensor:
        """Draw like `draw`, in float32, for frames that overflow half precision. Keeps a second copy of 400 MB."""
        if self._exact is None:
            self._exact = deepcopy(self.warping).float(), deepcopy(self.decoder).float()
        warping, decoder = self._exact
        image: Tensor = decoder(warping(volume.float(), source, driving).out)
        return image

    def _draw(self, volume: Tensor, compressed: Tensor, source: Tensor, driving: Tensor) -> Tensor:
        """Return the image, (B, 3, 512, 512) RGB 0..1.

        volume, compressed: features of the source. source, driving: (B, 21, 3) keypoints.
        """
        image: Tensor = self.decoder(self.warping(volume, source, driving, compressed).out)
        return image

    def prepared(self, image: NDArray[np.uint8]) -> Tensor:
        """Convert an RGB crop of the input size to (1, 3, 256, 256) float32 0..1."""
        assert image.shape == (INPUT, INPUT, 3)
        return (torch.from_numpy(image).to(self.device).permute(2, 0, 1)[None].float() / 255).contiguous()

    def heads(self, prepared: Tensor) -> dict[str, FloatArray]:
        """Return the motion extractor's raw heads as arrays.

        Runs without TF32, whose rounding would be visible as jitter.
        """
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            return {name: value.cpu().numpy() for name, value in self.motion(prepared).items()}

    def read(self, image: NDArray[np.uint8]) -> KeypointMotion:
        """Return the motion in a (256, 256, 3) uint8 RGB crop. Raises OutOfMemoryError."""
        with on_device():
            return motions(self.heads(self.prepared(image)))[0]

    def correctors(self) -> Correctors:
        """Return the small networks as functions of arrays."""
        return Correctors(*(of_arrays(net) for net in (self.stitching, self.eyes, self.lips)))


_SHARED: WeakValueDictionary[str, LivePortraitNetworks] = WeakValueDictionary()


def pick_precision(name: str, device: torch.device) -> torch.dtype:
    """Return the dtype of this name; "auto" is half precision on a GPU, float32 elsewhere."""
    if name == "auto":
        return torch.float16 if device.type == "cuda" else torch.float32
    return {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}[name]


@contextmanager
def on_device() -> Iterator[None]:
    """Context manager that turns PyTorch's out-of-memory error into OutOfMemoryError."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        torch.cuda.empty_cache()
        raise OutOfMemoryError(
            f"The GPU has too little memory for LivePortrait ({str(error)[:80]}); free some or set"
            " STUDIO_LIVEPORTRAIT_DEVICE=cpu."
        ) from None


def of_arrays(net: Retargeting) -> Callable[[FloatArray], FloatArray]:
    """Return the network as a function of one (N,) float32 array."""

    def run(x: FloatArray) -> FloatArray:
        with torch.inference_mode():
            return np.asarray(net(torch.from_numpy(x)[None])[0].numpy())

    return run


def _lay_out(net: nn.Module, device: torch.device) -> None:
    """Store the weights in the memory order in which the device convolves fastest."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            layer.to(memory_format=torch.channels_last)
        elif isinstance(layer, nn.Conv3d) and device.type == "cuda":
            layer.to(memory_format=torch.channels_last_3d)
