"""The avatar of an agent, sent into the room by a Persona Studio; without it the agent speaks with its own voice."""

import asyncio
import os
import time
from pathlib import Path
from typing import Any, Literal

from livekit import api, rtc
from livekit.agents import (
    DEFAULT_API_CONNECT_OPTIONS,
    NOT_GIVEN,
    AgentSession,
    APIConnectOptions,
    NotGivenOr,
    get_job_context,
)
from livekit.agents.types import ATTRIBUTE_PUBLISH_ON_BEHALF, NotGiven
from livekit.agents.utils import is_given
from livekit.agents.voice.avatar import AvatarSession as BaseAvatarSession

from .log import logger
from .output import HostOutput
from .studio import PersonaStudioException, SessionWish, StudioClient, StudioSession, portrait_bytes

DEFAULT_URL = "http://127.0.0.1:8750"
IDENTITY = "personastudio-avatar-agent"
JOIN_TIMEOUT_S = 20.0
WATCH_S = 1.0  # between two requests for the session's state
MISSED = 2  # consecutive requests without an answer after which the studio counts as gone
RETURN_S = 2.0  # about as long as an avatar takes to come back after its process died
OVER = "ended"
# Events after which the speaker may change.
ROOM_EVENTS: tuple[rtc.room.EventTypes, ...] = (
    "participant_active",
    "participant_disconnected",
    "track_published",
    "connection_state_changed",
)


