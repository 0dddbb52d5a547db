"""HTTP API: watch links for the audience, and the plates that watch pages fetch.

A link's token gives access to the program on `/watch/CHANNEL` and to the plate on air, and to nothing else.
"""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field

from services.gateway.api.addressed import ChannelGateway
from services.gateway.api.security import BEARER, need_token
from services.gateway.audience.links import (
    LONGEST_S,
    MOST_LABEL_CHARACTERS,
    MOST_VIEWERS,
    SHORTEST_S,
    WatchLink,
    WatchRefusedError,
)
from services.gateway.models.audience import WatchLinkRow
from services.gateway.models.library import PlateIndex
from services.gateway.service import Gateway
from shared.avatar.plate import Plate
from shared.errors import StudioError

router = APIRouter(
    prefix="/api/v1/channels/{channel}/watch-links", dependencies=[Depends(need_token)], tags=["audience"]
)
plates = APIRouter(prefix="/api/v1/channels/{channel}/watch/plates", tags=["audience"])

# Cacheable, because each plate has a different name; private, because only viewers with a link may have it.
KEPT_BY_BROWSERS = {"cache-control": "private, max-age=86400, immutable"}


class WatchLinkRequest(BaseModel):
    """A link to make.

    expires_s: lifetime in seconds. viewers: highest number at a time. talk: whether viewers may talk with the host.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    label: str = Field("", max_length=MOST_LABEL_CHARACTERS, description="for the operator; viewers do not see it")
    expires_s: int = Field(24 * 3600, ge=SHORTEST_S, le=LONGEST_S)
    viewers: int = Field(20, ge=1, le=MOST_VIEWERS)
    talk: bool = False


@router.post("", status_code=201)
async def make_watch_link(
    request: Request, gateway: ChannelGateway, wanted: WatchLinkRequest | None = None
) -> WatchLinkRow:
    """Create a link that shows the program in any browser, for a limited time and number of viewers."""
    asked = wanted or WatchLinkRequest.model_validate({})
    if not asked.label.isprintable():
        raise HTTPException(422, "A label is one line of text.")
    try:
        return _row(request, gateway, gateway.seats.make(asked.label, asked.expires_s, asked.viewers, asked.talk))
    except StudioError as error:
        raise HTTPException(409, str(error)) from None


@router.get("")
async def list_watch_links(request: Request, gateway: ChannelGateway) -> list[WatchLinkRow]:
    """Links that have not expired, oldest first, with their current numbers of viewers."""
    return [_row(request, gateway, link) for link in gateway.seats.links.links()]


@router.delete("/{link}", status_code=204)
async def revoke_watch_link(link: str, gateway: ChannelGateway) -> Response:
    """Revoke a link; its viewers are disconnected immediately."""
    try:
        if not gateway.seats.revoke(link):
            raise HTTPException(404, "There is no such link; it may have expired.")
    except StudioError as error:
        raise HTTPException(409, str(error)) from None
    return Response(status_code=204)


def _row(request: Request, gateway: Gateway, link: WatchLink) -> WatchLinkRow:
    page = f"{request.scope.get('root_path', '')}/watch/{gateway.settings.channel}"
    return WatchLinkRow.of(link, gateway.seats.watching()[link.id], f"{page}#link={gateway.seats.links.token(link)}")


def _plate_folder(channel: str, plate: str, request: Request) -> Path:
    """FastAPI dependency: the folder of a plate. Raises HTTPException (401 or 404) without a valid link or plate."""
    gateway: Gateway = request.app.state.gateway
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    try:
        gateway.seats.links.admit(token.strip() if scheme.lower() == "bearer" else "")
    except WatchRefusedError as error:
        raise HTTPException(401, str(error), BEARER) from None
    folder = gateway.seats.plate_folder(plate) if channel == gateway.settings.channel else None
    if folder is None:
        raise HTTPException(404, "This plate is no longer on air; reload the page.")
    return folder


PlateFolder = Annotated[Path, Depends(_plate_folder)]


@plates.get("/{plate}", response_class=FileResponse)
async def watched_plate(folder: PlateFolder) -> FileResponse:
    """The plate's frames, concatenated JPEG images, for viewers with a link; the socket names the plate on air."""
    return FileResponse(folder / "plate.mjpg", media_type="application/octet-stream", headers=KEPT_BY_BROWSERS)


@plates.get("/{plate}/index")
async def watched_plate_index(folder: PlateFolder, response: Response) -> PlateIndex:
    """Frame size, rate and byte offsets of the plate's frames, with the end of the last, for viewers with a link."""
    try:
        opened = Plate.load(folder)
    except StudioError:
        raise HTTPException(409, "The plate cannot be read just now; try again.") from None
    response.headers.update(KEPT_BY_BROWSERS)
    starts = [int(start) for start in opened.starts]
    return PlateIndex(width=opened.width, height=opened.height, fps=opened.fps, starts=starts)
