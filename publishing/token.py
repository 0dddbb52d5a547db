"""LiveKit access tokens: JWTs (RFC 7519) signed with the API secret, with only the grants that the bearer needs."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass

import jwt

from shared.config.settings import Settings

CLOCK_LEEWAY_S = 10  # seconds that the server's clock may be behind ours
PUBLISHER_LIFE_S = 600  # seconds; needed only for joining: the server renews the token while connected


@dataclass(frozen=True, slots=True)
class ViewerToken:
    """A viewer's token and identity. expires: wall clock seconds after which the token can no longer join a room."""

    token: str
    identity: str
    expires: int


def missing_settings(settings: Settings) -> str:
    """Return a sentence that says why nothing can be published and what to do, "" if publishing is possible."""
    if settings.livekit_url and settings.livekit_api_key and settings.livekit_api_secret.get_secret_value():
        return ""
    return (
        "There is no LiveKit key: `make live LIVEKIT=1` starts a server of your own, "
        "or set LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET."
    )


def publisher_identity(settings: Settings) -> str:
    """Return the studio's identity in the room.

    It is the same after a restart, so that the server immediately drops the connection of the dead process.
    """
    return f"studio-{settings.channel}"


def publisher_token(settings: Settings) -> str:
    """Return a token that may publish video, sound and captions (which count as data), and nothing else."""
    grants = {
        "canPublish": True,
        "canSubscribe": False,
        "canPublishSources": ["camera", "microphone"],
        "canPublishData": True,
    }
    return _signed(settings, publisher_identity(settings), grants, int(time.time()) + PUBLISHER_LIFE_S)


def viewer_token(settings: Settings, minutes: float) -> ViewerToken:
    """Return a token that may only watch and listen in this room and must be used within `minutes`."""
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
        # The first participant creates the room. Ask receivers to play video and sound as one stream, in sync.
        "roomConfig": {"syncStreams": True},
        "video": {"roomJoin": True, "room": settings.room, **refused, **grants},
    }
    return jwt.encode(claims, settings.livekit_api_secret.get_secret_value(), algorithm="HS256")