class AvatarSession(BaseAvatarSession[Literal["avatar_joined", "avatar_left"]]):
    """The avatar of one agent.

    Events: `metrics_collected` as with every avatar; `avatar_joined` when the avatar speaks from now on; `avatar_left`,
    with the reason in one sentence, when the agent's own voice speaks from now on.
    """

    def __init__(
        self,
        *,
        avatar_id: NotGivenOr[str] = NOT_GIVEN,
        avatar_image: NotGivenOr[str | Path | bytes] = NOT_GIVEN,
        avatar_rights: NotGivenOr[str] = NOT_GIVEN,
        engine: NotGivenOr[str] = NOT_GIVEN,
        options: NotGivenOr[dict[str, Any]] = NOT_GIVEN,
        width: NotGivenOr[int] = NOT_GIVEN,
        height: NotGivenOr[int] = NOT_GIVEN,
        label: NotGivenOr[bool] = NOT_GIVEN,
        api_url: NotGivenOr[str] = NOT_GIVEN,
        api_token: NotGivenOr[str] = NOT_GIVEN,
        avatar_participant_identity: NotGivenOr[str] = NOT_GIVEN,
        avatar_participant_name: NotGivenOr[str] = NOT_GIVEN,
        join_timeout: float = JOIN_TIMEOUT_S,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
    ) -> None:
        """Check the arguments. The studio's own settings apply for those that are not given.

        avatar_id: an avatar of the studio (PERSONASTUDIO_AVATAR). avatar_image: instead, the file or the bytes of a
        portrait for this session only; avatar_rights: who may use it, one sentence. engine, options: what draws the
        face. width, height: size of the frames. label: False leaves out the "AI-generated" label, if the studio allows
        it. api_url: address of the studio (PERSONASTUDIO_URL). api_token: its token (PERSONASTUDIO_TOKEN).
        join_timeout: seconds that the first word waits for the avatar. conn_options: attempts to reach the studio.
        Raises PersonaStudioException for an argument that is missing or cannot be used.
        """
        super().__init__()
        token = api_token or os.getenv("PERSONASTUDIO_TOKEN")
        if not token:
            raise PersonaStudioException(
                "The studio's token is missing: set api_token or PERSONASTUDIO_TOKEN; the token is in the file "
                "`token` in the studio's home."
            )
        self._url = api_url or os.getenv("PERSONASTUDIO_URL") or DEFAULT_URL
        self._token: str = token
        self._identity = avatar_participant_identity or IDENTITY
        self._name = avatar_participant_name or self._identity
        self._join_timeout, self._conn_options = join_timeout, conn_options
        chosen = {
            "avatar": avatar_id or os.getenv("PERSONASTUDIO_AVATAR") or NOT_GIVEN,
            "engine": engine,
            "options": options,
            "width": width,
            "height": height,
            "label": label,
        }
        self._portrait = None if isinstance(avatar_image, NotGiven) else portrait_bytes(avatar_image)
        if self._portrait is not None:
            if not avatar_rights:
                raise PersonaStudioException(
                    "avatar_image needs avatar_rights: set it to one sentence that says who may use the portrait."
                )
            chosen |= {"avatar": NOT_GIVEN, "rights": avatar_rights}
        self._chosen = {name: value for name, value in chosen.items() if is_given(value)}
        self._studio: StudioClient | None = None
        self._session: StudioSession | None = None
        self._output: HostOutput | None = None
        self._changed, self._closed = asyncio.Event(), False
        self._shown = ""  # LiveKit's id of the avatar that speaks for the agent, "" while none does
        self._watching: asyncio.Task[None] | None = None

    @property
    def avatar_identity(self) -> str:
        return self._identity

    @property
    def provider(self) -> str:
        return "personastudio"

    @property
    def session_id(self) -> str | None:
        """The studio's name for the session, None until it is open."""
        return None if self._session is None else self._session.id

    async def start(
        self,
        agent_session: AgentSession[Any],
        room: rtc.Room,
        *,
        livekit_url: NotGivenOr[str] = NOT_GIVEN,
        livekit_api_key: NotGivenOr[str] = NOT_GIVEN,
        livekit_api_secret: NotGivenOr[str] = NOT_GIVEN,
    ) -> None:
        """Send the avatar into the room; call it before the agent session's own start.

        The studio gets a token for this room, never the secret. Raises PersonaStudioException; the agent then speaks
        as if there were no avatar.
        """
        url = livekit_url or os.getenv("LIVEKIT_URL")
        key = livekit_api_key or os.getenv("LIVEKIT_API_KEY")
        secret = livekit_api_secret or os.getenv("LIVEKIT_API_SECRET")
        if not url or not key or not secret:
            raise PersonaStudioException(
                "The room's LiveKit server is not set: set LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET, or "
                "pass them as arguments."
            )
        job = get_job_context(required=False)
        agent = room.local_participant.identity if job is None else job.local_participant_identity
        token = (
            api.AccessToken(api_key=key, api_secret=secret)
            .with_kind("agent")
            .with_identity(self._identity)
            .with_name(self._name)
            .with_grants(api.VideoGrants(room_join=True, room=room.name if job is None else job.job.room.name))
            .with_attributes({ATTRIBUTE_PUBLISH_ON_BEHALF: agent})
            .to_jwt()
        )
        wish = SessionWish({"livekit_url": url, "livekit_token": token, **self._chosen}, self._portrait)
        self._studio = StudioClient(self._url, self._token, self._conn_options)
        try:
            self._session = await self._studio.open(wish)
        except BaseException:
            await self._studio.close()
            raise
        logger.info("session_opened", extra={"session": self._session.id})
        await super().start(agent_session, room)
        self._output = HostOutput(
            room,
            avatar_identity=self._identity,
            sample_rate=self._session.sample_rate,
            join_timeout=self._join_timeout,
        )
        agent_session.output.replace_audio_tail(self._output)
        for event in ROOM_EVENTS:
            room.on(event, self._on_change)
        self._watching = asyncio.create_task(self._watch(self._studio, self._session.id, self._output, room))

    async def aclose(self) -> None:
        """End the session; the agent continues by voice. A job calls it when it ends."""
        self._closed = True
        if self._watching is not None:
            self._watching.cancel()
        if self._room is not None:
            for event in ROOM_EVENTS:
                self._room.off(event, self._on_change)
        if self._output is not None and self._room is not None:
            if self._room.isconnected():
                await self._output.avatar_left(time.time())
            else:
                await self._output.aclose()
        if self._studio is not None and self._session is not None:
            await self._studio.end(self._session.id)
            await self._studio.close()
            self._studio = None
        await super().aclose()

    def _on_change(self, *_: object) -> None:
        self._changed.set()

    async def _watch(self, studio: StudioClient, session: str, output: HostOutput, room: rtc.Room) -> None:
        """Decide who speaks, by the room's participants and the studio's answers, until the session is over."""
        missed, alive, state = 0, time.time(), ""
        while state != OVER and not self._closed:
            asked = time.monotonic()
            try:
                state, note = await studio.state(session)
                missed = 0
            except PersonaStudioException as error:
                missed, note = missed + 1, str(error)
            shown, why = _shown_by(room, self._identity), ""
            if not missed and (state == OVER or self._shown in ("", shown)):
                alive = time.time()
            if state == OVER or missed >= MISSED:
                why = note or "The avatar has left."
            elif self._shown and shown != self._shown:
                # A departure is noticed immediately; an avatar that has rejoined was gone for a while before that.
                why, alive = "The avatar has left the room.", time.time() - (RETURN_S if shown else 0.0)
            if room.isconnected():
                await self._settle(output, "" if missed else shown, why, alive)
            try:
                async with asyncio.timeout(asked + WATCH_S - time.monotonic()):
                    await self._changed.wait()
            except TimeoutError:
                pass
            self._changed.clear()

    async def _settle(self, output: HostOutput, shown: str, why: str, alive: float) -> None:
        """Switch the agent's sound to the avatar, or back to its own voice.

        shown: LiveKit's id of an avatar that is certainly there, or "". why: the reason for which the previous one is
        not, or "". alive: wall clock seconds at which that one was last there.
        """
        if why:
            spoke, self._shown = self._shown, ""
            await output.avatar_left(alive)
            if spoke:
                logger.warning("avatar_left", extra={"why": why})
                self.emit("avatar_left", why)
        elif shown and not self._shown:
            self._shown = shown
            output.avatar_came()
            self.emit("avatar_joined")


def _shown_by(room: rtc.Room, identity: str) -> str:
    """Return LiveKit's id of the participant with that identity if it publishes video in the room, otherwise "".

    The id is another one each time that the participant joins.
    """
    who = room.remote_participants.get(identity) if room.isconnected() else None
    if who is None:
        return ""
    publications = who.track_publications.values()
    return who.sid if any(each.kind == rtc.TrackKind.KIND_VIDEO for each in publications) else ""
