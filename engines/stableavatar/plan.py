"""Facts of a clip that need no model: its options, its layout, and the number of predictions per window."""

import json
from pathlib import Path

from engines.clip import Clip
from engines.stableavatar.layout import SPEECH_RATE_HZ, Layout, fixed_layout, original_layout
from engines.stableavatar.options import StableAvatarOptions
from engines.stableavatar.weights import Model
from shared.errors import StudioError
from shared.media.unbroken_sound import unbroken_sound
from shared.runtime.clock import SOUND_RATE_HZ

COUNT = "speech.json"  # file in which the unit "listen" records the speech's length


def options_of(clip: Clip) -> StableAvatarOptions:
    """Return the clip's options."""
    assert isinstance(clip.options, StableAvatarOptions)
    return clip.options


def layout_of(clip: Clip, options: StableAvatarOptions, model: Model, samples: int | None = None) -> Layout:
    """Return the clip's layout.

    samples: number of samples of its speech, if they were counted already; only the original's layout uses it. Raises
        StudioError.
    """
    if not 1 <= clip.rate <= 60:
        raise StudioError(f"StableAvatar makes 1 to 60 frames a second, not {float(clip.rate):g}; choose another rate.")
    overlap = min(options.overlap, model.span - 1)
    if options.mode == "fixed":
        return fixed_layout(clip.ticks, clip.rate, overlap, model.span)
    return original_layout(
        samples if samples is not None else count_samples(clip.driver), clip.rate, overlap, model.span
    )


def count_samples(driver: Path) -> int:
    """Return the number of samples at 16 kHz in a driver's sound. Raises StudioError."""
    held = sum(len(block) for block in unbroken_sound(driver))
    return held * SPEECH_RATE_HZ // SOUND_RATE_HZ


def read_count(folder: Path) -> int:
    """Return the number of sound samples, as recorded by the unit that read them."""
    return int(json.loads((folder / COUNT).read_text(encoding="utf-8"))["samples"])


def write_count(folder: Path, samples: int) -> None:
    """Record the number of speech samples."""
    (folder / COUNT).write_text(json.dumps({"samples": samples}), encoding="utf-8")


def predictions(options: StableAvatarOptions) -> int:
    """Return the number of predictions per window and step: guidance compares up to three."""
    if options.text_guidance == options.audio_guidance == 1:
        return 1
    return 2 if options.audio_guidance == 1 and options.mode == "fixed" else 3
