"""Answers about sessions, which show an avatar for other applications' voice bots."""

from typing import Self

from services.gateway.models.base import Answer
from services.gateway.sessions.board import KeptSession


class SessionOpened(Answer):
    """A session that joins its room now. sample_rate: of the voice that suits it, Hz; it takes any from 8 to 96 kHz."""

    session_id: str
    sample_rate: int


class SessionStatus(Answer):
    """A session.

    state: opening, connecting, live, reconnecting, failed or ended. note: what is wrong, one sentence, else "".
    created: wall clock seconds; ended: likewise, null while it has not. figures: of its publication, by name.
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
    """All sessions, newest first; of those that have ended the last hundred."""

    sessions: list[SessionStatus]


class SessionsShown(Answer):
    """The sessions that run, as the console shows them.

    running: newest first. free: how many can still be opened. reason: why there is no room, else "".
    """

    running: list[SessionStatus]
    free: int
    reason: str


class Capacity(Answer):
    """What room there is for sessions, for a load balancer in front of several studios.

    sessions: that run. free: that can still be opened. busy: share of the processors' time that is taken, 0 to 1.
    session_cores: cores that a session takes. reason: why there is no room, else "".
    """

    sessions: int
    free: int
    busy: float
    session_cores: float
    reason: str
