"""Generator service for many sessions in one process.

Sessions share loaded engines and avatars, and an engine draws several sessions in one call.
"""

import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from engines.api import FrameEngine, VoiceBlock
from engines.registry import load_frame_engine
from services.generator.batch_thread import BatchThread, MadeFace
from services.generator.session_opener import OpenedSession, session_on, warmed
from shared.avatar.model import Avatar, load_avatar, session_avatar_folder
from shared.config.settings import Settings
from shared.errors import StudioError, named
from shared.runtime.clock import now
from shared.runtime.logs import get_logger
from shared.runtime.wake import Wake
from shared.session_spec import SessionSpec, unpacked_sessions
from shared.wire.face import FaceFacts
from shared.wire.loop import ServiceLoop
from shared.wire.message import Message, WireError

log = get_logger()


@dataclass(slots=True)
class FaceSession:
    """A requested session. opening: its opening, None when that is finished. note: why it has no faces, else ""."""

    spec: SessionSpec
    opening: Future[OpenedSession] | None
    note: str = ""


class FaceServer:
    """State of the "faces" service and handlers of its events."""

    def __init__(self, settings: Settings) -> None:
        self.loop = ServiceLoop("faces", settings)
        self._faces = self.loop.publish("face", many="faces")
        self._sessions: dict[str, FaceSession] = {}
        self._batches: dict[str, BatchThread] = {}  # by engine
        self._engines: dict[str, FrameEngine] = {}
        self._avatars: dict[str, Avatar] = {}  # used by the opening thread only
        # A single worker, so that no engine or avatar is loaded twice at the same time.
        self._opening = ThreadPoolExecutor(1, "open")
        self._wake = Wake()
        self.loop.add_reader("sessions", self._on_sessions, many="casts")
        self.loop.add_reader("voice", self._on_voice, newest=False, many="voices")
        self.loop.watch_descriptor(self._wake.fd, self._on_wake)
        self.loop.before_pulse(self._report)

    def run(self, *, signals: bool = True) -> None:
        """Run the service until it is stopped."""
        self.loop.meter.state = "idle"
        self.loop.run(signals=signals)
        for batch in self._batches.values():
            batch.close()
        self._opening.shutdown(wait=False, cancel_futures=True)

    def _on_sessions(self, message: Message) -> None:
        wanted = {spec.id: spec for spec in unpacked_sessions(message.array)}
        for gone in [name for name in self._sessions if name not in wanted]:
            self._close(gone)
        for name, spec in wanted.items():
            if name not in self._sessions:
                self._sessions[name] = session = FaceSession(spec, self._opening.submit(self._opened, spec))
                assert session.opening is not None
                session.opening.add_done_callback(lambda _: self._wake.set())

    def _close(self, name: str) -> None:
        session = self._sessions.pop(name)
        if session.opening is not None:
            session.opening.cancel()
        batch = self._batches.get(session.spec.engine)
        if batch is not None and not batch.remove(name):
            batch.close()
            del self._batches[session.spec.engine]
        used = {each.spec.avatar for each in self._sessions.values()}
        self._opening.submit(self._forget_avatars, used)

    def _opened(self, spec: SessionSpec) -> OpenedSession:
        """Open a session, in the opening thread, with the engines and avatars loaded so far. Raises StudioError."""
        engine = self._engines.get(spec.engine)
        if engine is None:
            engine = self._engines[spec.engine] = load_frame_engine(spec.engine, self.loop.settings.engines)
        avatar = self._avatars.get(spec.avatar)
        if avatar is None:
            avatar = load_avatar(
                session_avatar_folder(self.loop.settings.home, self.loop.settings.run_dir, spec.avatar)
            )
            self._avatars[spec.avatar] = avatar
        return warmed(session_on(engine, avatar, self.loop.settings.rate, spec.options))

    def _forget_avatars(self, used: set[str]) -> None:
        for name in [name for name in self._avatars if name not in used]:
            del self._avatars[name]

    def _on_wake(self) -> None:
        """Handle opened sessions and drawn faces."""
        self._wake.clear()
        for name, session in self._sessions.items():
            if session.opening is not None and session.opening.done():
                opening, session.opening = session.opening, None
                self._begin(name, session, opening)
        for batch in self._batches.values():
            for face in batch.taken_faces():
                self._send(face)
            for name, why in batch.taken_failures().items():
                self._fail(name, why)

    def _begin(self, name: str, session: FaceSession, opening: "Future[OpenedSession]") -> None:
        try:
            opened = opening.result()
        except StudioError as error:
            self._fail(name, str(error))
            return
        except Exception as error:  # an error inside a model must not stop the faces of other sessions
            log.exception("session_not_opened", session=name, engine=session.spec.engine)
            self._fail(name, f"{session.spec.engine} cannot be opened ({named(error)}); choose another engine.")
            return
        session.note = opened.note
        batch = self._batches.get(session.spec.engine)
        if batch is None:
            batch = self._batches[session.spec.engine] = BatchThread(opened.engine, self._wake.set)
        batch.add(name, opened)

    def _fail(self, name: str, why: str) -> None:
        log.warning("session_without_face", session=name, why=why)
        if name in self._sessions:
            self._sessions[name].note = why

    def _on_voice(self, message: Message) -> None:
        if message.format != "s16" or not len(message.array):
            raise WireError("malformed")
        session = self._sessions.get(message.channel)
        batch = None if session is None else self._batches.get(session.spec.engine)
        if batch is not None:
            batch.hear(message.channel, VoiceBlock(message.pts, message.array))

    def _send(self, made: MadeFace) -> None:
        frame, at = made.frame, now()
        facts = FaceFacts(made.avatar, captured=frame.pts, live=not frame.waiting, voice=True, plate=frame.plate)
        self._faces.send(
            frame.pts,
            frame.pixels,
            "rgba" if frame.pixels.shape[2] == 4 else "rgb24",
            stamps={"engine": at},
            facts=facts.as_facts(),
            channel=made.session,
        )
        self.loop.meter.frame(at)

    def _report(self) -> None:
        meter = self.loop.meter
        for batch in self._batches.values():
            meter.drops += batch.counted()
        meter.state = "running" if self._sessions else "idle"
        rows = {name: self._row(session) for name, session in self._sessions.items()}
        share = max((batch.work.taken_share() for batch in self._batches.values()), default=0.0)
        together = {name: round(batch.drawn / batch.calls, 2) for name, batch in self._batches.items() if batch.calls}
        meter.facts = {"sessions": rows, "cpu_s": time.process_time(), "share": share, "together": together}

    def _row(self, session: FaceSession) -> Mapping[str, str]:
        return {"state": "opening" if session.opening is not None else "open", "note": session.note[:300]}
