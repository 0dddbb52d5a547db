"""Facts of a message of the "face" stream, which goes from the generator to the compositor."""

from dataclasses import dataclass
from typing import Any, Self

from shared.wire.message import Message, WireError

NO_PLATE = -1  # plate index in the message of a face that fits every plate frame


@dataclass(frozen=True, slots=True)
class FaceFacts:
    """Facts of one face frame.

    avatar: name of the avatar that the face shows. captured: pts in microseconds of the driver frame or of the voice
    that the face was made from; 0 for an idle host without a driver. live: whether a driver moves the face; False while
    the host idles. voice: whether a voice drives the face; the message's pts is then the pts of the tick that shows it.
    plate: index of the plate frame that the face was made for, None if it fits every plate frame.
    """

    avatar: str
    captured: int
    live: bool
    voice: bool = False
    plate: int | None = None

    def as_facts(self) -> dict[str, Any]:
        """Return the facts as the plain values that a message carries."""
        return {
            "avatar": self.avatar,
            "captured": self.captured,
            "state": "live" if self.live else "idle",
            "driven": "voice" if self.voice else "motion",
            "plate": NO_PLATE if self.plate is None else self.plate,
        }

    @classmethod
    def of(cls, message: Message) -> Self:
        """Return the facts of a message, whose image must be a square ROI. Raises WireError."""
        if message.format not in ("rgb24", "rgba") or message.array.shape[0] != message.array.shape[1]:
            raise WireError("malformed")
        state, driven = message.fact("state", str), message.fact("driven", str)
        captured, plate = message.fact("captured", int), message.fact("plate", int)
        if state not in ("live", "idle") or driven not in ("motion", "voice") or captured < 0 or plate < NO_PLATE:
            raise WireError("malformed")
        return cls(
            avatar=message.fact("avatar", str)[:80],
            captured=captured,
            live=state == "live",
            voice=driven == "voice",
            plate=None if plate == NO_PLATE else plate,
        )
