"""All networks of the engine, loaded from the published layout, on one device."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from services.generator.engines.liveportrait import retargeting
from services.generator.engines.liveportrait.appearance import AppearanceExtractor
from services.generator.engines.liveportrait.checkpoint import folded, unwrapped
from services.generator.engines.liveportrait.crop import INPUT
from services.generator.engines.liveportrait.decoder import SpadeDecoder
from services.generator.engines.liveportrait.keypoints import Array
from services.generator.engines.liveportrait.motion_extractor import MotionExtractor
from services.generator.engines.liveportrait.retargeting import Retargeting
from services.generator.engines.liveportrait.rules import Correctors
from services.generator.engines.liveportrait.warping import WarpingNetwork
from shared.errors import StudioError

F, M, W, G = (
    f"base_models/{name}.pth"
    for name in ("appearance_feature_extractor", "motion_extractor", "warping_module", "spade_generator")
)
S = "retargeting_models/stitching_retargeting_module.pth"
FILES = (F, M, W, G, S)
PUBLISHED: Mapping[str, Mapping[str, Any]] = {}
SHOULDERS, MOUTH, EYES = "retarget_shoulder", "retarget_mouth", "retarget_eye"


@dataclass(frozen=True, slots=True)
class Networks:
    """The seven networks, in evaluation. Those of `retargeting` stay on the CPU: they are smaller than the way there."""

    appearance: AppearanceExtractor
    motion: MotionExtractor
    warping: WarpingNetwork
    decoder: SpadeDecoder
    stitching: Retargeting
    eyes: Retargeting
    lips: Retargeting

    @classmethod
    def load(cls, folder: Path) -> "Networks":
        """From a folder with the published layout. Raises StudioError for a file that is missing, damaged or another."""
        with torch.device("meta"):
            nets = cls.empty()
        small = _read(folder / S)
        for net, state, path in (
            (nets.appearance, _read(folder / F), F),
            (nets.motion, _read(folder / M), M),
            (nets.warping, _read(folder / W), W),
            (nets.decoder, folded(_read(folder / G)), G),
            (nets.stitching, _part(small, SHOULDERS, folder), S),
            (nets.lips, _part(small, MOUTH, folder), S),
            (nets.eyes, _part(small, EYES, folder), S),
        ):
            _fill(net, unwrapped(state), folder / path)
        return nets

    @classmethod
    def empty(cls, sizes: Mapping[str, Mapping[str, Any]] = PUBLISHED) -> "Networks":
        """Without weights. sizes: by network, where they are not the published ones."""
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

    def prepared(self, picture: NDArray[np.uint8]) -> Tensor:
        """(1, 3, 256, 256) float32 0..1 from an RGB crop of that size."""
        assert picture.shape == (INPUT, INPUT, 3)
        device = next(self.motion.parameters()).device
        return (torch.from_numpy(picture).to(device).permute(2, 0, 1)[None].float() / 255).contiguous()

    def heads(self, prepared: Tensor) -> dict[str, Array]:
        """The motion extractor's raw heads as arrays."""
        return {name: value.cpu().numpy() for name, value in self.motion(prepared).items()}

    def correctors(self) -> Correctors:
        """The small networks as functions of arrays."""
        return Correctors(*(of_arrays(net) for net in (self.stitching, self.eyes, self.lips)))

    @staticmethod
    def to_bytes(out: Tensor) -> Tensor:
        """(B, 3, H, W) 0..1 to (B, H, W, 3) uint8, cut off and not rounded, as published."""
        return (out.float().clamp(0, 1) * 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def of_arrays(net: Retargeting) -> Callable[[Array], Array]:
    """The network as a function of one (N,) float32 array."""

    def run(x: Array) -> Array:
        with torch.inference_mode():
            return np.asarray(net(torch.from_numpy(x)[None])[0].numpy())

    return run


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(torch.load(path, map_location="cpu", weights_only=True, mmap=True))
    except FileNotFoundError:
        raise StudioError(f"{path} is missing; `studio weights pull liveportrait` gets it.") from None
    except Exception as error:  # torch raises whatever the file's bytes lead it to
        raise StudioError(
            f"{path} cannot be read ({str(error)[:120]}); delete it and run `studio weights pull liveportrait`."
        ) from None


def _part(state: Mapping[str, Any], name: str, folder: Path) -> dict[str, Tensor]:
    if not isinstance(state.get(name), Mapping):
        raise StudioError(f"{folder / S} has no {name}; run `studio weights pull liveportrait`.")
    return dict(state[name])


def _fill(net: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    try:
        net.load_state_dict(state, strict=True, assign=True)
    except RuntimeError:
        raise StudioError(f"{path} holds another model's weights; run `studio weights pull liveportrait`.") from None
    net.requires_grad_(False)
