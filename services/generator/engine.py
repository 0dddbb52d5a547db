"""The one interface that every engine implements, from a mesh warp to a diffusion model."""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from shared.avatar import Avatar
from shared.face import Face


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """What an engine is and needs, known without loading it."""

    name: str
    title: str
    driven_by: frozenset[Literal["motion", "voice"]]
    roi_size: int  # pixels, square
    frames_per_step: int  # ROI frames that one driving frame may complete
    look_ahead: int  # driving frames held back before the first ROI frame comes out
    weights: tuple[str, ...]  # files below pretrained_weights/
    devices: tuple[str, ...]
    accelerations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Driving:
    """One motion driver frame.

    pts: microseconds on the channel clock.
    face: the tracked and smoothed face in pixels of the driver picture, None while there is none.
    neutral: the same person's face at rest, in the same picture; what motion is relative to.
    picture: (H, W, 3) uint8 RGB, None where an engine needs points only.
    """

    pts: int
    face: Face | None
    neutral: Face | None
    picture: NDArray[np.uint8] | None = None


@dataclass(frozen=True, slots=True)
class RoiFrame:
    """One engine output.

    pixels: (S, S, 3) uint8 RGB, or (S, S, 4) where the fourth channel is the matte of the face in
        this frame; without it the avatar's own mask holds.
    """

    pts: int
    pixels: NDArray[np.uint8]


class Session(Protocol):
    """An engine opened on one avatar. Not thread-safe."""

    def step(self, driving: Driving) -> list[RoiFrame]:
        """ROI frames that this driving frame completes. Without a face the last motion is held."""
        ...

    def idle(self, pts: int) -> list[RoiFrame]:
        """A frame of the host waiting: blinks and breathing, eased into from the last motion and,
        by the next `step`, eased out of. Empty where the engine cannot."""
        ...

    def flush(self) -> list[RoiFrame]:
        """What is still held back, at the end of a driver."""
        ...

    def reset(self) -> None:
        """Forget all motion: the driver has restarted."""
        ...

    def save(self) -> dict[str, NDArray[np.generic]]:
        """State carried between frames, as plain arrays; empty for a stateless engine."""
        ...

    def restore(self, state: dict[str, NDArray[np.generic]]) -> None:
        """Go on where `save` left off."""
        ...


class Engine(Protocol):
    """A model that turns a driver into ROI frames."""

    spec: EngineSpec

    def unavailable(self) -> str | None:
        """One sentence saying why this machine cannot run it and what would help, or None."""
        ...

    def open(self, avatar: Avatar) -> Session:
        """Load what depends on the avatar. Raises StudioError when a weight file is missing."""
        ...
