"""LiveKit access tokens: a JWT (RFC 7519) signed with the API secret, with no more grants than its bearer needs."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass

import jwt

from shared.config.settings import Settings

CLOCK_LEEWAY_S = 10  # seconds that the server's clock may be behind ours
PUBLISHER_LIFE_S = 600  # seconds; only for joining, the server renews it while the room lasts


@dataclass(frozen=True, slots=True)
class ViewerToken:
    """What one viewer is given. expires: wall clock seconds after which it opens no room."""

    token: str
    identity: str
    expires: int


def missing_settings(settings: Settings) -> str:
    """One sentence that says why nothing can be published and what to do, or ""."""
    if settings.livekit_url and settings.livekit_api_key and settings.livekit_api_secret.get_secret_value():
        return ""
    return (
        "There is no LiveKit key: `make live LIVEKIT=1` starts a server of your own, "
        "or set LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET."
    )


def publisher_identity(settings: Settings) -> str:
    """The studio's identity in the room: the same after a restart, so that the server drops the dead one at once."""
    return f"studio-{settings.channel}"


def publisher_token(settings: Settings) -> str:
    """May publish video, sound and what is heard in it as text (which is data), and nothing else."""
    grants = {
        "canPublish": True,
        "canSubscribe": False,
        "canPublishSources": ["camera", "microphone"],
        "canPublishData": True,
    }
    return _signed(settings, publisher_identity(settings), grants, int(time.time()) + PUBLISHER_LIFE_S)


def viewer_token(settings: Settings, minutes: float) -> ViewerToken:
    """A token that may watch and listen in this room, nothing else, and must be used within `minutes`."""
    identity, expires = f"viewer-{secrets.token_hex(8)}", int(time.time() + minutes * 60)
    grants = {"canPublish": False, "canSubscribe": True}
    return ViewerToken(_signed(settings, identity, grants, expires), identity, expires)


def _signed(settings: Settings, identity: str, grants: Mapping[str, object], expires: int) -> str:
    refused = {"canPublishData": False, "canUpdateOwnMetadata": False}
    claims = {
        "iss": settings.livekit_api_key,
        "sub": identity,
        "nbf": int(time.time()) - CLOCK_LEEWAY_S,
        "exp": expires,
        # The first participant makes the room: receivers shall play video and sound as one stream, in sync.
        "roomConfig": {"syncStreams": True},
        "video": {"roomJoin": True, "room": settings.room, **refused, **grants},
    }
    return jwt.encode(claims, settings.livekit_api_secret.get_secret_value(), algorithm="HS256")
