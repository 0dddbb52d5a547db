"""The stock networks around the transformer, loaded from the published files into the libraries' classes.

Wan's VAE in diffusers; UMT5, CLIP's vision tower and Wav2Vec 2.0 in transformers. All reproduce the original's numbers
within 4e-6.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKLWan
from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModel, UMT5Config, UMT5EncoderModel, Wav2Vec2Model

from engines.stableavatar.networks.filling import filled
from shared.errors import StudioError

CLIP_HEADS, CLIP_PATCH_PX, CLIP_SIZE_PX = 16, 14, 224
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)  # of the images that CLIP was trained on
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
LATENT_CHANNELS = 16

UMT5_NAMES = {
    "norm1": "layer.0.layer_norm", "norm2": "layer.1.layer_norm",
    "attn.q": "layer.0.SelfAttention.q", "attn.k": "layer.0.SelfAttention.k",
    "attn.v": "layer.0.SelfAttention.v", "attn.o": "layer.0.SelfAttention.o",
    "pos_embedding.embedding": "layer.0.SelfAttention.relative_attention_bias",
    "ffn.gate.0": "layer.1.DenseReluDense.wi_0", "ffn.fc1": "layer.1.DenseReluDense.wi_1",
    "ffn.fc2": "layer.1.DenseReluDense.wo",
}  # fmt: skip
CLIP_NAMES = {
    "norm1": "layer_norm1", "norm2": "layer_norm2", "attn.proj": "self_attn.out_proj", "mlp.0": "mlp.fc1",
    "mlp.2": "mlp.fc2",
}  # fmt: skip
BLOCK = re.compile(r"(?:blocks|transformer)\.(\d+)\.(.+)\.(weight|bias)")


def load_vae(state: Mapping[str, Tensor]) -> AutoencoderKLWan:
    """Return Wan's VAE at the sizes of these tensors, named as in `Wan2.1_VAE.pth` or as in the library.

    Raises StudioError.
    """
    state = {name.removeprefix("model."): each for name, each in state.items()}
    if "encoder.conv1.weight" in state:
        state = convert_wan_vae_to_diffusers(state)
    with naming("the VAE"):
        base = len(state["encoder.conv_in.weight"])
    with torch.device("meta"):
        network = AutoencoderKLWan(base_dim=base, z_dim=LATENT_CHANNELS)
    return filled(network, state, "Wan2.1_VAE.pth")


def load_text_encoder(state: Mapping[str, Tensor]) -> UMT5EncoderModel:
    """Return UMT5's encoder at the sizes of these tensors. Raises StudioError."""
    with naming("the text encoder"):
        vocabulary, width = state["token_embedding.weight"].shape
        buckets, heads = state["blocks.0.pos_embedding.embedding.weight"].shape
        config = UMT5Config(
            vocab_size=vocabulary,
            d_model=width,
            d_kv=len(state["blocks.0.attn.q.weight"]) // heads,
            d_ff=len(state["blocks.0.ffn.fc1.weight"]),
            num_layers=layers(state),
            num_heads=heads,
            relative_attention_num_buckets=buckets,
            relative_attention_max_distance=128,
            feed_forward_proj="gated-gelu",
            dropout_rate=0.0,
        )
    named: dict[str, Tensor] = {"encoder.final_layer_norm.weight": state["norm.weight"]}
    named["shared.weight"] = named["encoder.embed_tokens.weight"] = state["token_embedding.weight"]
    for name, tensor in state.items():
        if (match := BLOCK.fullmatch(name)) and match[2] in UMT5_NAMES:
            named[f"encoder.block.{match[1]}.{UMT5_NAMES[match[2]]}.{match[3]}"] = tensor
    with torch.device("meta"):
        network = UMT5EncoderModel(config)
    return filled(network, named, "models_t5_umt5-xxl-enc-bf16.pth")


