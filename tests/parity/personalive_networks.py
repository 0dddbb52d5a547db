"""Our networks with the weights of a recording of PersonaLive's original."""

import inspect
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from engines.liveportrait.networks.motion_extractor import MotionExtractor
from engines.personalive.networks.networks import PersonaLiveNetworks
from engines.personalive.networks.pose_guider import PoseGuider
from engines.personalive.networks.unet import DenoisingUNet, ReferenceUNet
from tests.parity.recording import Array, Case


def frames_first(array: Array) -> Array:
    """Move the frames to the front: (1, c, f, h, w) -> (f, c, h, w)."""
    return np.moveaxis(array[0], 1, 0)


def tensor(array: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))


def loaded(case: Case, network: nn.Module, name: str) -> Any:
    """Load the case's weights into a network, in their precision. Their tables of positions must equal ours."""
    state = case.weights(name, network)
    state.pop("idx_tensor", None)
    for table in (key for key in state if key.endswith(".pe") or key == "pe"):
        assert torch.equal(state[table].float(), network.state_dict()[table]), table
    dtype = next(value.dtype for value in state.values() if value.is_floating_point())
    network.to(dtype).load_state_dict(state, strict=True)
    return network.eval().requires_grad_(False)


def config(case: Case, name: str, *ours: str) -> dict[str, Any]:
    return {key: value for key, value in case.meta["constructors"][name].items() if not ours or key in ours}


def unet_config(case: Case, name: str) -> dict[str, Any]:
    return config(case, name, *inspect.signature(UNet2DConditionModel.__init__).parameters)


class EchoModule(nn.Module):
    """The recording script's stand-in for the motion encoder, which makes the loop add keyframes.

    (f, 3, 224, 224) faces -> (f, 32, 16).
    """

    def __init__(self, gain: float = 12.0) -> None:
        super().__init__()
        self.proj, self.gain = nn.Linear(3 * 49, 512), gain

    def forward(self, faces: Tensor) -> Tensor:
        means = F.adaptive_avg_pool2d(faces, 7).flatten(1)
        return self.gain * self.proj(means).unflatten(1, (32, 16))


def networks(case: Case) -> PersonaLiveNetworks:
    """Return the networks of a loop."""
    clip = CLIPVisionConfig(**config(case, "image_encoder"))
    return PersonaLiveNetworks(
        reference=loaded(case, ReferenceUNet(**unet_config(case, "reference_unet")), "reference_unet"),
        denoising=loaded(case, DenoisingUNet(**unet_config(case, "denoising_unet")), "denoising_unet"),
        extract=loaded(case, MotionExtractor(depths=(1, 1, 2, 1), widths=(8, 16, 24, 32)), "pose_encoder"),
        encode=loaded(case, EchoModule(), "motion_encoder"),
        guide=loaded(case, PoseGuider(channels=32, widths=(4, 8, 8, 16)), "pose_guider"),
        vae=loaded(case, AutoencoderKL(**config(case, "vae")), "vae"),
        clip=loaded(case, CLIPVisionModelWithProjection(clip), "image_encoder"),
    )
