"""Frames of a render drawn in batches: a GPU draws four in less than four times the time of one.

A frame must not depend on the other frames of its batch, because a job in segments would otherwise differ from the same
job in one piece. The networks do not mix frames. However, for another batch size, or at another position in the batch,
a device may choose another kernel, which adds the same numbers in another order (four at a time or one, on a CPU: one
in ten thousand values differs by one grey level). A batch therefore always has the same size, padded where frames are
missing, and a frame's position in the batch follows from its time alone. Every frame is then computed by the same
kernels at the same position, wherever a segment begins; only the frames beside it differ.
"""

from fractions import Fraction

from engines.api import RoiFrame
from engines.liveportrait.networks.networks import on_device
from engines.liveportrait.portrait import DrivenShot, PortraitRenderer
from shared.runtime.clock import US


class FrameBatch:
    """Collects frames and draws them in batches. Every method raises OutOfMemoryError."""

    def __init__(self, portrait: PortraitRenderer, size: int, rate: Fraction) -> None:
        """Start empty.

        size: frames per batch. rate: frames per second.
        """
        self._portrait, self._size, self._rate = portrait, size, rate
        self.clear()

    def clear(self) -> None:
        """Discard all frames that were not returned yet."""
        self._held: list[tuple[int, DrivenShot, int | None]] = []
        self._ready: list[RoiFrame] = []

    def hold(self, pts: int, shot: DrivenShot, plate: int | None = None) -> None:
        """Add a frame, made for this plate frame. If it belongs to the next batch, the current batch is drawn first."""
        if self._held and self._place(pts) <= self._place(self._held[-1][0]):
            self._draw()
        self._held.append((pts, shot, plate))

    def ready(self) -> list[RoiFrame]:
        """Return the frames of the completed batches."""
        ready, self._ready = self._ready, []
        return ready

    def drawn(self) -> list[RoiFrame]:
        """Draw the incomplete batch too, and return all frames."""
        if self._held:
            self._draw()
        return self.ready()

    def _draw(self) -> None:
        held, self._held = self._held, []
        places = {self._place(pts): shot for pts, shot, _ in held}
        with on_device():
            frames = self._portrait.draw([places.get(place, held[0][1]) for place in range(self._size)])
        self._ready += [RoiFrame(pts, frames[self._place(pts)], plate=plate) for pts, _, plate in held]

    def _place(self, pts: int) -> int:
        return round(pts * self._rate / US) % self._size
