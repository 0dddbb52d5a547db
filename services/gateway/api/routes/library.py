"""HTTP API: avatars and their plates, drivers including uploaded ones, and engines."""

import asyncio
import secrets
from pathlib import Path

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import FileResponse

from services.gateway.api import snapshot
from services.gateway.api.addressed import existing_avatar, gateway_of
from services.gateway.api.security import need_token
from services.gateway.api.uploads import FILE_FIELD, TEXT_FIELD, form_schema, received_form
from services.gateway.children.avatar_build import AvatarRequest, BuildProgress, ChoiceRequest, build
from services.gateway.children.template_check import check_uploaded_template
from services.gateway.models.library import (
    AvatarName,
    AvatarRow,
    DriverRow,
    EngineRow,
    FilmChoices,
    PlateIndex,
    UploadedDriver,
)
from services.gateway.service import Gateway
from shared.avatar.film.report import SHEET, FilmReport, read_film_report
from shared.avatar.manifest import check_rights
from shared.avatar.model import check_name, list_avatars, remove_avatar
from shared.avatar.plate import Plate
from shared.driver_ref import TEMPLATE_SUFFIX
from shared.errors import StudioError
from shared.media.intake.signature import signature_of
from shared.runtime.files import write_atomically
from shared.uploaded_driver import TITLE_SUFFIX

router = APIRouter(prefix="/api/v1", dependencies=[Depends(need_token)])

MAX_PORTRAIT_BYTES, MAX_BODY_BYTES, MAX_DRIVER_BYTES = 256 << 20, 512 << 20, 512 << 20
AVATAR_FIELDS = {"name": 64, "rights": 2000, "portrait": MAX_PORTRAIT_BYTES, "body": MAX_BODY_BYTES}
FILM_FIELDS = {"still": 32, "exclude": 400, "keep_film": 8}


@router.get("/engines")
async def list_engines(request: Request) -> list[EngineRow]:
    """Engines, with their options, what their weights may be used for, and why an engine cannot run here.

    Empty until the generator has reported its engines.
    """
    return snapshot.engine_rows(gateway_of(request))


@router.get("/avatars")
async def list_avatar_rows(request: Request) -> list[AvatarRow]:
    """Avatars, and those being built with their progress."""
    return snapshot.avatars(gateway_of(request))


@router.get("/avatars/{name}/thumb", response_class=FileResponse)
async def thumb(name: str, request: Request) -> FileResponse:
    """The avatar's thumbnail, JPEG."""
    path = existing_avatar(gateway_of(request), name) / "thumb.jpg"
    if not path.is_file():
        raise HTTPException(404, "This avatar has no thumbnail; add the avatar again.")
    return FileResponse(path, media_type="image/jpeg")


@router.get("/avatars/{name}/film")
async def film(name: str, request: Request) -> FilmReport:
    """What the avatar's filmed body shows: shots, stretches, loop and still."""
    try:
        report = read_film_report(existing_avatar(gateway_of(request), name))
    except StudioError as error:
        raise HTTPException(409, str(error)) from None
    if report is None:
        raise HTTPException(404, "This avatar has no film report; add the avatar again with a video as its body.")
    return report


@router.get("/avatars/{name}/film/sheet", response_class=FileResponse)
async def film_sheet(name: str, request: Request) -> FileResponse:
    """The contact sheet of the avatar's filmed body, JPEG."""
    path = existing_avatar(gateway_of(request), name) / SHEET
    if not path.is_file():
        raise HTTPException(404, "This avatar has no film report; add the avatar again with a video as its body.")
    return FileResponse(path, media_type="image/jpeg")


@router.get("/avatars/{name}/plate", response_class=FileResponse)
async def plate(name: str, request: Request) -> FileResponse:
    """The plate's frames, concatenated JPEG images; `plate/index` has the offset of each."""
    return FileResponse(
        existing_avatar(gateway_of(request), name) / "plate.mjpg", media_type="application/octet-stream"
    )


@router.get("/avatars/{name}/plate/index")
async def plate_index(name: str, request: Request) -> PlateIndex:
    """Frame size and rate of the plate, and the byte offset of each frame, with the end of the last."""
    try:
        opened = Plate.load(existing_avatar(gateway_of(request), name))
    except StudioError as error:
        raise HTTPException(409, str(error)) from None
    starts = [int(start) for start in opened.starts]
    return PlateIndex(width=opened.width, height=opened.height, fps=opened.fps, starts=starts)


@router.post(
    "/avatars",
    status_code=201,
    openapi_extra=form_schema(
        ["name", "rights"],
        name=TEXT_FIELD,
        rights=TEXT_FIELD,
        portrait=FILE_FIELD,
        body=FILE_FIELD,
        still=TEXT_FIELD,
        exclude=TEXT_FIELD,
        keep_film=TEXT_FIELD,
    ),
)
async def upload_avatar(request: Request) -> AvatarName:
    """Make an avatar from a portrait (at most 256 MB), a body (512 MB), or both; answers when it is built.

    Without a portrait the body must be a video, and the portrait is taken from it: the best frame, or the one at second
    `still`. exclude: parts of the video not to use, FROM-TO in seconds, separated by commas. keep_film: "false" stores
    no copy of the source video.
    """
    gateway = gateway_of(request)
    async with received_form(request, gateway.settings.home, AVATAR_FIELDS | FILM_FIELDS) as form:
        name, rights = form.fields.get("name", "").strip(), form.fields.get("rights", "").strip()
        # A page sends an empty file field if no file was chosen.
        given = {field: path for field, path in form.files.items() if path.stat().st_size}
        if not given.keys() & {"portrait", "body"} or not rights:
            raise HTTPException(
                422, "An avatar needs a name, a portrait or a body video, and the rights: who may use it."
            )
        try:
            check_name(name)
            check_rights(rights)
        except StudioError as error:
            raise HTTPException(422, str(error)) from None
        if name in gateway.builds or name in list_avatars(gateway.settings.home):
            raise HTTPException(409, f"There is an avatar '{name}' already; choose another name or delete it first.")
        wanted = AvatarRequest(
            home=gateway.settings.home,
            name=name,
            rights=rights,
            portrait=given.get("portrait"),
            body=given.get("body"),
            still=_seconds(form.fields.get("still", "")),
            exclude=tuple(part.strip() for part in form.fields.get("exclude", "").split(",") if part.strip()),
            keep_film=form.fields.get("keep_film", "true") in ("true", "on", "1"),
        )
        await _build(gateway, wanted)
    return AvatarName(name=name)


