"""Answers about sessions, which show an avatar for other applications' voice bots."""

from typing import Self

from services.gateway.models.base import Answer
from services.gateway.sessions.board import KeptSession


class SessionOpened(Answer):
    """A session that is joining its room. sample_rate: preferred rate of the voice, Hz; 8 to 96 kHz are accepted."""

    session_id: str
    sample_rate: int


class SessionStatus(Answer):
    """A session.

    state: opening, connecting, live, reconnecting, failed or ended. note: what is wrong, one sentence, else "".
    created, ended: wall clock seconds; ended is null while the session runs. figures: statistics of its publication, by
    name.
    """

    session_id: str
    state: str
    note: str
    avatar: str
    engine: str
    width: int
    height: int
    label: bool
    livekit_url: str
    avatar_identity: str
    agent_identity: str
    created: float
    ended: float | None
    figures: dict[str, float]

    @classmethod
    def of(cls, kept: KeptSession) -> Self:
        """Return the status of a session, without its token."""
        spec = kept.spec
        return cls(
            session_id=spec.id,
            state=kept.state,
            note=kept.note or kept.face_note,
            avatar=spec.avatar,
            engine=spec.engine,
            width=spec.width,
            height=spec.height,
            label=spec.label,
            livekit_url=spec.url,
            avatar_identity=spec.identity,
            agent_identity=spec.agent,
            created=kept.created,
            ended=kept.ended or None,
            figures=kept.figures,
        )


class SessionList(Answer):
    """The running sessions and the last hundred ended ones, newest first."""

    sessions: list[SessionStatus]


class SessionsShown(Answer):
    """The running sessions, as the console shows them.

    running: newest first. free: number that can still be opened. reason: why no more can be opened, else "".
    """

    running: list[SessionStatus]
    free: int
    reason: str


class Capacity(Answer):
    """Capacity for sessions, for a load balancer in front of several studios.

    sessions: number running. free: number that can still be opened. busy: share of the processors' time in use, 0 to 1.
    session_cores: cores that one session takes. reason: why no more can be opened, else "".
    """

    sessions: int
    free: int
    busy: float
    session_cores: float
    reason: str
