"""An avatar's plate with the newest face on it, tick by tick; used for channels and for sessions."""

from dataclasses import dataclass

from compositing.compose import Composed, Composer
from compositing.transition import Transition
from shared.avatar.model import Avatar
from shared.media.array_types import ImageArray
from shared.runtime.clock import US
from shared.wire.face import FaceFacts
from shared.wire.message import Message, WireError

FACE_AHEAD_US = (
    2 * US
)  # us by which a face may be ahead: with a voice it is made for a future tick, within the voice look-ahead
PLATE_HOLD_US = 200_000  # us for which a face that names its plate frame is held


@dataclass(frozen=True, slots=True)
class ShownFace:
    """A face and the facts of its message."""

    message: Message
    facts: FaceFacts

    @property
    def pts(self) -> int:
        """A face and the facts of its message."""
        return self.message.pts


@dataclass(frozen=True, slots=True)
class StagedFrame:
    """Frame of one tick. face: the face that it shows; None while the plate idles or the last face fades out."""

    composed: Composed
    face: ShownFace | None

    @property
    def state(self) -> str:
        """State as a program frame reports it: live, idle or plate."""
        return ("live" if self.face.facts.live else "idle") if self.face else "plate"


class FaceStage:
    """Composes the face and the plate of one avatar, tick by tick. Not thread-safe."""

    def __init__(self, avatar: Avatar, idle_after_us: int) -> None:
        """Open the avatar's plate.

        idle_after_us: microseconds without a face until the plate idles. Raises StudioError for a plate that cannot be
            read.
        """
        self._composer = Composer(avatar)
        self._composer.background(0)
        self._idle_after = idle_after_us
        self._face: ShownFace | None = None
        self._showing: ShownFace | None = None
        self._faded = Transition()
        self._next: tuple[int, ImageArray] | None = None  # a plate frame decoded ahead of the tick that shows it

    @property
    def avatar(self) -> Avatar:
        """Avatar whose plate is shown."""
        return self._composer.avatar

    def take(self, message: Message, at: int) -> str:
        """Accept a new face. Returns why it is rejected, "" if accepted. Raises WireError for a malformed one."""
        facts = FaceFacts.of(message)
        if facts.avatar != self.avatar.name:
            return "face of another avatar"
        if at - message.pts > self._idle_after:
            return "face stale"
        if message.pts - at > FACE_AHEAD_US or facts.captured > at + FACE_AHEAD_US:
            return "face ahead"
        if facts.plate is not None and facts.plate >= len(self.avatar.plate):
            raise WireError("malformed")
        self._face = ShownFace(message, facts)
        if facts.plate is not None:
            self._prepare(facts.plate)
        return ""

    def frame(self, pts: int, *, on_air: bool = True) -> StagedFrame:
        """Return the frame of a tick. on_air: False for the plate alone."""
        face = self._showing = self._current_face(pts, on_air)
        opacity = self._faded.opacity_at(pts, face is not None)
        # While fading out, the last face and the plate frame that it was made for stay in place.
        shown = face or (self._face if opacity > 0 else None)
        named = None if shown is None else shown.facts.plate
        index = self.avatar.plate.index(pts) if named is None else named
        ready, self._next = self._next, None
        background = ready[1] if ready and ready[0] == index else self._composer.background(index)
        roi = shown.message.array if shown else None
        composed = self._composer.compose(background, index, roi, opacity, own=named is not None)
        return StagedFrame(composed, face)

    def prepare_tick(self, pts: int) -> None:
        """Decode the plate frame of the coming tick, unless the faces name their own plate frames."""
        if self._showing is None or self._showing.facts.plate is None:
            self._prepare(self.avatar.plate.index(pts))

    def _prepare(self, index: int) -> None:
        if self._next is None or self._next[0] != index:
            self._next = (index, self._composer.background(index))

    def _current_face(self, pts: int, on_air: bool) -> ShownFace | None:
        """Return the face to show, or None if the last one is too old or the channel is off air.

        A face that was made for a plate frame is held for at most PLATE_HOLD_US, because its plate frame is held with
        it, and a motionless body would be noticeable.
        """
        if self._face is None or not on_air:
            return None
        hold = self._idle_after if self._face.facts.plate is None else PLATE_HOLD_US
        return self._face if pts - self._face.pts <= hold else None
