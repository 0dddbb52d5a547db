"""Watching through LiveKit: a viewer's token, the page that uses it, and the client library of that page.

A viewer does not have the operator's token. The operator makes a link whose fragment, which browsers do not send to the
server, has a token that may only watch and expires within minutes. The page is the same for all viewers and holds no
secrets.
"""

import html
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from publishing.token import missing_settings, viewer_token
from services.gateway.api.addressed import ChannelGateway
from services.gateway.api.security import need_token
from services.gateway.models.viewers import ViewerLink
from shared.config.cache_dir import cache_folder
from shared.config.settings import Settings

PAGE = Path(__file__).parents[2] / "web" / "watch" / "watch.html"
LINK_LIFE_MINUTES = 10
LIBRARY_MISSING = "The viewers' library is not on this machine; `deploy/livekit.sh` gets it."

router = APIRouter(prefix="/api/v1", dependencies=[Depends(need_token)])
pages = APIRouter()


class ViewerRequest(BaseModel):
    """A link to make. minutes: how long it can be opened; a viewer who has opened it may stay longer."""

    model_config = ConfigDict(extra="forbid")

    minutes: float = Field(LINK_LIFE_MINUTES, ge=1, le=60)


@router.post("/channels/{channel}/viewers", status_code=201)
async def add_viewer(request: Request, gateway: ChannelGateway, wanted: ViewerRequest | None = None) -> ViewerLink:
    """Make a token that may only watch and listen, and that must be used within `minutes`."""
    settings = gateway.settings
    if reason := missing_settings(settings):
        raise HTTPException(409, reason)
    given = viewer_token(settings, (wanted or ViewerRequest(minutes=LINK_LIFE_MINUTES)).minutes)
    return ViewerLink(
        url=public_url(settings),
        room=settings.room,
        identity=given.identity,
        token=given.token,
        expires=given.expires,
        watch=f"{request.scope['root_path']}/watch/{settings.channel}#token={given.token}",
    )


@pages.get("/watch/{channel}", include_in_schema=False)
async def watch_page(gateway: ChannelGateway) -> Response:
    """Serve the page that a viewer opens; its policy allows connections to the LiveKit server only."""
    url = public_url(gateway.settings)
    page = PAGE.read_text(encoding="utf-8").replace("{{livekit-url}}", html.escape(url, quote=True))
    return HTMLResponse(page, headers={"content-security-policy": policy(url, gateway.settings.frame_ancestors)})


@pages.get("/watch/assets/livekit-client.mjs", include_in_schema=False)
async def client_library() -> FileResponse:
    """Serve livekit-client from the studio's own origin."""
    found = sorted(cache_folder().glob("livekit-client-*.mjs"))
    if not found:
        raise HTTPException(404, LIBRARY_MISSING)
    return FileResponse(found[-1], media_type="text/javascript")


def public_url(settings: Settings) -> str:
    """Return the URL under which viewers reach the LiveKit server."""
    return settings.livekit_public_url or settings.livekit_url


def policy(url: str, ancestors: list[str]) -> str:
    """Return the page's content security policy.

    It allows the page's own scripts and styles, connections to the LiveKit server at `url`, and embedding by
    `ancestors`.
    """
    host = urlsplit(url).netloc.rpartition("@")[2]
    secure = urlsplit(url).scheme in ("wss", "https")
    server = f" {'wss' if secure else 'ws'}://{host} {'https' if secure else 'http'}://{host}" if host else ""
    embedding = " ".join(ancestors) or "'none'"
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self' blob: mediastream:; "
        f"connect-src 'self'{server}; base-uri 'none'; form-action 'none'; frame-ancestors {embedding}"
    )
