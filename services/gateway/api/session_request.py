"""Requests for a session: JSON, or a form with a portrait.

A request may also use the field names of existing plugins for LiveKit Agents: bey's (`avatar_id`, `url`, `token`) and
those of bitHuman's form (`avatar_image`). Such a plugin works with the studio once its API URL is set to the studio's.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from services.gateway.api.uploads import FILE_FIELD, MAX_FIELD_BYTES, TEXT_FIELD, UploadForm, received_form
from shared.avatar.manifest import check_rights
from shared.errors import StudioError
from shared.scene import OptionValue

SIDE_PX = 512
FORM = "multipart/form-data"
PORTRAITS = ("portrait", "avatar_image")  # the latter is bitHuman's name
IGNORED = ("async_mode",)  # a field of bitHuman's form
MAX_RIGHTS_BYTES = 2000
MAX_IMAGE_BYTES = 64 << 20


class SessionRequest(BaseModel):
    """A session.

    livekit_url, livekit_token: for the room; the agent is named by the token's attribute `lk.publish_on_behalf` or by
    agent_identity. avatar: a name of GET /api/v1/avatars. engine: one with voice input. options: that engine's. width,
    height: size of the frames, even numbers of pixels. label: false omits the AI label, which requires
        clean_feed_right.
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    livekit_url: str = Field(validation_alias=AliasChoices("livekit_url", "url"), max_length=500)
    livekit_token: SecretStr = Field(validation_alias=AliasChoices("livekit_token", "token"), max_length=8000)
    avatar: str = Field("", validation_alias=AliasChoices("avatar", "avatar_id"), max_length=64)
    engine: str = Field("", max_length=64)
    options: dict[str, OptionValue] = {}
    width: int = SIDE_PX
    height: int = SIDE_PX
    label: bool = True
    transport: str = Field("livekit", pattern="^livekit$")
    room_name: str = Field("", max_length=500)
    avatar_identity: str = Field("", max_length=500)
    agent_identity: str = Field("", max_length=500)


_NAMES = (*SessionRequest.model_fields, "url", "token", "avatar_id")
_FORM_LIMITS = (
    dict.fromkeys((*_NAMES, *IGNORED, "avatar_image_url"), MAX_FIELD_BYTES)
    | {"rights": MAX_RIGHTS_BYTES}
    | dict.fromkeys(PORTRAITS, MAX_IMAGE_BYTES)
)
_FORM_SCHEMA = {
    "type": "object",
    "required": ["livekit_url", "livekit_token"],
    "properties": dict.fromkeys((*SessionRequest.model_fields, "rights"), TEXT_FIELD) | {"portrait": FILE_FIELD},
}
REQUEST_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": SessionRequest.model_json_schema()},
            FORM: {"schema": _FORM_SCHEMA},
        },
    }
}


@dataclass(frozen=True, slots=True)
class AskedSession:
    """A validated request for a session.

    portrait: an uploaded file, which is deleted after the answer, or None. rights: who may use the portrait, else "".
    """

    wanted: SessionRequest
    portrait: Path | None = None
    rights: str = ""


async def asked_session(request: Request) -> AsyncIterator[AskedSession]:
    """FastAPI dependency: parse the request from JSON or a form. Raises HTTPException and RequestValidationError."""
    if not request.headers.get("content-type", "").lower().startswith(FORM):
        try:
            given = json.loads(await request.body())
        except (ValueError, RecursionError):
            raise HTTPException(422, "The body is not JSON.") from None
        yield AskedSession(_validated(given))
        return
    async with received_form(request, request.app.state.gateway.settings.home, _FORM_LIMITS) as form:
        yield _of_form(form, request.query_params.get("rights", ""))


def _of_form(form: UploadForm, rights_of_address: str) -> AskedSession:
    """Return the request in a form.

    rights_of_address: the rights from the URL's query, for plugins that cannot send them as a field.
    """
    fields: dict[str, Any] = {name: text for name, text in form.fields.items() if text and name not in IGNORED}
    if "avatar_image_url" in fields:
        raise HTTPException(422, "The studio does not download images; send the image itself in the field 'portrait'.")
    rights = fields.pop("rights", rights_of_address).strip()
    if "options" in fields:
        try:
            fields["options"] = json.loads(fields["options"])
        except (ValueError, RecursionError):
            raise HTTPException(422, "The field 'options' must be a JSON object.") from None
    wanted = _validated(fields)
    portraits = [form.files[name] for name in PORTRAITS if name in form.files and form.files[name].stat().st_size]
    if not portraits:
        return AskedSession(wanted)
    if wanted.avatar or len(portraits) > 1:
        raise HTTPException(422, "Send an avatar's name or one portrait, not both.")
    if not rights or len(rights.encode()) > MAX_RIGHTS_BYTES:
        raise HTTPException(422, "A portrait needs a statement of who may use it: send 'rights', at most 2 KB of text.")
    try:
        check_rights(rights)
    except StudioError as error:
        raise HTTPException(422, str(error)) from None
    return AskedSession(wanted, portraits[0], rights)


def _validated(given: object) -> SessionRequest:
    try:
        return SessionRequest.model_validate(given)
    except ValidationError as error:
        found = [{**each, "loc": ("body", *each["loc"])} for each in error.errors(include_input=False)]
        raise RequestValidationError(found) from None
