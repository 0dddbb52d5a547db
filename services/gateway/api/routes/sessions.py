"""HTTP API: sessions, which show an avatar for another application's voice bot in that application's LiveKit room."""

import asyncio
import re
from dataclasses import replace
from typing import Annotated, Any

import jwt
from fastapi import APIRouter, Depends, Header, HTTPException, Request, Response

from engines.registry import load_frame_engine
from services.gateway.api.security import need_token
from services.gateway.api.session_request import REQUEST_BODY, AskedSession, SessionRequest, asked_session
from services.gateway.models.sessions import Capacity, SessionList, SessionOpened, SessionStatus
from services.gateway.service import Gateway
from services.gateway.sessions.board import KeptSession, SessionsFullError
from shared.avatar.model import list_avatars
from shared.config.settings import Settings, livekit_origin
from shared.errors import StudioError
from shared.session_spec import SessionSpec, fits_side

router = APIRouter(prefix="/api/v1", dependencies=[Depends(need_token)], tags=["sessions"])
plugin_router = APIRouter(prefix="/v1", dependencies=[Depends(need_token)], include_in_schema=False)

SAMPLE_RATE_HZ = 24_000  # the output rate of most speech synthesisers
KEY = re.compile(r"[\x21-\x7e]{1,200}")
RETRY_AFTER_S = 5
ON_BEHALF = "lk.publish_on_behalf"
OFF = "Sessions are off: set sessions.allowed_livekit_urls to the LiveKit servers that they may join."


def _gateway(request: Request) -> Gateway:
    gateway: Gateway = request.app.state.gateway
    return gateway


@router.post("/sessions", status_code=201, openapi_extra=REQUEST_BODY)
async def open_session(
    request: Request,
    asked: Annotated[AskedSession, Depends(asked_session)],
    idempotency_key: Annotated[str, Header()] = "",
) -> SessionOpened:
    """Send an avatar into a room, where it appears immediately and speaks what its agent sends.

    Repeating a request with the same `Idempotency-Key` and content returns the same session.

    A form may contain a `portrait` (at most 64 MB) and `rights`, who may use it. A temporary avatar is then built from
    it before the answer, and removed when no session shows it.
    """
    if idempotency_key and not KEY.fullmatch(idempotency_key):
        raise HTTPException(422, "An Idempotency-Key is 1 to 200 printable characters without a space.")
    gateway = _gateway(request)
    spec = await asyncio.to_thread(_spec, gateway.settings, asked)
    if asked.portrait is None:
        return _opened(gateway, spec, idempotency_key)
    try:
        async with gateway.portraits.prepared(asked.portrait, asked.rights, gateway.sessions.check_room) as avatar:
            return _opened(gateway, replace(spec, avatar=avatar), idempotency_key)
    except SessionsFullError as error:
        raise _full(error) from None
    except StudioError as error:
        raise HTTPException(422, str(error)) from None


def _opened(gateway: Gateway, spec: SessionSpec, key: str) -> SessionOpened:
    try:
        name = gateway.sessions.open(spec, key)
    except SessionsFullError as error:
        raise _full(error) from None
    except StudioError as error:
        raise HTTPException(409, str(error)) from None
    return SessionOpened(session_id=name, sample_rate=SAMPLE_RATE_HZ)


def _full(error: SessionsFullError) -> HTTPException:
    return HTTPException(503, str(error), {"Retry-After": str(RETRY_AFTER_S)})


# Paths that bey's plugins for LiveKit Agents use, in Python and in JavaScript.
plugin_router.post("/sessions", status_code=201)(open_session)
plugin_router.post("/session", status_code=201)(open_session)


@router.get("/sessions")
async def list_sessions(request: Request) -> SessionList:
    """All sessions, newest first."""
    return SessionList(sessions=[SessionStatus.of(kept) for kept in _gateway(request).sessions.sessions()])


@router.get("/sessions/{session}")
async def show_session(session: str, request: Request) -> SessionStatus:
    """One session."""
    return SessionStatus.of(_session(request, session))


