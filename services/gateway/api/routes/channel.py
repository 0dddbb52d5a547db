"""HTTP API: the channel's state, its scene, and its recording."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field

from publishing.token import missing_settings
from services.gateway.api import snapshot
from services.gateway.api.security import need_token
from services.gateway.models.channel import ChannelState, NeutralRetake, RecordingStarted, RecordingStopped
from services.gateway.models.library import EngineRow
from services.gateway.service import Gateway
from shared.avatar.build import list_avatars
from shared.driver_ref import FORMS, DriverKind, DriverRef, DriverWordError
from shared.scene import Scene, no_such_quality

router = APIRouter(prefix="/api/v1", dependencies=[Depends(need_token)])


class ScenePatch(BaseModel):
    """Fields of the scene to change; what is left out stays."""

    model_config = ConfigDict(extra="forbid", strict=True)

    avatar: str | None = Field(None, max_length=40)
    engine: str | None = Field(None, max_length=40)
    quality: str | None = Field(
        None, max_length=40, description='one of the engine\'s qualities to stay at; "" leaves it to the engine'
    )
    driver: str | None = Field(
        None,
        max_length=2000,
        description="sample, browser, microphone, speech, camera:N, upload:ID, as-started, or an http(s)/rtsp(s) address",
    )
    loop: bool | None = None
    label: bool | None = None
    muted: bool | None = None
    on_air: bool | None = None
    livekit: bool | None = None
    rtmp: bool | None = Field(None, description="push to the RTMP address of the settings")
    record_clean: bool | None = Field(None, description="record without the label; needs clean_feed_right")
    rtmp_clean: bool | None = Field(None, description="push without the label; needs clean_feed_right")


def of_channel(channel: str, request: Request) -> Gateway:
    """The gateway, if the channel is the one it has."""
    gateway: Gateway = request.app.state.gateway
    if channel != gateway.settings.channel:
        raise HTTPException(404, f"This studio's channel is '{gateway.settings.channel}', not '{channel[:40]}'.")
    return gateway


ChannelGateway = Annotated[Gateway, Depends(of_channel)]


@router.get("/channels/{channel}")
async def channel_state(gateway: ChannelGateway) -> ChannelState:
    """The channel's whole state, as the state socket sends it."""
    return snapshot.snapshot(gateway)


@router.patch("/channels/{channel}/scene")
async def change_scene(patch: ScenePatch, gateway: ChannelGateway) -> Scene:
    """Change what is wanted on air; the services converge on it."""
    changes: dict[str, Any] = {name: value for name, value in patch if value is not None}
    if "avatar" in changes:
        _check_avatar(gateway, changes["avatar"])
    if "engine" in changes:
        _check_engine(gateway, changes["engine"])
    if changes.get("quality"):
        _check_quality(gateway, changes.get("engine", gateway.director.scene.engine), changes["quality"])
    if "driver" in changes:
        changes["driver"] = scene_driver_for_word(gateway, changes["driver"])
    if changes.get("livekit") and (reason := missing_settings(gateway.settings)):
        raise HTTPException(409, reason)
    if changes.get("rtmp") and (unavailable := snapshot.rtmp(gateway).unavailable):
        raise HTTPException(409, unavailable)
    if (changes.get("record_clean") or changes.get("rtmp_clean")) and (why := snapshot.clean_feed(gateway).unavailable):
        raise HTTPException(409, why)
    before = gateway.director.scene
    gateway.director.change(**changes)
    _note(gateway, before.as_dict(), changes)
    return snapshot.shown_scene(gateway)


@router.post("/channels/{channel}/neutral/retake")
async def retake_neutral(gateway: ChannelGateway) -> NeutralRetake:
    """Take the driver's next frames as its neutral face."""
    if gateway.director.scene.driver_ref.template:
        raise HTTPException(409, "Recorded motion has a neutral face of its own, which cannot be retaken.")
    scene = gateway.director.retake()
    gateway.journal.add("Neutral face is being retaken: look straight ahead, mouth closed.")
    return NeutralRetake(neutral=scene.neutral)


