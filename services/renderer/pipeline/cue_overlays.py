"""A render's captions as overlays, by frame number."""

from collections.abc import Sequence
from fractions import Fraction

from compositing.caption import CaptionPage, caption_pages, page_at
from compositing.overlay import Overlay
from shared.media.output_spec import FrameSize
from shared.runtime.clock import US
from shared.voices.webvtt import Cue


class CueOverlays:
    """Captions for frames of one size and rate. first: number, in the render, of the frame that is 0 for `at`."""

    def __init__(self, cues: Sequence[Cue], fps: Fraction, size: FrameSize, first: int = 0) -> None:
        self._cues, self._fps, self._size, self._first = cues, fps, size, first
        self._drawn: tuple[Cue | None, tuple[CaptionPage, ...]] = None, ()

    def at(self, number: int) -> Overlay | None:
        """Return the overlay for a frame: the cue that is spoken at its middle. Raises StudioError."""
        heard = (2 * (self._first + number) + 1) * US / (2 * self._fps)
        cue = next((each for each in reversed(self._cues) if each.start <= heard < each.end), None)
        if cue is None:
            return None
        if self._drawn[0] is not cue:
            self._drawn = cue, caption_pages(cue.text, *self._size)
        return page_at(self._drawn[1], float((heard - cue.start) / (cue.end - cue.start)))
