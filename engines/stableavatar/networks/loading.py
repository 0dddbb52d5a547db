"""Loading of the published files into networks on a device. Each function raises StudioError in one sentence."""

from pathlib import Path

import torch
from diffusers import AutoencoderKLWan
from safetensors import safe_open
from torch import Tensor
from transformers import CLIPVisionModel, UMT5EncoderModel, Wav2Vec2Model

from engines.stableavatar.networks.encoders import load_clip, load_hearing, load_text_encoder, load_vae
from engines.stableavatar.networks.filling import filled
from engines.stableavatar.networks.transformer import Sizes, Transformer
from engines.stableavatar.weights import BASE_TRANSFORMER, CLIP, HEARING, TEXT, TOKENIZER, VAE, Model
from shared.errors import StudioError
from shared.weights.checkpoint import load_state
from shared.weights.checkpoint_cache import converted


def load_transformer(
    model: Model, file: str, device: torch.device, dtype: torch.dtype, home: torch.device | None = None
) -> Transformer:
    """Load the transformer from one of the authors' files, and tensors that it lacks from the base's file.

    The result is converted to `dtype` once and cached. home: device where its blocks are stored while they are not
    computing.
    """
    own, base = model.folder / file, model.folder / BASE_TRANSFORMER

    def merged() -> dict[str, Tensor]:
        state = load_state(own)
        if absent := expected - state.keys():
            state = state | {name: each for name, each in load_state(base).items() if name in absent}
        return {name: each.to(dtype) for name, each in state.items() if name in expected}

    with torch.device("meta"):
        sizes = Sizes.of(model.config, _first(own))
        empty = Transformer(sizes)
    expected = empty.state_dict().keys()
    short = str(dtype).removeprefix("torch.")
    state = converted(f"stableavatar-{own.stem}-{short}", (own, base), merged)
    network: Transformer = filled(empty, state, own.name)
    network.to(home or device)
    if home is not None:
        for name, part in network.named_children():
            if name != "blocks":
                part.to(device)
        network.home = home
    return network


def _first(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file that determine its sizes; of the authors' pickles only accessed tensors are read."""
    state = load_state(path)
    needed = ("text_embedding.0.weight", "img_emb.proj.0.weight", "vocal_projector.proj_model.proj.weight")
    base = path.parents[1] / BASE_TRANSFORMER
    if any(name not in state for name in needed[:2]) and base.is_file():
        with safe_open(base, "pt") as file:
            state |= {name: file.get_tensor(name) for name in needed[:2] if name not in state}
    if absent := [name for name in needed if name not in state]:
        raise StudioError(f"{path} has no tensor {absent[0]}; it is another network's: download it again.")
    return state


def load_vae_file(model: Model, device: torch.device) -> AutoencoderKLWan:
    """Load the VAE, in float32."""
    return load_vae(load_state(model.folder / VAE)).to(device, torch.float32)


def load_text_file(model: Model, device: torch.device, dtype: torch.dtype) -> UMT5EncoderModel:
    """Load the text encoder."""
    return load_text_encoder(load_state(model.folder / TEXT)).to(device, dtype)


def load_clip_file(model: Model, device: torch.device) -> CLIPVisionModel:
    """Load CLIP's vision tower, in float32."""
    return load_clip(load_state(model.folder / CLIP)).to(device, torch.float32)


def load_hearing_folder(model: Model, device: torch.device) -> Wav2Vec2Model:
    """Load Wav2Vec 2.0, in float32."""
    return load_hearing(model.folder / HEARING).to(device, torch.float32).eval()


def text_tokens(model: Model, text: str, longest: int) -> Tensor:
    """Tokenise a text: (1, n), at most `longest`, ending with the end token."""
    from tokenizers import Tokenizer

    path = model.folder / TOKENIZER
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exception
        raise StudioError(f"{path} cannot be read ({error}); `studio weights pull stableavatar` gets it.") from None
    tokenizer.no_padding()
    tokenizer.enable_truncation(longest)
    return torch.tensor([tokenizer.encode(text).ids])
