"""Paths of the authors' files below the weights folder, and the model's sizes from the base's config.json.

Reads no model.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.stableavatar.layout import SPAN
from shared.errors import StudioError
from shared.weights.manifest import weights_folder

OWN, BASE = "StableAvatar-1.3B", "Wan2.1-Fun-V1.1-1.3B-InP"
SQUARE, OBLONG = f"{OWN}/transformer3d-square.pt", f"{OWN}/transformer3d-rec-vec.pt"
BASE_TRANSFORMER, CONFIG = f"{BASE}/diffusion_pytorch_model.safetensors", f"{BASE}/config.json"
VAE, TEXT = f"{BASE}/Wan2.1_VAE.pth", f"{BASE}/models_t5_umt5-xxl-enc-bf16.pth"
CLIP = f"{BASE}/models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth"
TOKENIZER, HEARING = f"{BASE}/google/umt5-xxl/tokenizer.json", "wav2vec2-base-960h"
TRAINED = ((512, 512), (480, 832), (832, 480))  # width, height
TINY = 256  # channels up to which a CPU is sufficient; only networks for tests have so few
PIXELS_PER_TOKEN = 16


@dataclass(frozen=True, slots=True)
class Model:
    """Description of the model whose weights are in a folder.

    trained: sizes that it was trained with, (width, height). span: latent frames of a window. config: the transformer's
        configuration.
    """

    folder: Path
    trained: tuple[tuple[int, int], ...]
    span: int
    config: Mapping[str, Any]

    @property
    def tiny(self) -> bool:
        """Whether the networks are so small that a CPU is sufficient."""
        return int(self.config["dim"]) <= TINY

    def size(self, wanted: str, shape: tuple[int, int]) -> tuple[int, int]:
        """Return width and height to compute: `wanted` as "WxH", or for "auto" the trained size nearest in shape.

        Raises StudioError.
        """
        if wanted == "auto":
            slope = shape[0] / shape[1]
            return min(self.trained, key=lambda size: max(size[0] / size[1] / slope, slope / (size[0] / size[1])))
        width, height = map(int, wanted.split("x"))
        return width, height

    def own(self, name: str) -> str:
        """Return the path of a user's own file, stored beside the authors'. Raises StudioError if it does not exist."""
        if not (self.folder / OWN / name).is_file():
            raise StudioError(f"{name} is not in {self.folder / OWN}; put it there, or name another one.")
        return f"{OWN}/{name}"

    def transformer(self, size: tuple[int, int], own: str = "") -> str:
        """Return the transformer's path for a size, or a user's own. Raises StudioError if it does not exist."""
        if own:
            return self.own(own)
        name = SQUARE if size[0] == size[1] else OBLONG
        if not (self.folder / name).is_file():
            raise StudioError(
                f"{size[0]}x{size[1]} needs {name}, which is not in {self.folder}; `studio weights pull stableavatar "
                "--all` gets it, or choose another size."
            )
        return name


def read_model(folder: Path | None = None) -> Model:
    """Describe the model in the weights folder. Raises StudioError.

    The config.json of a model for tests states its own sizes.
    """
    folder = folder or weights_folder()
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        for name in ("dim", "num_heads", "num_layers", "ffn_dim", "freq_dim", "in_dim", "out_dim"):
            int(config[name])
        trained = tuple((int(width), int(height)) for width, height in config.get("studio_sizes", TRAINED))
        return Model(folder, trained, int(config.get("studio_span", SPAN)), config)
    except (OSError, ValueError, TypeError, KeyError) as error:
        why = f"it says no {error}" if isinstance(error, KeyError) else str(error)
        raise StudioError(f"{path} cannot be read ({why}); `studio weights pull stableavatar` gets it.") from None
