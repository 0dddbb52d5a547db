"""Parameters for publishing a program to a LiveKit room."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, Self
from urllib.parse import urlsplit

from publishing.token import publisher_identity
from shared.config.settings import Settings

PublishedCodec = Literal["vp8", "h264", "vp9", "av1"]
Degradation = Literal["maintain-resolution", "maintain-framerate", "balanced"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """Where, under which identity and with which encoding a program is published.

    url: the server's, ws:// or wss://. identity: the publisher's in the room. rate: frames a second. codec, simulcast,
    degradation: encoding of the video. kbps: maximum video bit rate in kbit/s; 0 derives it from the frame size. guest:
    the room belongs to another application, which provided the token.
    """

    url: str
    identity: str
    rate: Fraction
    codec: PublishedCodec = "vp8"
    kbps: int = 0
    simulcast: bool = False
    degradation: Degradation = "maintain-resolution"
    guest: bool = False

    @property
    def host(self) -> str:
        """The server's host and port, without credentials."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    @classmethod
    def of_settings(cls, settings: Settings) -> Self:
        """Return the publication of the channel that the settings describe."""
        return cls(
            url=settings.livekit_url,
            identity=publisher_identity(settings),
            rate=settings.rate,
            codec=settings.livekit_codec,
            kbps=settings.livekit_kbps,
            simulcast=settings.livekit_simulcast,
            degradation=settings.livekit_degradation,
        )
