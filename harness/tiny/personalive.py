"""`python -m harness.tiny.personalive FOLDER`: a weights folder of PersonaLive's layout with tiny random networks.

For testing the engine on any CPU; its output is noise. Every tensor is computed from its name.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from engines.liveportrait.networks.motion_extractor import MotionExtractor
from engines.personalive.networks.motion_encoder import MotionEncoder
from engines.personalive.networks.pose_guider import PoseGuider
from engines.personalive.networks.unet import DenoisingUNet, ReferenceUNet
from harness.by_rule import by_rule, calmed, place_key_points

WIDTHS, CONTEXT = (32, 32, 32, 32), 32
UNET: dict[str, Any] = {
    "act_fn": "silu",
    "attention_head_dim": 1,
    "block_out_channels": list(WIDTHS),
    "cross_attention_dim": CONTEXT,
    "in_channels": 4,
    "layers_per_block": 1,
    "norm_num_groups": 32,
    "out_channels": 4,
    "sample_size": 64,
}
VIVID = 4.0  # factor on the small decoder's last layer, without which its frames are almost black


def make_weights(folder: Path) -> None:
    """Write the weights folder in the authors' layout."""
    own, base = folder / "personalive", folder / "sd-image-variations-diffusers"
    (base / "unet").mkdir(parents=True, exist_ok=True)
    own.mkdir(parents=True, exist_ok=True)
    denoising = calmed(by_rule(DenoisingUNet(**UNET), "denoising"))
    state = denoising.state_dict()
    temporal = {name: tensor for name, tensor in state.items() if "temporal_modules" in name}
    torch.save({name: tensor for name, tensor in state.items() if "_modules" not in name}, base / "unet" / BIN)
    torch.save({name: tensor for name, tensor in state.items() if name not in temporal}, own / "denoising_unet.pth")
    torch.save(temporal, own / "temporal_module.pth")
    (base / "unet" / "config.json").write_text(
        json.dumps({"_class_name": "UNet2DConditionModel", **UNET}), encoding="utf-8"
    )
    others: dict[str, Any] = {
        "reference_unet": ReferenceUNet(**UNET),
        "motion_encoder": MotionEncoder(16, 64),
        "pose_guider": PoseGuider(WIDTHS[0], (4, 8, 8, 16)),
        "motion_extractor": MotionExtractor(depths=(1, 1, 2, 1), widths=(8, 16, 24, 32)),
    }
    place_key_points(by_rule(others["motion_extractor"], "motion_extractor"))
    for name, network in others.items():
        state = network.state_dict() if name == "motion_extractor" else by_rule(network, name).state_dict()
        torch.save(state, own / f"{name}.pth")
    clip = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=224,
        patch_size=32,
        projection_dim=CONTEXT,
    )
    by_rule(CLIPVisionModelWithProjection(clip), "clip").save_pretrained(base / "image_encoder")
    by_rule(tiny_vae(), "vae").save_pretrained(folder / "sd-vae-ft-mse", safe_serialization=False)
    small = by_rule(small_vae(), "taesd")
    last = small.decoder.layers[-1]
    last.weight.data.mul_(VIVID)
    last.bias.data.fill_(0.5)
    small.save_pretrained(folder / "taesd")


BIN = "diffusion_pytorch_model.bin"


def tiny_vae() -> AutoencoderKL:
    """Return a VAE with eight channels and random weights."""
    return AutoencoderKL(
        block_out_channels=(8, 8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        norm_num_groups=8,
    )


def small_vae() -> AutoencoderTiny:
    """Return a small autoencoder (TAESD) with eight channels and random weights."""
    return AutoencoderTiny(
        encoder_block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8),
        num_encoder_blocks=(1, 1, 1, 1),
        num_decoder_blocks=(1, 1, 1, 1),
    )


def main() -> int:
    """Write the weights into the folder given on the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    make_weights(parser.parse_args().folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
