"""Cost of a clip, by formula: work in TFLOP, memory and disk in bytes.

Seconds by what this machine was measured to do.
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
SEEN_TOKENS, HEARD_TOKENS = 769, 17  # that a token attends to besides its window
DECODE_FLOP, ENCODE_FLOP = 3.4e7, 5.0e6  # of the VAE at full size: a latent frame's pixel, a frame's pixel
TEXT_TFLOP, CLIP_TFLOP, LISTEN_TFLOP = 4.0, 0.4, 0.1  # both prompts; the image; speech of a window
LATENT_BYTES = 16 * 4 / 64  # float32, a pixel of a latent frame
FULL_DIM = 1536
ENCODER_BYTES = 11.4e9 + 2.6e9  # text encoder in bfloat16, CLIP in float32: gone when the first window begins
VAE_BYTES = 0.51e9
ACTIVATIONS = 14  # times a window's tokens and channels that a block holds at once, three predictions together


@dataclass(frozen=True, slots=True)
class ClipWork:
    """TFLOP of a clip's units. window: one window of one step."""

    encode: float
    listen: float
    window: float
    decode: float

    def total(self, windows: int, steps: int) -> float:
        """Work of all units."""
        return self.encode + self.listen + self.window * windows * steps + self.decode


def work_of(model: Model, layout: Layout, size: tuple[int, int], predictions: int) -> ClipWork:
    """The work of a clip. predictions: of a window in a step."""
    pixels = size[0] * size[1]
    tokens = layout.span * pixels // PIXELS_PER_TOKEN**2
    dim, wide, layers = (int(model.config[name]) for name in ("dim", "ffn_dim", "num_layers"))
    attention = 8 * tokens * dim**2 + 4 * tokens**2 * dim
    cross = 4 * tokens * dim**2 + 4 * tokens * (SEEN_TOKENS + HEARD_TOKENS) * dim
    window = layers * (attention + cross + 4 * tokens * dim * wide) * predictions / TERA
    share = (dim / FULL_DIM) ** 2  # networks for tests are smaller all over
    encode = (TEXT_TFLOP + CLIP_TFLOP + ENCODE_FLOP * pixels * layout.window_frames / TERA) * share
    decode = DECODE_FLOP * pixels * layout.latents / TERA * share
    return ClipWork(encode, LISTEN_TFLOP * share * max(1, len(layout.windows)), window, decode)


def memory_needed(model: Model, size: tuple[int, int], layout: Layout, bytes_each: int, offload: str, rows: int) -> int:
    """Bytes of the device while windows are denoised; with encoders on the device at least theirs.

    rows: predictions at once.
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
    """Bytes of a number in the precision that the settings ask for."""
    return 4 if settings.precision == "fp32" else 2


def too_large(
    model: Model,
    size: tuple[int, int],
    layout: Layout,
    rows: int,
    settings: StableAvatarSettings,
    cards: Sequence[int],
) -> str:
    """One sentence when no GPU of this machine has enough memory, naming a mode that needs less; else "".

    cards: bytes of each. Without any the answer is "": a worker elsewhere may have one.
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
    """Bytes in the jobs folder until the clip is done: every window of every step keeps its latents."""
    window = LATENT_BYTES * size[0] * size[1] * layout.span * (2 if keeps_velocity else 1)
    return int(window * len(layout.windows) * steps)


def rate_file() -> Path:
    """Where it is written down what devices were measured to do."""
    return cache_folder() / "stableavatar-rates.json"


def measured_rates() -> dict[str, float]:
    """TFLOP a second by device, as windows were last measured; nothing where none was."""
    try:
        return {str(name): float(rate) for name, rate in json.loads(rate_file().read_bytes()).items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def note_rate(device: str, rate: float) -> None:
    """Write down what a device did. A cache that cannot be written only costs the estimate."""
    try:
        rate_file().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(rate_file(), json.dumps(measured_rates() | {device: round(rate, 3)}).encode(), 0o600)
    except OSError:
        pass