@router.delete("/sessions/{session}", status_code=204)
async def end_session(session: str, request: Request) -> Response:
    """Take the avatar out of its room."""
    _session(request, session)
    _gateway(request).sessions.close(session)
    return Response(status_code=204)


@router.get("/capacity")
async def show_capacity(request: Request) -> Capacity:
    """How many more sessions this studio can serve now; 0 if sessions are off."""
    board = _gateway(request).sessions
    room, off = board.capacity(), not board.allowed
    return Capacity(
        sessions=len(board.wanted()),
        free=0 if off else room.free,
        busy=round(room.busy, 3),
        session_cores=round(room.session_cores, 3),
        reason=OFF if off else room.reason,
    )


def _session(request: Request, name: str) -> KeptSession:
    kept = _gateway(request).sessions.get(name)
    if kept is None:
        raise HTTPException(404, "There is no such session; GET /api/v1/sessions lists them.")
    return kept


def _spec(settings: Settings, asked: AskedSession) -> SessionSpec:
    """Check a request and return its session, without an id, and without an avatar if a portrait was sent.

    Raises HTTPException.
    """
    wanted = asked.wanted
    if not settings.sessions.allowed_livekit_urls:
        raise HTTPException(403, OFF)
    url, token = wanted.livekit_url.strip(), wanted.livekit_token.get_secret_value()
    try:
        origin = livekit_origin(url)
    except ValueError as error:
        raise HTTPException(422, f"'livekit_url': {error}.") from None
    if origin not in settings.sessions.allowed_livekit_urls:
        raise HTTPException(403, f"Sessions may not join {origin}; add it to sessions.allowed_livekit_urls.")
    identity, agent = _identities(token, wanted)
    avatar, engine = wanted.avatar or settings.avatar, wanted.engine or settings.engine
    if asked.portrait is not None:
        avatar = ""
    elif avatar not in list_avatars(settings.home):
        raise HTTPException(404, "There is no such avatar; GET /api/v1/avatars lists them.")
    if not (fits_side(wanted.width) and fits_side(wanted.height)):
        raise HTTPException(422, "The fields 'width' and 'height' must be even numbers from 64 to 1920.")
    if not wanted.label and not settings.clean_feed_right:
        raise HTTPException(403, "A session without the AI label needs a stated right: set clean_feed_right.")
    try:
        chosen = load_frame_engine(engine, settings.engines)
        if "voice" not in chosen.info.inputs or "live" not in chosen.info.modes:
            raise HTTPException(422, f"{chosen.info.title} cannot be driven live by a voice; choose another engine.")
        chosen.check()
        options = chosen.options(wanted.options)
    except StudioError as error:
        raise HTTPException(422, str(error)) from None
    # Only the options in the request; all others follow the engine's settings on this machine.
    given: dict[str, Any] = {} if options is None else options.model_dump(mode="json", include=set(wanted.options))
    return SessionSpec(
        id="",
        avatar=avatar,
        engine=engine,
        ahead_us=chosen.info.voice_ahead_us,
        width=wanted.width,
        height=wanted.height,
        label=wanted.label,
        options=given,
        url=url,
        token=token,
        identity=identity,
        agent=agent,
    )


def _identities(token: str, wanted: SessionRequest) -> tuple[str, str]:
    """Return the identities of avatar and agent in the room, from the token or the request.

    Only the LiveKit server can verify the token. Raises HTTPException.
    """
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError:
        raise HTTPException(
            422, "The field 'livekit_token' is not a LiveKit access token; send one for the room."
        ) from None
    attributes = claims.get("attributes")
    named = attributes.get(ON_BEHALF, "") if isinstance(attributes, dict) else ""
    identity, agent = claims.get("sub", ""), named or wanted.agent_identity
    if not isinstance(identity, str) or not identity:
        raise HTTPException(422, "The field 'livekit_token' has no identity; send a token with one.")
    if not isinstance(agent, str) or not agent:
        raise HTTPException(
            422,
            "The agent whose voice drives the avatar is not named: give the token the attribute "
            f"{ON_BEHALF}, or send agent_identity.",
        )
    return identity, agent
