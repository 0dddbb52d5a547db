"""Opacity of the face over the idle plate, with soft transitions."""

from dataclasses import dataclass, field

from shared.easing import smoothstep
from shared.runtime.clock import US

TRANSITION_S = 0.3


@dataclass(slots=True)
class Transition:
    """Opacity between idle (0.0) and face (1.0), eased at both ends and reversible half-way without a jump.

    seconds: duration of a full transition.
    """

    seconds: float = TRANSITION_S
    _progress: float = field(init=False, default=0.0)
    _pts: int | None = field(init=False, default=None)

    def opacity_at(self, pts: int, face: bool) -> float:
        """Return the opacity at `pts` (microseconds, increasing).

        face: whether the face is wanted. The first call starts at 0; a `pts` that goes backwards changes nothing.
        """
        passed = 0 if self._pts is None else max(0, pts - self._pts)
        self._pts = pts
        change = passed / US / self.seconds if self.seconds > 0 else 1.0
        self._progress = min(max(self._progress + (change if face else -change), 0.0), 1.0)
        return smoothstep(self._progress)

    def jump(self, face: bool) -> None:
        """Move to one end immediately."""
        self._progress = 1.0 if face else 0.0
