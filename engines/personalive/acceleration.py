"""Optional accelerations of the networks; each is applied as selected, or refused in one sentence."""

import os
import shutil
from importlib.util import find_spec

import torch
from torch import Tensor

from engines.personalive.networks.attention import Attention
from engines.personalive.networks.networks import PersonaLiveNetworks
from engines.personalive.networks.unet import DenoisingUNet, Memory
from engines.personalive.settings import Acceleration
from engines.xformers_attention import Attend, xformers_attention, xformers_problem
from shared.errors import StudioError

NONE_INSTEAD = "set STUDIO_PERSONALIVE_ACCELERATION=none."


def acceleration_refusal(acceleration: Acceleration, device: torch.device) -> str:
    """Return why this acceleration is unavailable on this machine, or ""."""
    if acceleration == "tensorrt":
        return "TensorRT engines are not built by this version; set STUDIO_PERSONALIVE_ACCELERATION=compile or none."
    if acceleration == "xformers" and (problem := xformers_problem(device)):
        return f"xFormers {problem}; {NONE_INSTEAD}"
    if acceleration == "compile" and device.type == "cuda" and find_spec("triton") is None:
        return f"torch.compile needs Triton, which is not installed; {NONE_INSTEAD}"
    if acceleration == "compile" and not any(map(shutil.which, (os.environ.get("CC", "cc"), "gcc", "clang"))):
        return f"torch.compile needs a C compiler, and none is installed; install gcc or {NONE_INSTEAD}"
    return ""


def accelerate(networks: PersonaLiveNetworks, acceleration: Acceleration) -> None:
    """Apply an acceleration to the networks. Raises StudioError if it is unavailable."""
    if reason := acceleration_refusal(acceleration, networks.device):
        raise StudioError(reason)
    if networks.device.type == "cuda":
        for network in networks.all():
            network.to(memory_format=torch.channels_last)
    if acceleration == "xformers":
        attend_by(networks, xformers_attention)
    if acceleration == "compile":
        compile_networks(networks)


def attend_by(networks: PersonaLiveNetworks, attend: Attend) -> None:
    """Use this kernel in all attention layers that are not diffusers' own."""
    networks.denoising.attend = attend
    for network in (networks.denoising, networks.encode):
        for module in network.modules():
            if isinstance(module, Attention):
                module.attend = attend


def compile_networks(networks: PersonaLiveNetworks, backend: str = "inductor") -> None:
    """Compile the networks that take most of a call's time.

    These are the denoising network and the decoders, each compiled as one graph of fixed shapes.

    CUDA graphs are not used: PyTorch keeps them per thread, and the thread that opens a session is not the one that
        steps it. A call of this size keeps a GPU busy far longer than it takes to launch.
    """
    compile_denoising(networks.denoising, backend)
    for vae in (networks.vae, networks.small_vae):
        if vae is not None:
            vae.decoder.compile(fullgraph=True, dynamic=False, backend=backend)


def compile_denoising(network: DenoisingUNet, backend: str) -> None:
    """Compile the denoising network as one graph for any number of keyframes.

    All shapes are fixed except the length of the memory.
    """
    compiled = torch.compile(network.forward, fullgraph=True, dynamic=False, backend=backend)

    def forward(frames: Tensor, times: Tensor, memory: Memory, motion: Tensor, pose: Tensor) -> Tensor:
        for each in (*memory.keys, *memory.values):
            torch._dynamo.mark_dynamic(each, 2)
        return compiled(frames, times, memory, motion, pose)

    network.forward = forward  # type: ignore[method-assign]
