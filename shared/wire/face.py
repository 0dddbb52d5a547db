"""A face on its way from the generator to the compositor.

What a message of the "face" stream carries besides its pixels.
"""

from dataclasses import dataclass
from typing import Any, Self

from shared.wire.message import Message, WireError

NO_PLATE = -1  # on the wire, of a face that fits every plate frame


@dataclass(frozen=True, slots=True)
class FaceFacts:
    """Facts of a face.

    avatar: name of the avatar it shows. captured: pts of its driver frame, or of the voice it speaks, microseconds; 0
    where the host idles by itself. live: it is driven; False while the host idles. voice: a voice drives it, and the
    message's pts is the tick that is to show it. plate: index of the plate frame it was made for, None for a face that
    fits every one.
    """

    avatar: str
    captured: int
    live: bool
    voice: bool = False
    plate: int | None = None

    def as_facts(self) -> dict[str, Any]:
        """The facts as a message carries them."""
        return {
            "avatar": self.avatar,
            "captured": self.captured,
            "state": "live" if self.live else "idle",
            "driven": "voice" if self.voice else "motion",
            "plate": NO_PLATE if self.plate is None else self.plate,
        }

    @classmethod
    def of(cls, message: Message) -> Self:
        """The facts in a message with square pixels. Raises WireError."""
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
