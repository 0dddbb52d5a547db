"""HTTP API: the channel's state and its scene."""

import json
from typing import Any

from fastapi import APIRouter, Depends, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from engines.options import checked_options, options_of_schema, refuse_options
from engines.registry import OFFLINE_ONLY
from publishing.token import missing_settings
from services.gateway.api import snapshot
from services.gateway.api.addressed import ChannelGateway, existing_avatar
from services.gateway.api.security import need_token
from services.gateway.models.channel import ChannelState, NeutralRetake
from services.gateway.models.library import EngineRow
from services.gateway.service import Gateway
from shared.driver_ref import FORMS, DriverKind, DriverRef, DriverWordError
from shared.errors import StudioError
from shared.scene import MAX_OPTIONS_BYTES, OptionValue, Scene

router = APIRouter(prefix="/api/v1", dependencies=[Depends(need_token)])


class ScenePatch(BaseModel):
    """Fields of the scene to change; omitted fields keep their values."""

    model_config = ConfigDict(extra="forbid", strict=True)

    avatar: str | None = Field(None, max_length=40)
    engine: str | None = Field(None, max_length=40)
    options: dict[str, OptionValue | None] | None = Field(
        None, description="options of the engine to change; null restores the value in the settings"
    )
    quality: str | None = Field(
        None, max_length=40, description='short for the option "quality"; "" restores the value in the settings'
    )
    driver: str | None = Field(
        None,
        max_length=2000,
        description="sample, browser, microphone, speech, camera:N, upload:ID, as-started, or an http(s)/rtsp(s) "
        "address",
    )
    loop: bool | None = None
    label: bool | None = None
    burn_captions: bool | None = Field(
        None, description="draw captions of spoken texts into recording, RTMP and LiveKit"
    )
    muted: bool | None = None
    on_air: bool | None = None
    livekit: bool | None = None
    rtmp: bool | None = Field(None, description="push to the RTMP address of the settings")
    record_clean: bool | None = Field(None, description="record without the label; needs clean_feed_right")
    rtmp_clean: bool | None = Field(None, description="push without the label; needs clean_feed_right")


@router.get("/channels/{channel}")
async def channel_state(gateway: ChannelGateway) -> ChannelState:
    """The channel's whole state, as the state socket sends it."""
    return snapshot.snapshot(gateway)


@router.patch("/channels/{channel}/scene")
async def change_scene(patch: ScenePatch, gateway: ChannelGateway) -> Scene:
    """Change the scene, the wanted state of the channel; the services follow it."""
    changes: dict[str, Any] = {name: value for name, value in patch if value is not None}
    if "avatar" in changes:
        existing_avatar(gateway, changes["avatar"])
    if "engine" in changes:
        _check_engine(gateway, changes["engine"])
    _take_options(gateway, changes)
    if "driver" in changes:
        changes["driver"] = scene_driver_for_word(gateway, changes["driver"])
    if changes.get("livekit") and (reason := missing_settings(gateway.settings)):
        raise HTTPException(409, reason)
    if changes.get("rtmp") and (unavailable := snapshot.rtmp(gateway).unavailable):
        raise HTTPException(409, unavailable)
    if (changes.get("record_clean") or changes.get("rtmp_clean")) and (why := snapshot.clean_feed(gateway).unavailable):
        raise HTTPException(409, why)
    before = gateway.scene_store.scene
    gateway.scene_store.change(**changes)
    _note(gateway, before.as_dict(), changes)
    return snapshot.shown_scene(gateway)


@router.post("/channels/{channel}/neutral/retake")
async def retake_neutral(gateway: ChannelGateway) -> NeutralRetake:
    """Take the driver's next frames as its neutral face."""
    if gateway.scene_store.scene.driver_ref.template:
        raise HTTPException(409, "The neutral face of recorded motion cannot be retaken; choose another driver first.")
    scene = gateway.scene_store.retake()
    gateway.event_log.add("The neutral face is being retaken: look straight ahead, mouth closed.")
    return NeutralRetake(neutral=scene.neutral)


