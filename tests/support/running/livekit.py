"""Settings for a test's LiveKit server."""

from typing import Any

from pydantic import SecretStr

from services.local.livekit_server import LiveKitServer

SIZE_PX = (640, 360)


def keys(server: LiveKitServer) -> dict[str, Any]:
    return {
        "livekit_url": server.url,
        "livekit_api_key": server.key,
        "livekit_api_secret": SecretStr(server.secret),
    }
