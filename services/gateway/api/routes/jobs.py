"""HTTP API: submitting, listing, controlling and deleting jobs; the inbox."""

import asyncio
import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, HTTPException, Query, Request, Response

from services.gateway.api.addressed import existing_avatar, gateway_of
from services.gateway.api.routes.job_files import board_of_job, of_the_store
from services.gateway.api.security import need_token
from services.gateway.api.uploads import FILE_FIELD, TEXT_FIELD, UploadForm, form_schema, received_form
from services.gateway.jobs.board import JobAction
from services.gateway.jobs.inbox import inbox, inbox_file, inbox_folder
from services.gateway.models.jobs import Inbox, JobCostAnswer, JobDetail, JobPage
from services.gateway.service import Gateway
from shared.errors import StudioError
from shared.jobs.queue import PRIORITIES
from shared.jobs.view import JobState
from shared.media.output_spec import OutputSpec, read_size
from shared.runtime.files import path_text
from shared.scene import MAX_OPTIONS_BYTES, OptionValue
from shared.voices.speech_file import read_text

router = APIRouter(prefix="/api/v1", dependencies=[Depends(need_token)], tags=["jobs"])

MAX_DRIVER_BYTES = 8 << 30  # hours of video from a phone; larger files are placed in the inbox
MAX_TEXT_BYTES = 80_000  # about twenty minutes of speech, which is synthesised while the request waits
FIELDS = {
    "avatar": 64, "engine": 64, "quality": 64, "options": MAX_OPTIONS_BYTES, "priority": 16, "codec": 32, "size": 32,
    "fps": 32, "label": 8, "burn_captions": 8, "inbox": 1024,
    "driver": MAX_DRIVER_BYTES, "text": MAX_TEXT_BYTES, "voice": 64,
}  # fmt: skip
PAGE = 500
MOST_SECONDS = 86_400.0  # longest speech whose cost is estimated
KEY = re.compile(r"[\x21-\x7e]{1,200}")

_TEXTS = {name: TEXT_FIELD for name in FIELDS if name != "driver"}
_COST_LIMITS = {name: most for name, most in FIELDS.items() if name not in ("driver", "text", "voice")} | {
    "seconds": 32
}
_FORM = form_schema(["avatar"], **_TEXTS, driver=FILE_FIELD)
_COST_FORM = form_schema(["avatar"], **dict.fromkeys(_COST_LIMITS, TEXT_FIELD))


@router.post("/jobs", status_code=201, openapi_extra=_FORM)
async def submit_job(request: Request, idempotency_key: Annotated[str, Header()] = "") -> JobDetail:
    """Submit a job: an avatar and a driver.

    The driver is an upload (at most 8 GB), the name of a file in the inbox, or a `text` that a `voice` speaks before
    the job is submitted (at most 80 KB of UTF-8; a repeated request reuses the sentences that were spoken before a
    failure). `options` is a JSON object with options of the engine (GET /api/v1/engines describes them); `quality` is
    short for the option of that name. Repeating a request with the same `Idempotency-Key` and content returns the same
    job.
    """
    if idempotency_key and not KEY.fullmatch(idempotency_key):
        raise HTTPException(422, "An Idempotency-Key is 1 to 200 printable characters without a space.")
    gateway = gateway_of(request)
    async with received_form(request, gateway.settings.home, FIELDS) as form:
        if "text" in form.files:
            # Check all other fields before the text is synthesised.
            driver = Path(form.files["text"].name)
            asked = _asked(gateway, form, driver, idempotency_key)
            asked["driver"], asked["captions"] = await _spoken(gateway, form)
        else:
            driver = await asyncio.to_thread(_driver, gateway, form)
            asked = _asked(gateway, form, driver, idempotency_key)
        job = await gateway.jobs.submit(asked)
    gateway.jobs.refresh_soon()
    gateway.event_log.add(f"Job {job} submitted: {driver.name}.")
    return await of_the_store(gateway.jobs.show, job)


@router.post("/jobs/cost", openapi_extra=_COST_FORM)
async def job_cost(request: Request) -> JobCostAnswer:
    """Estimate what a job would cost, without submitting it.

    Takes the fields of POST /api/v1/jobs with `inbox`, or with `seconds`, the length of the speech, in place of a
    driver. A job that could not be submitted is refused with the same error.
    """
    gateway = gateway_of(request)
    async with received_form(request, gateway.settings.home, _COST_LIMITS) as form:
        seconds = form.fields.pop("seconds", "")
        if not seconds:
            driver = await asyncio.to_thread(_driver, gateway, form)
            return await gateway.jobs.cost(_asked(gateway, form, driver, ""))
        return await gateway.jobs.cost(_asked(gateway, form, Path("speech.wav"), "") | {"seconds": _length(seconds)})


async def _spoken(gateway: Gateway, form: UploadForm) -> tuple[str, str]:
    """Synthesise the form's text; returns the paths of the speech and of its captions. Raises HTTPException."""
    if form.fields.get("inbox") or "driver" in form.files:
        raise HTTPException(422, "Send a text or a driver, not both.")
    try:
        text = await asyncio.to_thread(read_text, form.files["text"])
    except StudioError as error:
        raise HTTPException(422, str(error)) from None
    return await gateway.jobs.speech(text, form.fields.get("voice", "").strip())