def _seconds(text: str) -> float | None:
    if not text.strip():
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise HTTPException(422, "The field 'still' must be a time in the video in seconds, such as 2.5.")
    return seconds


@router.put("/avatars/{name}/film")
async def choose_film(name: str, choice: FilmChoices, request: Request) -> AvatarName:
    """Choose another still of an avatar's film, or other parts to exclude; answers when it is built."""
    gateway = gateway_of(request)
    await film(name, request)  # raises HTTPException if the avatar has no film
    if name == gateway.scene_store.scene.avatar:
        raise HTTPException(409, f"Avatar '{name}' is on air; choose another one first.")
    if name in gateway.builds:
        raise HTTPException(409, f"Avatar '{name}' is being built already; wait until it is ready.")
    await _build(
        gateway, ChoiceRequest(home=gateway.settings.home, name=name, still=choice.still, exclude=choice.exclude)
    )
    return AvatarName(name=name)


async def _build(gateway: Gateway, wanted: AvatarRequest | ChoiceRequest) -> None:
    name = wanted.name

    def told(stage: str, done: float) -> None:
        gateway.builds[name] = BuildProgress(stage, done)

    told("waiting", 0.0)
    gateway.event_log.add(f"Avatar {name} is being built.")
    try:
        await build(wanted, told)
    except StudioError as error:
        gateway.event_log.add(f"Avatar {name}: {error}", "error")
        raise HTTPException(422, str(error)) from None
    finally:
        gateway.builds.pop(name, None)
    gateway.event_log.add(f"Avatar {name} is ready.")


@router.delete("/avatars/{name}", status_code=204)
async def delete_avatar(name: str, request: Request) -> Response:
    """Delete an avatar that is not on air."""
    gateway = gateway_of(request)
    existing_avatar(gateway_of(request), name)
    if name == gateway.scene_store.scene.avatar:
        raise HTTPException(409, f"Avatar '{name}' is on air; choose another one first.")
    try:
        await asyncio.to_thread(remove_avatar, gateway.settings.home, name)
    except (StudioError, OSError) as error:
        raise HTTPException(409, str(error)) from None
    gateway.event_log.add(f"Avatar {name} deleted.")
    return Response(status_code=204)


@router.get("/drivers")
async def list_drivers(request: Request) -> list[DriverRow]:
    """All drivers, with the reason for each that is not available."""
    return snapshot.drivers(gateway_of(request))


@router.post("/drivers", status_code=201, openapi_extra=form_schema(["video"], video=FILE_FIELD))
async def add_driver(request: Request) -> UploadedDriver:
    """Upload a driver: a video, sound or a motion template (at most 512 MB), recognised by its content.

    Use it as driver `upload:ID`.
    """
    gateway = gateway_of(request)
    home = gateway.settings.home
    async with received_form(request, home, {"video": MAX_DRIVER_BYTES}) as form:
        if "video" not in form.files:
            raise HTTPException(422, "Send the driver, a video, sound or a motion template, in the field 'video'.")
        given, sent = form.names["video"], form.files["video"]
        suffix = sent.suffix.lower()
        try:
            await asyncio.to_thread(_check_media, sent)
            suffix = suffix if suffix in snapshot.MEDIA_SUFFIXES else snapshot.MEDIA_SUFFIXES[0]
        except StudioError as error:
            signed = signature_of(sent)
            if signed is not None and signed.kind == "motion":
                suffix = TEMPLATE_SUFFIX
            await check_uploaded_template(sent, given, suffix, str(error))
        made = secrets.token_hex(8)
        path = snapshot.drivers_folder(home) / f"{made}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path.with_suffix(TITLE_SUFFIX), given.encode())
        sent.rename(path)
    gateway.event_log.add(f"Driver {given} uploaded.")
    return UploadedDriver(id=made, driver=f"upload:{made}")


def _check_media(path: Path) -> None:
    """Raise StudioError for a file that has neither readable frames nor readable sound."""
    from shared.media.reader import VideoReader, has_video, read_sound

    if has_video(path):
        VideoReader(path).close()
    elif next(read_sound(path), None) is None:
        raise StudioError(f"{path.name} has no sound in it; send a video or sound file.")


@router.delete("/drivers/{driver}", status_code=204)
async def remove_driver(driver: str, request: Request) -> Response:
    """Delete an uploaded driver that is not in use."""
    gateway = gateway_of(request)
    for path in snapshot.uploads(gateway.settings.home):
        if path.stem == driver:
            if gateway.scene_store.scene.driver_ref.path == path:
                raise HTTPException(409, "This driver is in use; choose another one first.")
            path.unlink(missing_ok=True)
            path.with_suffix(TITLE_SUFFIX).unlink(missing_ok=True)
            return Response(status_code=204)
    raise HTTPException(404, "There is no such uploaded driver; GET /api/v1/drivers lists them.")
