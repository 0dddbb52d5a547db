"""What makes the networks faster, each doing what its name says or refusing in one sentence."""

from collections.abc import Callable
from importlib.util import find_spec

import torch

from services.generator.engines.personalive.attention import Attend, Attention, xformers
from services.generator.engines.personalive.networks import Networks
from services.generator.engines.personalive.settings import Acceleration
from shared.errors import StudioError


def refusal(acceleration: Acceleration, device: torch.device) -> str:
    """Why this acceleration cannot be had here, or ""."""
    if acceleration == "none":
        return ""
    if acceleration == "tensorrt":
        return "TensorRT engines are not built by this version; set STUDIO_PERSONALIVE_ACCELERATION=compile or none."
    if acceleration == "xformers" and (device.type != "cuda" or find_spec("xformers") is None):
        return "xFormers is not installed or there is no GPU for it; set STUDIO_PERSONALIVE_ACCELERATION=none."
    return ""


def accelerate(networks: Networks, acceleration: Acceleration) -> None:
    """Change the networks to run so. Raises StudioError where they cannot."""
    if reason := refusal(acceleration, networks.device):
        raise StudioError(reason)
    if networks.device.type == "cuda":
        for network in (networks.reference, networks.denoising, networks.guide, networks.encode, networks.vae):
            network.to(memory_format=torch.channels_last)
    if acceleration == "xformers":
        _try(xformers, networks.device)
        attend_by(networks, xformers)
    if acceleration == "compile":
        # one graph for each number of keyframes; with CUDA graphs on a GPU, since every shape is fixed
        networks.denoising.compile(
            mode="reduce-overhead" if networks.device.type == "cuda" else "default", dynamic=False
        )
        networks.vae.decoder.compile(dynamic=False)


def attend_by(networks: Networks, attend: Attend) -> None:
    """Use this kernel in every attention of ours."""
    networks.denoising.attend = attend
    for network in (networks.denoising, networks.encode):
        for module in network.modules():
            if isinstance(module, Attention):
                module.attend = attend


def _try(attend: Callable[..., torch.Tensor], device: torch.device) -> None:
    some = torch.zeros(1, 1, 8, 8, device=device, dtype=torch.float16)
    try:
        attend(some, some, some)
    except Exception as error:  # its kernels may be built for another PyTorch, which shows in many ways
        raise StudioError(
            f"xFormers does not work with this PyTorch ({type(error).__name__}); set STUDIO_PERSONALIVE_ACCELERATION=none."
        ) from None
