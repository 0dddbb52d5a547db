"""What is published where: everything that one stay in a LiveKit room needs to know."""

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
    """Where a program is published, as whom and how.

    url: of the server, ws:// or wss://. identity: of the publisher in the room. rate: frames a second. codec,
    simulcast, degradation: of the video. kbps: its highest bit rate in kbit/s; 0 is by size. guest: the token was given
    by another application, in whose room this is.
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
        """The program of the settings' channel."""
        return cls(
            url=settings.livekit_url,
            identity=publisher_identity(settings),
            rate=settings.rate,
            codec=settings.livekit_codec,
            kbps=settings.livekit_kbps,
            simulcast=settings.livekit_simulcast,
            degradation=settings.livekit_degradation,
        )
