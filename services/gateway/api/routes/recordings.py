"""HTTP API: starting, stopping, listing and downloading recordings of the console."""

import secrets
import time
from pathlib import Path

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import FileResponse

from services.gateway.api import snapshot
from services.gateway.api.addressed import ChannelGateway, gateway_of
from services.gateway.api.security import need_token
from services.gateway.models.base import Ticket
from services.gateway.models.channel import RecordingStarted, RecordingStopped
from services.gateway.models.library import RecordingRow
from shared.runtime.files import path_text
from shared.voices.webvtt import WEBVTT_SUFFIX, WEBVTT_TYPE

router = APIRouter(prefix="/api/v1/recordings", tags=["recordings"])
of_channel = APIRouter(prefix="/api/v1/channels/{channel}/recording", dependencies=[Depends(need_token)])
TICKET_LIFE_S = 30.0
TICKETS = 64
DOWNLOAD_EXPIRED = "This download link has expired. Press Download to get a new one."


class Tickets:
    """Single-use, short-lived tickets for downloads, because a browser's own download cannot send the token."""

    def __init__(self) -> None:
        self._given: dict[str, tuple[str, float]] = {}

    def issue(self, recording: str) -> str:
        """Return a new ticket for a recording; the oldest ticket becomes void when there are more than TICKETS."""
        while len(self._given) >= TICKETS:
            del self._given[next(iter(self._given))]
        ticket = secrets.token_urlsafe(24)
        self._given[ticket] = recording, time.monotonic() + TICKET_LIFE_S
        return ticket

    def redeem(self, ticket: str, recording: str) -> bool:
        """Return whether a ticket is valid for this recording; it is void afterwards."""
        of, until = self._given.pop(ticket, ("", 0.0))
        return of == recording and time.monotonic() < until


def _path(request: Request, recording: str) -> Path:
    path = snapshot.recordings_folder(gateway_of(request).settings.home) / f"{recording}.mp4"
    if not snapshot.RECORDING.fullmatch(recording) or not path.is_file():
        raise HTTPException(404, "There is no such recording; GET /api/v1/recordings lists them.")
    return path


def _captions_path(request: Request, recording: str) -> Path:
    path = _path(request, recording).with_suffix(WEBVTT_SUFFIX)
    if not path.is_file():
        raise HTTPException(404, "This recording has no captions; no text was spoken in it.")
    return path


@of_channel.post("", status_code=201)
async def start_recording(gateway: ChannelGateway) -> RecordingStarted:
    """Begin a recording in the studio's home."""
    if gateway.scene_store.scene.recording and gateway.recorder.state.state != "failed":
        raise HTTPException(409, "A recording is running; stop it first.")
    name = f"{gateway.settings.channel}-{time.strftime('%Y%m%d-%H%M%S')}"
    gateway.recorder.try_again()
    gateway.scene_store.change(recording=path_text(snapshot.recordings_folder(gateway.settings.home) / f"{name}.mp4"))
    return RecordingStarted(id=name)


@of_channel.delete("")
async def stop_recording(gateway: ChannelGateway) -> RecordingStopped:
    """End the recording."""
    if not gateway.scene_store.scene.recording:
        raise HTTPException(409, "No recording is running.")
    gateway.scene_store.change(recording="")
    return RecordingStopped(state="off")


@router.get("", dependencies=[Depends(need_token)])
async def list_recordings(request: Request) -> list[RecordingRow]:
    """Recordings made from the console, newest first."""
    found = snapshot.recordings(gateway_of(request).settings.home)
    return [
        RecordingRow(
            id=path.stem,
            bytes=path.stat().st_size,
            modified=path.stat().st_mtime,
            captions=path.with_suffix(WEBVTT_SUFFIX).is_file(),
        )
        for path in found
    ]


@router.get("/{recording}", response_class=FileResponse, dependencies=[Depends(need_token)])
async def fetch_recording(recording: str, request: Request) -> FileResponse:
    """One recording as MP4."""
    path = _path(request, recording)
    return FileResponse(path, media_type="video/mp4", filename=path.name)


@router.post("/{recording}/ticket", status_code=201, dependencies=[Depends(need_token)])
async def make_recording_ticket(recording: str, request: Request) -> Ticket:
    """Make a ticket for downloading this recording once, within 30 seconds, without the token."""
    _path(request, recording)
    return Ticket(ticket=request.app.state.tickets.issue(recording))


@router.get("/{recording}/download", response_class=FileResponse)
async def download_recording(recording: str, request: Request, ticket: str = "") -> FileResponse:
    """One recording as MP4, in exchange for a ticket."""
    if not request.app.state.tickets.redeem(ticket, recording):
        raise HTTPException(401, DOWNLOAD_EXPIRED)
    path = _path(request, recording)
    return FileResponse(path, media_type="video/mp4", filename=path.name)


@router.get("/{recording}/captions", response_class=FileResponse, dependencies=[Depends(need_token)])
async def fetch_recording_captions(recording: str, request: Request) -> FileResponse:
    """The captions of one recording as WebVTT."""
    path = _captions_path(request, recording)
    return FileResponse(path, media_type=WEBVTT_TYPE, filename=path.name)


@router.post("/{recording}/captions/ticket", status_code=201, dependencies=[Depends(need_token)])
async def make_captions_ticket(recording: str, request: Request) -> Ticket:
    """Make a ticket for downloading these captions once, within 30 seconds, without the token."""
    _captions_path(request, recording)
    return Ticket(ticket=request.app.state.tickets.issue(f"{recording}/captions"))


@router.get("/{recording}/captions/download", response_class=FileResponse)
async def download_recording_captions(recording: str, request: Request, ticket: str = "") -> FileResponse:
    """The captions of one recording as WebVTT, in exchange for a ticket."""
    if not request.app.state.tickets.redeem(ticket, f"{recording}/captions"):
        raise HTTPException(401, DOWNLOAD_EXPIRED)
    path = _captions_path(request, recording)
    return FileResponse(path, media_type=WEBVTT_TYPE, filename=path.name)
