"""HTTP API: the files of a finished job, fetched with the operator's token, or with a ticket that is valid once."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import FileResponse

from services.gateway.api.addressed import gateway_of
from services.gateway.api.routes.recordings import DOWNLOAD_EXPIRED
from services.gateway.api.security import need_token
from services.gateway.jobs.board import JobBoard
from services.gateway.models.base import Ticket
from shared.errors import StudioError
from shared.voices.webvtt import WEBVTT_TYPE

router = APIRouter(prefix="/api/v1/jobs/{job}", tags=["jobs"])
T = TypeVar("T")


async def board_of_job(request: Request, job: str) -> JobBoard:
    """Return the job board if it has this job, else raise HTTPException (404).

    A string that does not have the form of an id is never passed to the store.
    """
    jobs = gateway_of(request).jobs
    if not await of_the_store(jobs.has, job):
        raise HTTPException(404, "There is no such job; GET /api/v1/jobs lists them.")
    return jobs


async def of_the_store(read: Callable[..., T], *arguments: Any) -> T:
    """Call `read` in a thread, as the store may be on another machine; a StudioError becomes HTTPException (409)."""
    try:
        return await asyncio.to_thread(read, *arguments)
    except StudioError as error:
        raise HTTPException(409, str(error)) from None


def _add_file(
    name: str, place: str, below: str, find: Callable[[JobBoard, str], tuple[Path, str]], words: str, kind: str = ""
) -> None:
    """Add three routes for a file: the file at `place`, and `ticket` and `download` below the path `below`.

    find: returns path and file name, or raises StudioError. words: description in the API's schema. kind: media type.
    """

    async def answer(request: Request, job: str) -> FileResponse:
        path, called = await of_the_store(find, await board_of_job(request, job), job)
        return FileResponse(path, media_type=kind or None, filename=called)

    @router.get(
        place, response_class=FileResponse, dependencies=[Depends(need_token)], name=f"fetch_{name}", description=words
    )
    async def fetch(job: str, request: Request) -> FileResponse:
        return await answer(request, job)

    @router.post(
        f"{below}/ticket", status_code=201, dependencies=[Depends(need_token)], name=f"make_{name}_ticket",
        description=f"Make a ticket for downloading this job's {name} once, within 30 seconds, without the token.",
    )  # fmt: skip
    async def make_ticket(job: str, request: Request) -> Ticket:
        await board_of_job(request, job)
        return Ticket(ticket=request.app.state.tickets.issue(f"job/{job}{below}"))

    @router.get(
        f"{below}/download", response_class=FileResponse, name=f"download_{name}",
        description=f"The {name}, in exchange for a ticket.",
    )  # fmt: skip
    async def download(job: str, request: Request, ticket: str = "") -> FileResponse:
        if not request.app.state.tickets.redeem(ticket, f"job/{job}{below}"):
            raise HTTPException(401, DOWNLOAD_EXPIRED)
        return await answer(request, job)


_add_file("result", "/result", "", JobBoard.result, "The finished file; range requests are supported.")
_add_file(
    "captions", "/captions", "/captions", JobBoard.captions,
    "The captions of the result of a job with a text, as WebVTT.", WEBVTT_TYPE,
)  # fmt: skip