def load_clip(state: Mapping[str, Tensor], heads: int = CLIP_HEADS) -> CLIPVisionModel:
    """Return CLIP's vision tower, from a file that also contains the text tower. Raises StudioError."""
    state = {name.split("visual.", 1)[1]: each for name, each in state.items() if "visual." in name}
    with naming("CLIP"):
        width = len(state["patch_embedding.weight"])
        config = CLIPVisionConfig(
            hidden_size=width,
            intermediate_size=len(state["transformer.0.mlp.0.weight"]),
            num_hidden_layers=layers(state),
            num_attention_heads=heads,
            image_size=CLIP_SIZE_PX,
            patch_size=CLIP_PATCH_PX,
            hidden_act="gelu",
            layer_norm_eps=1e-5,
        )
        named = {
            "embeddings.patch_embedding.weight": state["patch_embedding.weight"],
            "embeddings.class_embedding": state["cls_embedding"].flatten(),
            "embeddings.position_embedding.weight": state["pos_embedding"][0],
        }
    for end in ("weight", "bias"):
        named[f"pre_layrnorm.{end}"] = state[f"pre_norm.{end}"]
        named[f"post_layernorm.{end}"] = state.get(
            f"post_norm.{end}", torch.zeros(width)
        )  # unused, as is the last layer
    for name, tensor in state.items():
        match = BLOCK.fullmatch(name)
        if match and match[2] == "attn.to_qkv":
            for which, third in zip("qkv", tensor.chunk(3), strict=True):
                named[f"encoder.layers.{match[1]}.self_attn.{which}_proj.{match[3]}"] = third
        elif match and match[2] in CLIP_NAMES:
            named[f"encoder.layers.{match[1]}.{CLIP_NAMES[match[2]]}.{match[3]}"] = tensor
    with torch.device("meta"):
        network = CLIPVisionModel(config)
    if any(name.startswith("vision_model.") for name in network.state_dict()):
        named = {f"vision_model.{name}": tensor for name, tensor in named.items()}
    return filled(network, named, "models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth")


def load_hearing(folder: Path) -> Wav2Vec2Model:
    """Load Wav2Vec 2.0 from its own folder. Raises StudioError."""
    try:
        safe = any(folder.glob("*.safetensors"))
        return Wav2Vec2Model.from_pretrained(folder, local_files_only=True, use_safetensors=safe)
    except Exception as error:  # the library raises various exceptions for an invalid file
        said = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise StudioError(
            f"{folder} cannot be read as weights ({said}); `studio weights pull stableavatar` gets it."
        ) from None


class naming:
    """Context manager that reports a file without a network's characteristic tensors as the wrong file."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if isinstance(error, KeyError | ValueError):
            raise StudioError(f"{self.what} of StableAvatar has no tensor {error}; download its file again.") from None


def layers(state: Mapping[str, Tensor]) -> int:
    """Return the number of blocks that these tensors contain."""
    return 1 + max((int(match[1]) for name in state if (match := BLOCK.fullmatch(name))), default=-1)


def latent_scale(vae: AutoencoderKLWan) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of the VAE's latents, (1, 16, 1, 1, 1) each.

    The transformer's latents are normalised by them.
    """
    numbers = (vae.config.latents_mean, vae.config.latents_std)
    mean, deviation = (torch.tensor(each, device=vae.device).view(1, -1, 1, 1, 1) for each in numbers)
    return mean, deviation


def encode_video(vae: AutoencoderKLWan, pixels: Tensor) -> Tensor:
    """Encode pixels: (1, 3, n, h, w) in -1..1 -> (1, 16, (n - 1) // 4 + 1, h / 8, w / 8), the distribution's mode."""
    mean, deviation = latent_scale(vae)
    mode: Tensor = vae.encode(pixels.to(vae.device, vae.dtype)).latent_dist.mode()
    return (mode - mean) / deviation


def see_image(clip: CLIPVisionModel, image: Tensor) -> Tensor:
    """Return the hidden states before CLIP's last layer: (3, h, w) in -1..1 -> (1, 257, channels).

    The image is squashed to a square, as in the training.
    """
    small = F.interpolate(image[None], (CLIP_SIZE_PX, CLIP_SIZE_PX), mode="bicubic", align_corners=False).float()
    mean, deviation = (torch.tensor(each).view(1, 3, 1, 1) for each in (CLIP_MEAN, CLIP_STD))
    pixels = (small * 0.5 + 0.5 - mean) / deviation
    found: Tensor = clip(pixels.to(clip.device, clip.dtype), output_hidden_states=True).hidden_states[-2]
    return found


def encode_text(encoder: UMT5EncoderModel, tokens: Tensor) -> Tensor:
    """Encode a text: (1, n) tokens, the last of them the end token -> (n, channels).

    Padding would not change these values.
    """
    found: Tensor = encoder(input_ids=tokens.to(encoder.device)).last_hidden_state[0]
    return found


def hear(network: Wav2Vec2Model, sound: Tensor) -> Tensor:
    """Compute speech features: (n,) samples at 16 kHz, normalised -> (1, about n / 320, channels)."""
    found: Tensor = network(sound[None].to(network.device, network.dtype)).last_hidden_state
    return found


def freed(*networks: nn.Module) -> None:
    """Release the networks' memory; their tensors are lost."""
    for network in networks:
        network.to("meta")
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
