"""Speech in the model's form: 16 kHz, normalised, cut into the stretch of each window."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engines.stableavatar.layout import SPEECH_RATE_HZ, LatentWindow, Layout
from shared.media.reader import MediaSource
from shared.media.unbroken_sound import unbroken_sound
from shared.runtime.clock import SOUND_RATE_HZ

Samples = NDArray[np.float32]
TINY = 1e-7  # added to the variance, as in Wav2Vec 2.0's own normalisation


def write_speech(driver: MediaSource, path: Path, progress: Callable[[], None]) -> Samples:
    """Write a driver's sound at 16 kHz into a file of float32, and return the file as a memory-mapped array.

    Memory does not grow with the length of the sound. Raises StudioError.
    """
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SPEECH_RATE_HZ)
    with path.open("wb") as file:
        for block in unbroken_sound(driver):
            frame = av.AudioFrame.from_ndarray(block[None], format="s16", layout="mono")
            frame.sample_rate = SOUND_RATE_HZ
            for out in resampler.resample(frame):
                file.write(out.to_ndarray().astype(np.float32).tobytes())
            progress()
        for out in resampler.resample(None):
            file.write(out.to_ndarray().astype(np.float32).tobytes())
    return np.memmap(path, np.float32, "r") if path.stat().st_size else np.zeros(0, np.float32)


def level_of(speech: Samples) -> tuple[float, float]:
    """Return mean and standard deviation of the whole speech, computed in blocks."""
    count, total, squares = max(len(speech), 1), 0.0, 0.0
    for at in range(0, len(speech), SPEECH_RATE_HZ):
        block = np.asarray(speech[at : at + SPEECH_RATE_HZ], np.float64)
        total, squares = total + float(block.sum()), squares + float((block * block).sum())
    mean = total / count
    return mean, float(np.sqrt(max(squares / count - mean * mean, 0.0) + TINY))


def heard_by(window: LatentWindow, layout: Layout, speech: Samples, level: tuple[float, float]) -> Tensor:
    """Return a window's speech, (n,) float32, normalised.

    It is normalised with the level of the whole speech, so that a pause stays silent and neighbouring windows agree.
    The original's layout uses the level of this stretch alone, as the original does. Beyond the end there is silence.
    """
    begin, end = window.sound
    if layout.original:  # indices wrap around, which affects only its last full window
        stretch = np.asarray(speech[np.arange(begin, end) % max(len(speech), 1)], np.float32)
        normal = (stretch - stretch.mean()) / np.sqrt(stretch.var() + TINY)
        return torch.from_numpy(np.asarray(normal, np.float32))
    mean, deviation = level
    normal = np.zeros(end - begin, np.float32)
    held = np.asarray(speech[begin:end], np.float64)
    normal[: len(held)] = (held - mean) / deviation
    return torch.from_numpy(normal)
