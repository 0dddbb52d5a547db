"""Estimated cost of a clip, by formula: work in TFLOP, memory and disk in bytes.

Seconds follow from the measured speed of this machine.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from engines.stableavatar.layout import Layout
from engines.stableavatar.settings import Offload, StableAvatarSettings
from engines.stableavatar.weights import PIXELS_PER_TOKEN, Model
from shared.config.cache_dir import cache_folder
from shared.runtime.files import write_atomically

TERA = 1e12
SEEN_TOKENS, HEARD_TOKENS = 769, 17  # tokens of image and text, and of speech, that a token attends to in addition
DECODE_FLOP, ENCODE_FLOP = 3.4e7, 5.0e6  # of the VAE at full size, per pixel of a latent frame and per pixel of a frame
TEXT_TFLOP, CLIP_TFLOP, LISTEN_TFLOP = 4.0, 0.4, 0.1  # both prompts; the image; speech of a window
LATENT_BYTES = 16 * 4 / 64  # float32, per pixel of a latent frame
FULL_DIM = 1536
ENCODER_BYTES = 11.4e9 + 2.6e9  # text encoder in bfloat16, CLIP in float32; released before the first window begins
VAE_BYTES = 0.51e9
ACTIVATIONS = 14  # memory of a block's activations in units of tokens times channels, for three predictions together


@dataclass(frozen=True, slots=True)
class ClipWork:
    """Work of a clip's units in TFLOP. window: one window of one step."""

    encode: float
    listen: float
    window: float
    decode: float

    def total(self, windows: int, steps: int) -> float:
        """Return the work of all units."""
        return self.encode + self.listen + self.window * windows * steps + self.decode


def work_of(model: Model, layout: Layout, size: tuple[int, int], predictions: int) -> ClipWork:
    """Return the work of a clip. predictions: number per window and step."""
    pixels = size[0] * size[1]
    tokens = layout.span * pixels // PIXELS_PER_TOKEN**2
    dim, wide, layers = (int(model.config[name]) for name in ("dim", "ffn_dim", "num_layers"))
    attention = 8 * tokens * dim**2 + 4 * tokens**2 * dim
    cross = 4 * tokens * dim**2 + 4 * tokens * (SEEN_TOKENS + HEARD_TOKENS) * dim
    window = layers * (attention + cross + 4 * tokens * dim * wide) * predictions / TERA
    share = (dim / FULL_DIM) ** 2  # networks for tests are smaller in all parts
    encode = (TEXT_TFLOP + CLIP_TFLOP + ENCODE_FLOP * pixels * layout.window_frames / TERA) * share
    decode = DECODE_FLOP * pixels * layout.latents / TERA * share
    return ClipWork(encode, LISTEN_TFLOP * share * max(1, len(layout.windows)), window, decode)


def memory_needed(model: Model, size: tuple[int, int], layout: Layout, bytes_each: int, offload: str, rows: int) -> int:
    """Return the device memory in bytes that denoising needs, at least that of the encoders if they are on the device.

    rows: predictions computed together.
    """
    dim, wide, layers = (int(model.config[name]) for name in ("dim", "ffn_dim", "num_layers"))
    block = (12 * dim**2 + 2 * dim * wide) * bytes_each
    tokens = layout.span * size[0] * size[1] // PIXELS_PER_TOKEN**2
    weights = block if offload == "blocks" else block * layers + 0.36e9 * (dim / FULL_DIM) ** 2 * bytes_each / 2
    seen = 4 * SEEN_TOKENS * dim * layers * bytes_each * rows / 2
    share = (dim / FULL_DIM) ** 2
    denoise = weights + seen + ACTIVATIONS * tokens * dim * bytes_each * rows + VAE_BYTES * share
    encode = (ENCODER_BYTES if offload == "none" else 0) * share
    return int(max(denoise, encode))


def bytes_each(settings: StableAvatarSettings) -> int:
    """Return the bytes per number in the precision that the settings select."""
    return 4 if settings.precision == "fp32" else 2


def too_large(
    model: Model,
    size: tuple[int, int],
    layout: Layout,
    rows: int,
    settings: StableAvatarSettings,
    cards: Sequence[int],
) -> str:
    """Return a sentence if no GPU of this machine has enough memory, else "".

    The sentence suggests a mode that needs less memory. cards: memory of each GPU in bytes. Without any GPU the result
    is "", because a worker elsewhere may have one.
    """
    if not cards or settings.device == "cpu":
        return ""
    needs = {mode: memory_needed(model, size, layout, bytes_each(settings), mode, rows) for mode in get_args(Offload)}
    needed, most = needs[settings.offload], max(cards)
    if needed <= most:
        return ""
    modes = [mode for mode, bytes_ in needs.items() if bytes_ <= most]
    otherwise = (
        f"set STUDIO_STABLEAVATAR_OFFLOAD={modes[0]}, which needs {needs[modes[0]] / 1e9:.1f} GB"
        if modes
        else "choose a smaller size or another machine"
    )
    return (
        f"StableAvatar needs about {needed / 1e9:.1f} GB of the GPU's memory for this clip, and the largest card here "
        f"has {most / 1e9:.1f} GB; {otherwise}."
    )


def disk_needed(layout: Layout, size: tuple[int, int], steps: int, keeps_velocity: bool) -> int:
    """Return the bytes needed in the jobs folder until the clip is done: every window and step keeps its latents."""
    window = LATENT_BYTES * size[0] * size[1] * layout.span * (2 if keeps_velocity else 1)
    return int(window * len(layout.windows) * steps)


def rate_file() -> Path:
    """Return the path of the file that records the measured speed of devices."""
    return cache_folder() / "stableavatar-rates.json"


def measured_rates() -> dict[str, float]:
    """Return the last measured speed of each device in TFLOP per second; empty if none was measured."""
    try:
        return {str(name): float(rate) for name, rate in json.loads(rate_file().read_bytes()).items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def note_rate(device: str, rate: float) -> None:
    """Record a device's speed. If the cache cannot be written, only the estimate is affected."""
    try:
        rate_file().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(rate_file(), json.dumps(measured_rates() | {device: round(rate, 3)}).encode(), 0o600)
    except OSError:
        pass
