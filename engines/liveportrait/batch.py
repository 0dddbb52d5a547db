"""Frames of a render, drawn several at a time: a GPU draws four in less time than four times one.

What a frame looks like must not depend on which others it is drawn with, or a job in segments would show other frames
than the whole. Nothing in the networks looks from one frame at another; but for another size of a batch, or at another
place in it, a device may choose another kernel, which adds the same numbers in another order (four at a time or one, on
a CPU: a ten-thousandth of the values is another by one grey level). So a batch always has the same size, filled up
where frames are missing, and a frame's place in it follows from its time alone. Then every frame is computed by the
same kernels at the same place, wherever a segment begins; only what lies beside it differs.
"""

from fractions import Fraction

from engines.api import RoiFrame
from engines.liveportrait.networks.networks import on_device
from engines.liveportrait.portrait import DrivenShot, PortraitRenderer
from shared.runtime.clock import US


class FrameBatch:
    """Shots that wait for others to be drawn with. Every method raises OutOfMemoryError."""

    def __init__(self, portrait: PortraitRenderer, size: int, rate: Fraction) -> None:
        """rate: frames a second."""
        self._portrait, self._size, self._rate = portrait, size, rate
        self.clear()

    def clear(self) -> None:
        """Forget what waits."""
        self._held: list[tuple[int, DrivenShot, int | None]] = []
        self._ready: list[RoiFrame] = []

    def hold(self, pts: int, shot: DrivenShot, plate: int | None = None) -> None:
        """One more, made for this plate frame. Where it begins another batch, those before it are drawn."""
        if self._held and self._place(pts) <= self._place(self._held[-1][0]):
            self._draw()
        self._held.append((pts, shot, plate))

    def ready(self) -> list[RoiFrame]:
        """The frames of the batches that are complete."""
        ready, self._ready = self._ready, []
        return ready

    def drawn(self) -> list[RoiFrame]:
        """All frames that wait, without waiting for more."""
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