@router.post("/channels/{channel}/recording", status_code=201)
async def start_recording(gateway: ChannelGateway) -> RecordingStarted:
    """Begin a recording in the studio's home."""
    if gateway.director.scene.recording and gateway.recorder.state.state != "failed":
        raise HTTPException(409, "A recording is running; stop it first.")
    name = f"{gateway.settings.channel}-{time.strftime('%Y%m%d-%H%M%S')}"
    gateway.recorder.try_again()
    gateway.director.change(recording=str(snapshot.recordings_folder(gateway.settings.home) / f"{name}.mp4"))
    return RecordingStarted(id=name)


@router.delete("/channels/{channel}/recording")
async def stop_recording(gateway: ChannelGateway) -> RecordingStopped:
    """End the recording."""
    if not gateway.director.scene.recording:
        raise HTTPException(409, "No recording is running.")
    gateway.director.change(recording="")
    return RecordingStopped(state="off")


def _check_avatar(gateway: Gateway, name: str) -> None:
    if name not in list_avatars(gateway.settings.home):
        raise HTTPException(404, "There is no such avatar; GET /api/v1/avatars lists them.")


def _check_engine(gateway: Gateway, name: str) -> None:
    known = _engine(gateway, name)
    if known.unavailable:
        raise HTTPException(409, known.unavailable)


def _check_quality(gateway: Gateway, engine: str, name: str) -> None:
    known = _engine(gateway, engine)
    names = [rung.name for rung in known.qualities]
    if name not in names:
        raise HTTPException(404, no_such_quality(known.title, names))


def _engine(gateway: Gateway, name: str) -> EngineRow:
    rows = {row.name: row for row in snapshot.engine_rows(gateway)}
    if not rows:
        raise HTTPException(409, "The generator has not said yet which engines there are; try again in a second.")
    if name not in rows:
        raise HTTPException(404, f"There is no such engine; there is {', '.join(rows)}.")
    return rows[name]


def scene_driver_for_word(gateway: Gateway, word: str) -> str:
    """The scene's driver for the API's word. Nothing from a request is ever used as a path."""
    if word == "as-started":
        return gateway.director.as_started
    if word.startswith("upload:"):
        for path in snapshot.uploads(gateway.settings.home):
            if path.stem == word.removeprefix("upload:"):
                return DriverRef.of_file(path).word
        raise HTTPException(404, "There is no such uploaded driver; GET /api/v1/drivers lists them.")
    try:
        ref = DriverRef.parse(word)
    except DriverWordError:
        ref = None
    if ref is None or ref.kind is DriverKind.FILE:
        raise HTTPException(
            422, f"A driver is {FORMS}, upload:ID, or an address with http, https, rtsp or rtsps."
        ) from None
    return ref.word


def _note(gateway: Gateway, before: dict[str, Any], changes: dict[str, Any]) -> None:
    for name, value in changes.items():
        if before[name] == value or name in ("on_air", "livekit", "rtmp"):
            continue  # these say themselves how they are
        if name in ("loop", "label"):
            gateway.journal.add(f"{name.capitalize()} {'on' if value else 'off'}.")
        elif name in ("record_clean", "rtmp_clean"):
            output = "Recording" if name == "record_clean" else "RTMP push"
            right = f"without the AI label; the right stated: {gateway.settings.clean_feed_right.strip()}"
            gateway.journal.add(f"{output} {right if value else 'with the AI label'}.")
        elif name == "quality":
            gateway.journal.add(f"Quality is now {value or 'left to the engine'}.")
        elif name == "muted":
            gateway.journal.add("Sound muted." if value else "Sound on.")
        else:
            shown = snapshot.driver_title(value) if name == "driver" else value
            gateway.journal.add(f"{name.capitalize()} is now {shown}.")