def _length(text: str) -> float:
    try:
        if 0 < (seconds := float(text)) <= MOST_SECONDS:
            return seconds
    except ValueError:
        pass
    raise HTTPException(422, f"The field 'seconds' must be a number up to {MOST_SECONDS:.0f}.")


def _driver(gateway: Gateway, form: UploadForm) -> Path:
    """Return the path of the driver: a file in the inbox, or the upload under the name its owner gave it.

    Raises HTTPException.
    """
    if form.fields.get("voice"):
        raise HTTPException(422, "The field 'voice' is only for a text; send the text in 'text'.")
    named, sent = form.fields.get("inbox", ""), form.files.get("driver")
    if bool(named) == bool(sent):
        raise HTTPException(
            422,
            "Send the driver in the field 'driver', a text in 'text', or the name of a file in the inbox in 'inbox'.",
        )
    if named:
        try:
            return inbox_file(gateway.settings.home, named)
        except StudioError as error:
            raise HTTPException(422, str(error)) from None
    assert sent is not None
    return sent


def _asked(gateway: Gateway, form: UploadForm, driver: Path, key: str) -> dict[str, Any]:
    """Return the form's job as the dictionary that `services.renderer.job.submit` reads. Raises HTTPException."""

    def text(name: str, otherwise: str = "") -> str:
        return form.fields.get(name, "").strip() or otherwise

    switches = {"label": text("label", "yes"), "burn_captions": text("burn_captions", "no")}
    priority = text("priority", "normal")
    if priority not in PRIORITIES:
        raise HTTPException(422, f"The field 'priority' must be one of {', '.join(PRIORITIES)}.")
    for name, value in switches.items():
        if value not in ("yes", "no"):
            raise HTTPException(422, f"The field '{name}' must be yes or no.")
    try:
        output = OutputSpec.from_dict(
            {
                "codec": text("codec", "h264"),
                "fps": text("fps") or None,
                "size": read_size(text("size")) if text("size") else None,
                **{name: value == "yes" for name, value in switches.items()},
            }
        )
    except StudioError as error:
        raise HTTPException(422, str(error)) from None
    return {
        "avatar": str(existing_avatar(gateway, text("avatar"))),
        "engine": text("engine", gateway.settings.engine),
        "options": ({"quality": text("quality")} if text("quality") else {}) | _options(text("options")),
        "driver": str(driver),
        "driver_name": driver.name,
        "priority": priority,
        "key": key,
        "output": output.as_dict(),
    }


def _options(text: str) -> dict[str, OptionValue]:
    """Parse the field `options`; `submit` checks names and values with the engine's class. Raises HTTPException."""
    try:
        given = json.loads(text or "{}")
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict) or not all(isinstance(value, OptionValue) for value in given.values()):
        raise HTTPException(422, 'The field \'options\' must be a JSON object, such as {"quality": "384"}.')
    return given


@router.get("/jobs")
async def list_jobs(
    request: Request,
    state: Annotated[JobState | Literal[""], Query()] = "",
    limit: Annotated[int, Query(ge=1, le=PAGE)] = 50,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> JobPage:
    """A page of jobs, newest first, and the number of jobs by state."""
    return await of_the_store(gateway_of(request).jobs.page, state, limit, offset)


@router.get("/jobs/{job}")
async def show_job(job: str, request: Request) -> JobDetail:
    """One job with its segments."""
    jobs = await board_of_job(request, job)
    return await of_the_store(jobs.show, job)


@router.post("/jobs/{job}/cancel")
async def cancel_job(job: str, request: Request) -> JobDetail:
    """Cancel a job; rendering stops within two seconds."""
    return await _steer(request, job, "cancelled")


@router.post("/jobs/{job}/pause")
async def pause_job(job: str, request: Request) -> JobDetail:
    """Pause a job; `resume` continues it."""
    return await _steer(request, job, "paused")


@router.post("/jobs/{job}/resume")
async def resume_job(job: str, request: Request) -> JobDetail:
    """Resume a paused job."""
    return await _steer(request, job, "run")


@router.post("/jobs/{job}/retry")
async def retry_job(job: str, request: Request) -> JobDetail:
    """Retry the failed segments of a parked job; finished segments are kept."""
    return await _steer(request, job, "retry")


async def _steer(request: Request, job: str, how: JobAction) -> JobDetail:
    jobs = await board_of_job(request, job)
    steered = await of_the_store(jobs.apply_action, job, how)
    jobs.refresh_soon()
    return steered


@router.delete("/jobs/{job}", status_code=204)
async def remove_job(job: str, request: Request) -> Response:
    """Delete a job and its files."""
    jobs = await board_of_job(request, job)
    await of_the_store(jobs.remove, job)
    jobs.refresh_soon()
    return Response(status_code=204)


@router.get("/jobs/{job}/preview", response_class=Response, responses={200: {"content": {"image/jpeg": {}}}})
async def preview_job(job: str, request: Request) -> Response:
    """The newest frame of a job, JPEG."""
    jobs = await board_of_job(request, job)
    image = await of_the_store(jobs.preview, job)
    if image is None:
        raise HTTPException(404, "This job has no preview yet; it gets one with its first segment.")
    return Response(image, media_type="image/jpeg")


@router.get("/inbox")
async def list_inbox(request: Request) -> Inbox:
    """The files in the studio's inbox, newest first, and the inbox's path."""
    home = gateway_of(request).settings.home
    return Inbox(folder=path_text(inbox_folder(home)), files=await of_the_store(inbox, home))
