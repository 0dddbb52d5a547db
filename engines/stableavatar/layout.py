"""Layout of a clip: video frames, latent frames, the windows that are denoised one by one, and the speech of each.

A latent frame represents four video frames, the first latent frame only one. Windows of 21 latent frames (81 frames)
overlap, and each step blends them where they do. `original_layout` divides a clip as StableAvatar does, including its
faults. `fixed_layout` divides it so that every window is complete, uses speech of the same length as its frames, and
the clip is as long as the speech to within one frame.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from shared.errors import StudioError

SPEECH_RATE_HZ = 16_000
SPAN = 21  # latent frames of a window
PER_LATENT = 4


@dataclass(frozen=True, slots=True)
class LatentWindow:
    """Latent frames from `start` to before `stop`, and the speech samples that they use.

    sound: number of the first sample and the one after the last; samples beyond the end of the speech are silence.
        blended: how many of its first latent frames are blended with earlier windows.
    """

    number: int
    start: int
    stop: int
    sound: tuple[int, int]
    blended: int

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Layout:
    """Division of a clip into windows.

    span: latent frames of a complete window. latents: latent frames of the clip. frames: video frames of the result.
        windows: in order; empty where the original runs none. original: divided as the original does.
    """

    span: int
    latents: int
    frames: int
    windows: tuple[LatentWindow, ...]
    original: bool

    @property
    def window_frames(self) -> int:
        """Video frames of a complete window."""
        return PER_LATENT * (self.span - 1) + 1

    def beside(self, window: LatentWindow) -> Iterator[LatentWindow]:
        """Yield the windows that share a latent frame with this one, including itself, in order."""
        return (each for each in self.windows if each.start < window.stop and each.stop > window.start)


def fixed_layout(ticks: int, rate: Fraction, overlap: int, span: int = SPAN) -> Layout:
    """Return the layout for `ticks` video frames.

    The last window is complete and overlaps its neighbour as far as necessary; a clip shorter than a window gets one
    window. Raises StudioError.
    """
    check_overlap(overlap, 1, span)
    latents = max(span, 1 + -(-(ticks - 1) // PER_LATENT))
    starts = [*range(0, latents - span, span - overlap), latents - span]
    frames = PER_LATENT * (span - 1) + 1
    windows = [
        LatentWindow(
            number=number,
            start=start,
            stop=start + span,
            sound=(sample_at(PER_LATENT * start, rate), sample_at(PER_LATENT * start + frames, rate)),
            blended=starts[number - 1] + span - start if number else 0,
        )
        for number, start in enumerate(starts)
    ]
    return Layout(span, latents, ticks, tuple(windows), original=False)


def original_layout(samples: int, rate: Fraction, overlap: int, span: int = SPAN) -> Layout:
    """Return the original's layout for this many samples. Raises StudioError where the original fails."""
    check_overlap(overlap, 2, span)
    a_frame = int(SPEECH_RATE_HZ / rate)
    latents = (samples // a_frame - 1) // PER_LATENT + 1
    if latents == span:
        raise StudioError(
            f"The original program never finishes speech of exactly one window ({PER_LATENT * span - 3} to "
            f"{PER_LATENT * span} frames); choose mode=fixed, or speech that is a little longer."
        )
    windows, start, stop = list[LatentWindow](), 0, span
    while stop <= latents:
        last = stop == latents
        sound = (start * PER_LATENT * a_frame, samples if last else stop * PER_LATENT * a_frame)
        windows.append(LatentWindow(len(windows), start, stop, sound, overlap if start else 0))
        if last:
            break
        start += span - overlap
        stop = min(start + span, latents)
    return Layout(span, latents, PER_LATENT * (latents - 1) + 1, tuple(windows), original=True)


def sample_at(frame: int, rate: Fraction) -> int:
    """Return the number of the speech sample at which a video frame begins, rounded to the nearest."""
    return round(frame * SPEECH_RATE_HZ / rate)


def check_overlap(overlap: int, least: int, span: int) -> None:
    """Raise StudioError if windows cannot overlap by this many latent frames."""
    if not least <= overlap < span:
        why = " (the original divides by zero at 1)" if overlap == 1 else ""
        raise StudioError(f"Windows can overlap by {least} to {span - 1} latent frames, not by {overlap}{why}.")