def _check_engine(gateway: Gateway, name: str) -> None:
    known = _engine(gateway, name)
    if known.unavailable:
        raise HTTPException(409, known.unavailable)
    if known.modes and "live" not in known.modes:
        raise HTTPException(409, OFFLINE_ONLY.format(known.title))


def _take_options(gateway: Gateway, changes: dict[str, Any]) -> None:
    """Replace the requested option changes in `changes` with the scene's complete options after the change.

    Options are checked by the JSON schema that the generator reports, with the same error sentences that the engine
    would give. The engine's class is not loaded, because that would import another package's code, and perhaps a model,
    into the process that shows the program. Raises HTTPException.
    """
    asked: dict[str, OptionValue | None] = changes.pop("options", {})
    if (quality := changes.pop("quality", None)) is not None:
        asked = {"quality": quality or None} | asked
    if not asked:
        return
    scene = gateway.scene_store.scene
    engine = _engine(gateway, changes.get("engine", scene.engine))
    kept = scene.options if engine.name == scene.engine else {}
    try:
        kind = options_of_schema(engine.options)
        known = {name: value for name, value in kept.items() if name in kind.model_fields}
        given = {name: value for name, value in (known | asked).items() if value is not None}
        if not kind.model_fields:
            refuse_options(engine.title, given)
        options = checked_options(kind, engine.title, {}, given)
    except StudioError as error:
        raise HTTPException(422, str(error)) from None
    changes["options"] = options.model_dump(include=set(given))
    if len(json.dumps(changes["options"])) > MAX_OPTIONS_BYTES:
        raise HTTPException(422, f"Options are at most {MAX_OPTIONS_BYTES >> 10} KB in all; shorten them.")


def _engine(gateway: Gateway, name: str) -> EngineRow:
    rows = {row.name: row for row in snapshot.engine_rows(gateway)}
    if not rows:
        raise HTTPException(409, "The generator has not reported its engines yet; try again in a second.")
    if name not in rows:
        raise HTTPException(404, f"There is no such engine; choose one of {', '.join(rows)}.")
    return rows[name]


def scene_driver_for_word(gateway: Gateway, word: str) -> str:
    """Return the scene's driver for the API's word. No part of a request is ever used as a path.

    Raises HTTPException for a word that names no driver.
    """
    if word == "as-started":
        return gateway.scene_store.as_started
    if word.startswith("upload:"):
        for path in snapshot.uploads(gateway.settings.home):
            if path.stem == word.removeprefix("upload:"):
                return snapshot.uploaded_driver(path)
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


def _shown_option(value: OptionValue) -> str:
    return str(value)[:40] if not isinstance(value, bool) else "on" if value else "off"


def _note(gateway: Gateway, before: dict[str, Any], changes: dict[str, Any]) -> None:
    for name, value in changes.items():
        if before[name] == value or name in ("on_air", "livekit", "rtmp"):
            continue  # health and outputs add events for these themselves
        if name in ("loop", "label", "burn_captions"):
            gateway.event_log.add(f"{name.replace('_', ' ').capitalize()} {'on' if value else 'off'}.")
        elif name in ("record_clean", "rtmp_clean"):
            output = "Recording" if name == "record_clean" else "RTMP push"
            right = f"without the AI label, by this right: {gateway.settings.clean_feed_right.strip()}"
            gateway.event_log.add(f"{output} {right if value else 'with the AI label'}.")
        elif name == "options":
            was = before[name] if changes.get("engine", before["engine"]) == before["engine"] else {}
            for option in sorted({*was, *value}):
                if was.get(option) != value.get(option):
                    shown = _shown_option(value[option]) if option in value else "as in the settings"
                    gateway.event_log.add(f"{option.replace('_', ' ').capitalize()} is now {shown}.")
        elif name == "muted":
            gateway.event_log.add("Sound muted." if value else "Sound on.")
        else:
            shown = snapshot.driver_title(value) if name == "driver" else value
            gateway.event_log.add(f"{name.capitalize()} is now {shown}.")
