"""`python -m harness.tiny.stableavatar FOLDER`: a weights folder of StableAvatar's layout with tiny random networks.

For testing the engine on any CPU; its output is noise. Every tensor is computed from its name.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLWan
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModel, UMT5Config, UMT5EncoderModel, Wav2Vec2Config, Wav2Vec2Model

from engines.stableavatar.networks.transformer import Sizes, Transformer
from engines.stableavatar.weights import (
    BASE_TRANSFORMER,
    CLIP,
    CONFIG,
    HEARING,
    OBLONG,
    SQUARE,
    TEXT,
    TOKENIZER,
    VAE,
)
from harness.by_rule import by_rule

SIDE_PX, SPAN = 32, 5
WIDTH, HEADS, TEXT_WIDTH, CLIP_WIDTH, AUDIO_WIDTH, WORDS = 48, 4, 32, 32, 32, 300
CONFIG_JSON: dict[str, Any] = {
    "model_type": "i2v", "dim": WIDTH, "ffn_dim": 64, "num_heads": HEADS, "num_layers": 2, "freq_dim": 32, "in_dim": 36,
    "out_dim": 16, "text_len": 512, "studio_sizes": [[SIDE_PX, SIDE_PX]], "studio_span": SPAN,
}  # fmt: skip


def make_weights(folder: Path) -> None:
    """Write the weights folder in the authors' layout."""
    for name in (SQUARE, CONFIG, TOKENIZER, f"{HEARING}/config.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(json.dumps(CONFIG_JSON), encoding="utf-8")
    sizes = Sizes(
        dim=WIDTH, heads=HEADS, layers=2, feed_forward=64, frequencies=32, text_width=TEXT_WIDTH, clip_width=CLIP_WIDTH,
        audio_width=AUDIO_WIDTH,
    )  # fmt: skip
    state = by_rule(Transformer(sizes), "transformer").state_dict()
    torch.save(state, folder / SQUARE)
    torch.save(state, folder / OBLONG)
    save_file({name: each for name, each in state.items() if "vocal" not in name}, folder / BASE_TRANSFORMER)
    torch.save(by_rule(AutoencoderKLWan(base_dim=8, z_dim=16), "vae").state_dict(), folder / VAE)
    torch.save(text_state(), folder / TEXT)
    torch.save(clip_state(), folder / CLIP)
    hearing = Wav2Vec2Config(
        hidden_size=AUDIO_WIDTH, num_hidden_layers=1, num_attention_heads=4, intermediate_size=32, conv_dim=(8,) * 7,
        num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4,
    )  # fmt: skip
    by_rule(Wav2Vec2Model(hearing), "hearing").save_pretrained(folder / HEARING)
    letters = {chr(97 + i): i + 3 for i in range(26)} | {"<pad>": 0, "</s>": 1, "<unk>": 2}
    tokenizer = Tokenizer(models.WordLevel(letters, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer.save(str(folder / TOKENIZER))


def text_state() -> dict[str, Tensor]:
    """Return the text encoder's weights under the published names."""
    from engines.stableavatar.networks.encoders import UMT5_NAMES

    config = UMT5Config(
        vocab_size=WORDS, d_model=TEXT_WIDTH, d_kv=8, d_ff=32, num_layers=1, num_heads=4, feed_forward_proj="gated-gelu"
    )
    state = by_rule(UMT5EncoderModel(config), "text").state_dict()
    back = {theirs: ours for ours, theirs in UMT5_NAMES.items()}
    found = {"token_embedding.weight": state["shared.weight"], "norm.weight": state["encoder.final_layer_norm.weight"]}
    for name, tensor in state.items():
        parts = name.removesuffix(".weight").split(".", 3)
        if name.startswith("encoder.block."):
            found[f"blocks.{parts[2]}.{back[parts[3]]}.weight"] = tensor
    return found


def clip_state() -> dict[str, Tensor]:
    """Return the vision encoder's weights under the published names."""
    from engines.stableavatar.networks.encoders import CLIP_NAMES

    config = CLIPVisionConfig(
        hidden_size=CLIP_WIDTH,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=16,
        image_size=224,
        patch_size=14,
    )
    state = by_rule(CLIPVisionModel(config), "clip").state_dict()
    state = {name.removeprefix("vision_model."): each for name, each in state.items()}
    found = {
        "patch_embedding.weight": state["embeddings.patch_embedding.weight"],
        "cls_embedding": state["embeddings.class_embedding"].view(1, 1, -1),
        "pos_embedding": state["embeddings.position_embedding.weight"][None],
    }
    for end in ("weight", "bias"):
        found[f"pre_norm.{end}"] = state[f"pre_layrnorm.{end}"]
        for layer in range(2):
            stem = f"encoder.layers.{layer}"
            parts = [state[f"{stem}.self_attn.{which}_proj.{end}"] for which in "qkv"]
            found[f"transformer.{layer}.attn.to_qkv.{end}"] = torch.cat(parts)
            for theirs, ours in CLIP_NAMES.items():
                found[f"transformer.{layer}.{theirs}.{end}"] = state[f"{stem}.{ours}.{end}"]
    return {f"visual.{name}": each.contiguous() for name, each in found.items()}


def main() -> int:
    """Write the weights into the folder given on the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    make_weights(parser.parse_args().folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
