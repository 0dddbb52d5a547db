"""Loading of the networks from the authors' folders, at the sizes found in the files."""

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPVisionModelWithProjection

from engines.liveportrait.networks.motion_extractor import MotionExtractor
from engines.personalive.networks.checkpoint import fill_network, merged
from engines.personalive.networks.motion_encoder import MotionEncoder
from engines.personalive.networks.networks import PersonaLiveNetworks
from engines.personalive.networks.pose_guider import PoseGuider
from engines.personalive.networks.unet import DenoisingUNet, ReferenceUNet
from shared.errors import StudioError
from shared.weights.checkpoint import load_state
from shared.weights.checkpoint_cache import converted

OWN, BASE, VAE, SMALL_VAE = "personalive", "sd-image-variations-diffusers", "sd-vae-ft-mse", "taesd"
UNET_CONFIG = f"{BASE}/unet/config.json"
UNET = f"{BASE}/unet/diffusion_pytorch_model"


def load_networks(folder: Path, device: torch.device, dtype: torch.dtype) -> PersonaLiveNetworks:
    """Load all networks from the weights folder. Raises StudioError."""
    for library in (diffusers.utils.logging, transformers.utils.logging):
        library.set_verbosity_error()  # they warn without cause, and draw progress bars into the log
        library.disable_progress_bar()
    config = unet_config(folder)
    own = own_files(folder)
    networks = PersonaLiveNetworks(
        reference=reference(folder, config),
        denoising=denoising(folder, config),
        extract=load_extractor(load_state(own / "motion_extractor.pth")),
        encode=encoder(load_state(own / "motion_encoder.pth")),
        guide=guider(load_state(own / "pose_guider.pth")),
        vae=load_stock_network(AutoencoderKL, folder / VAE),
        clip=load_stock_network(CLIPVisionModelWithProjection, folder / BASE / "image_encoder"),
        small_vae=load_stock_network(AutoencoderTiny, folder / SMALL_VAE)
        if (folder / SMALL_VAE / "config.json").is_file()
        else None,
    )
    for network in networks.all():
        network.to(device, torch.float32 if network is networks.extract else dtype)
        network.eval().requires_grad_(False)
    return networks


def own_files(folder: Path) -> Path:
    """Return the folder of the authors' own six files; their download may put them into a nested folder."""
    inner = folder / OWN / "pretrained_weights" / OWN
    return inner if inner.is_dir() and not (folder / OWN / "denoising_unet.pth").is_file() else folder / OWN


def unet_config(folder: Path) -> dict[str, Any]:
    """Return the UNet's sizes from the base's `config.json`. Raises StudioError."""
    path = folder / UNET_CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        known = inspect.signature(UNet2DConditionModel.__init__).parameters
        return {name: value for name, value in config.items() if name in known}
    except (OSError, ValueError, AttributeError) as error:
        raise StudioError(f"{path} cannot be read ({error}); `studio weights pull {OWN}` gets it.") from None


def denoising(folder: Path, config: dict[str, Any]) -> DenoisingUNet:
    """Return the denoising network, merged from its three files; the merged weights are cached."""
    own = own_files(folder)
    base = next((p for p in (folder / f"{UNET}{end}" for end in (".safetensors", ".bin")) if p.is_file()), None)
    files = (base or folder / f"{UNET}.bin", own / "denoising_unet.pth", own / "temporal_module.pth")
    with torch.device("meta"):
        network = DenoisingUNet(**config)
    state = converted(
        "personalive-denoising", files, lambda: merged({path.name: load_state(path) for path in files}, network)
    )
    network.load_state_dict(state, strict=True, assign=True)
    return network


def reference(folder: Path, config: dict[str, Any]) -> ReferenceUNet:
    """Return the reference network, whose own file contains every tensor."""
    path = own_files(folder) / "reference_unet.pth"
    with torch.device("meta"):
        network = ReferenceUNet(**config)
    fill_network(network, {path.name: load_state(path)})
    return network


def load_extractor(state: Mapping[str, Tensor]) -> nn.Module:
    """Return LivePortrait's motion extractor, at the sizes of these tensors."""
    layers = "detector.downsample_layers.{}.{}.weight"
    widths = [_width(state, layers.format(i, 0 if i == 0 else 1), "motion_extractor.pth") for i in range(4)]
    depths = [len({name.split(".")[3] for name in state if name.startswith(f"detector.stages.{i}.")}) for i in range(4)]
    network = MotionExtractor(depths=depths, widths=widths)
    fill_network(network, {"motion_extractor.pth": state})
    return network


def encoder(state: Mapping[str, Tensor]) -> nn.Module:
    """Return the motion encoder, at the sizes of these tensors."""
    names = ("model.conv1.weight", "model.att_1.pos_embed.proj.weight")
    network = MotionEncoder(*(_width(state, name, "motion_encoder.pth") for name in names))
    fill_network(network, {"motion_encoder.pth": state})
    return network


def guider(state: Mapping[str, Tensor]) -> nn.Module:
    """Return the pose guider, at the sizes of these tensors."""
    names = ("conv_in.weight", "blocks.1.weight", "blocks.3.weight", "blocks.5.weight")
    widths = tuple(_width(state, name, "pose_guider.pth") for name in names)
    network = PoseGuider(_width(state, "conv_out_modify.weight", "pose_guider.pth"), widths)
    fill_network(network, {"pose_guider.pth": state})
    return network


def load_stock_network(kind: Any, folder: Path) -> Any:
    """Load a stock network from its own folder. Raises StudioError."""
    try:
        safe = any(folder.glob("*.safetensors"))
        return kind.from_pretrained(folder, local_files_only=True, use_safetensors=safe)
    except Exception as error:  # the libraries raise various exceptions for an invalid file
        said = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise StudioError(
            f"{folder} cannot be read as weights ({said}); `studio weights pull {OWN}` gets it."
        ) from None


def _width(state: Mapping[str, Tensor], name: str, file: str) -> int:
    if name not in state:
        raise StudioError(f"{file} has no tensor {name}; it is another network's: download it again.")
    return len(state[name])
