"""How a clip lies: frames of video, latent frames, the windows that are denoised one by one, and the speech of each.

A latent frame is four frames of video, the first of all just one. Windows of 21 latent frames (81 frames) overlap;
where they do, a step blends them. `original_layout` cuts as StableAvatar does, faults and all; `fixed_layout` cuts so
that every window is whole, hears as many frames as it shows, and the clip is as long as the speech to one frame.
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
    """Latent frames from `start` to before `stop`, and the speech samples that they hear.

    Those are from `sound[0]` to before `sound[1]`; samples beyond the speech's end are silence. blended: of its first
    latent frames so many are blended with earlier windows.
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
    """How a clip is cut into windows.

    span: latent frames of a whole window. latents: of the clip. frames: of video that come out. windows: in order; none
    where the original runs none. original: cut as the original does.
    """

    span: int
    latents: int
    frames: int
    windows: tuple[LatentWindow, ...]
    original: bool

    @property
    def window_frames(self) -> int:
        """Frames of video of a whole window."""
        return PER_LATENT * (self.span - 1) + 1

    def beside(self, window: LatentWindow) -> Iterator[LatentWindow]:
        """The windows that have any latent frame of this one, itself among them, in order."""
        return (each for each in self.windows if each.start < window.stop and each.stop > window.start)


def fixed_layout(ticks: int, rate: Fraction, overlap: int, span: int = SPAN) -> Layout:
    """The cut for `ticks` frames of video.

    The last window is a whole one that overlaps as far as it must; a clip shorter than a window gets one. Raises
    StudioError.
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
    """The original's cut of so many samples. Raises StudioError where the original fails."""
    check_overlap(overlap, 2, span)
    a_frame = int(SPEECH_RATE_HZ / rate)
    latents = (samples // a_frame - 1) // PER_LATENT + 1
    if latents == span:
        raise StudioError(
            f"The original never ends on speech of exactly one window ({PER_LATENT * span - 3} to {PER_LATENT * span}"
            " frames); choose mode=fixed, or speech that is a little longer."
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
    """The sample of the speech at which a frame of video begins, to the nearest one at any rate."""
    return round(frame * SPEECH_RATE_HZ / rate)


def check_overlap(overlap: int, least: int, span: int) -> None:
    """Raise StudioError where windows cannot overlap by so much."""
    if not least <= overlap < span:
        why = " (the original divides by zero at 1)" if overlap == 1 else ""
        raise StudioError(f"Windows can overlap by {least} to {span - 1} latent frames, not by {overlap}{why}.")
