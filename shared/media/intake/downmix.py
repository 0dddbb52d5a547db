"""Mixes sound of any layout and rate to one or two channels at 48 kHz and keeps the loudness of speech."""

from collections.abc import Iterator
from typing import Literal

import av
import numpy as np
from numpy.typing import NDArray

from shared.media.array_types import AudioSamples
from shared.runtime.clock import SOUND_RATE_HZ

# Weight of each channel in a mono mix; the centre usually carries the speech. Channels not listed weigh SURROUND.
_TO_MONO = {"FC": 1.0, "FL": 0.5, "FR": 0.5, "LFE": 0.0, "LFE2": 0.0}
# Weight of each channel in the left channel of a stereo mix; the right channel has the mirrored weights.
_TO_LEFT = {"FC": 1.0, "FL": 1.0, "FR": 0.0, "LFE": 0.0, "LFE2": 0.0, "BL": 0.5, "SL": 0.5, "FLC": 0.7, "BC": 0.35}
_MIRRORED = {"FL": "FR", "FR": "FL", "BL": "BR", "BR": "BL", "SL": "SR", "SR": "SL", "FLC": "FRC", "FRC": "FLC"}
_USUAL_5_1 = ("FL", "FR", "FC", "LFE", "BL", "BR")
SURROUND = 0.35
SILENT = 1 / 32  # share of the other channel's peak below which a channel counts as empty, as of a mono microphone
MOST_CHANNELS = 64  # FFmpeg mixes layouts with more channels

MixLayout = Literal["mono", "stereo"]


class Downmix:
    """Mixes the frames of one track, whose layout and rate may change within the track.

    The mix is never louder than the loudest channel.

    layout: layout of the result; for "stereo", two channels are not mixed.
    """

    def __init__(self, layout: MixLayout) -> None:
        self._layout = layout
        self._resampler: av.AudioResampler | None = None
        self._form: tuple[str, str, int] | None = None
        self._weights = np.zeros((0, 0))
        self._peaks = np.zeros(0)
        self._mixed_peak = 0.0

    def blocks(self, frame: av.AudioFrame | None) -> Iterator[tuple[av.AudioFrame, AudioSamples]]:
        """Add a frame; yield each block that it completes as (block with its pts, (n, channels) int16 at 48 kHz).

        frame: None for the last blocks.
        """
        if frame is None:
            yield from self._flush()
            return
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if form != self._form:
            yield from self._flush()
            self._open(frame)
            self._form = form
        assert self._resampler is not None
        for block in self._resampler.resample(frame):
            yield block, self._mix(block)

    def _flush(self) -> Iterator[tuple[av.AudioFrame, AudioSamples]]:
        if self._resampler is not None:
            for block in self._resampler.resample(None):
                yield block, self._mix(block)
        self._resampler = self._form = None

    def _open(self, frame: av.AudioFrame) -> None:
        count = frame.layout.nb_channels
        as_it_is = count == 1 or (count == 2 and self._layout == "stereo") or count > MOST_CHANNELS
        if as_it_is:
            self._weights = np.zeros((0, 0))
            self._resampler = av.AudioResampler(format="s16", layout=self._layout, rate=SOUND_RATE_HZ)
            return
        self._weights = _weights([channel.name for channel in frame.layout.channels], self._layout)
        self._peaks, self._mixed_peak = np.zeros(count), 0.0
        self._resampler = av.AudioResampler(format="flt", layout=frame.layout, rate=SOUND_RATE_HZ)

    def _mix(self, block: av.AudioFrame) -> AudioSamples:
        channels = 1 if self._layout == "mono" else 2
        if not self._weights.size:
            return np.asarray(block.to_ndarray(), np.int16).reshape(-1, channels)
        samples = np.asarray(block.to_ndarray(), np.float32).reshape(-1, len(self._peaks))
        planes = np.nan_to_num(samples, posinf=1.0, neginf=-1.0).T
        self._peaks = np.maximum(self._peaks, np.abs(planes).max(axis=1, initial=0.0))
        mixed: NDArray[np.float32] = (self._heard() @ planes).astype(np.float32)
        self._mixed_peak = max(self._mixed_peak, float(np.abs(mixed).max(initial=0.0)))
        loudest = float(self._peaks.max(initial=0.0))
        gain = min(1.0, loudest / self._mixed_peak) if self._mixed_peak > 0 else 1.0
        return np.asarray((mixed.T * (gain * 32767)).clip(-32768, 32767).round(), np.int16)

    def _heard(self) -> NDArray[np.float64]:
        """The mix's weights; for two channels of which one is empty, those of the other channel alone."""
        if self._layout == "mono" and len(self._peaks) == 2 and self._peaks.min() < SILENT * self._peaks.max():
            return np.asarray(self._peaks == self._peaks.max(), np.float64)[None]
        return self._weights


def _weights(names: list[str], layout: MixLayout) -> NDArray[np.float64]:
    """The (1 or 2, channels) weights of the channels in the mix."""
    if len(names) == len(_USUAL_5_1) and not set(names) & {"FC", "FL"}:
        names = list(_USUAL_5_1)  # a WAV often does not name its channels
    if layout == "mono":
        if not set(names) & {"FC", "FL", "FR"}:
            return np.full((1, len(names)), 1.0)  # several microphones: the gain follows the loudest
        return np.array([[_TO_MONO.get(name, SURROUND) for name in names]])
    left = [_TO_LEFT.get(name, 0.0 if name in _MIRRORED else SURROUND) for name in names]
    right = [_TO_LEFT.get(_MIRRORED.get(name, name), 0.0 if name in _MIRRORED else SURROUND) for name in names]
    if not set(names) & {"FC", "FL", "FR"}:
        left = right = [1.0] * len(names)
    return np.array([left, right])
