"""Opens engine sessions in separate threads, so that a slow one delays neither the pulse nor the next one."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from engines.api import NOTHING, Driving, EngineInfo, EngineSession, FrameEngine, SessionContext, VoiceBlock
from engines.guarded import EngineFaultError, engine_faults, open_session
from engines.options import EngineOptions
from engines.registry import load_frame_engine
from shared.avatar.model import Avatar, avatar_folder, load_avatar
from shared.avatar.plate import Plate
from shared.config.settings import Settings
from shared.errors import OutOfMemoryError, StudioError
from shared.runtime.clock import SOUND_RATE_HZ, US
from shared.scene import OptionValue

Given = Mapping[str, OptionValue]
LITTLE = "The GPU has little free memory, so {} uses less of it and may be slower."


@dataclass(slots=True)
class PlateClock:
    """Selects the plate frame that is shown with a face.

    delay_us: microseconds from a face's pts to the tick that shows it, for the current driver.
    """

    plate: Plate
    delay_us: int = 0

    def index(self, pts: int) -> int:
        """Return the index of the plate frame for a face's pts (microseconds)."""
        return self.plate.index(pts + self.delay_us)


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """An open session of an engine on an avatar.

    options: as wanted by the scene; None for an engine without options. note: message for the user if the session could
    not be opened exactly as wanted, else "".
    """

    engine: FrameEngine
    avatar: Avatar
    session: EngineSession
    plate_clock: "PlateClock"
    options: EngineOptions | None = None
    note: str = ""

    @property
    def info(self) -> EngineInfo:
        """Static facts of the session's engine."""
        return self.engine.info

    @property
    def hears(self) -> bool:
        """Whether a voice can drive the session."""
        return "voice" in self.info.inputs

    @property
    def needs_image(self) -> bool:
        """Whether the session needs the driver's image."""
        return self.info.needs_image


class SessionOpener:
    """Opens the session that was requested last and abandons earlier requests. Owned by the loop's thread."""

    def __init__(self, settings: Settings, done: Callable[[], None]) -> None:
        """done: called in a thread when an opening has finished, successfully or not."""
        self._settings, self._done = settings, done
        self._latest: Future[OpenedSession] | None = None
        self._locks: dict[str, threading.Lock] = {}  # by engine; loading one twice at once needs memory

    @property
    def busy(self) -> bool:
        """Whether a session is being opened."""
        return self._latest is not None

    def begin_opening(self, engine: str, avatar: str, given: Given) -> None:
        """Begin to open a session. given: the scene's options. The thread of an abandoned request ends by itself."""
        self._latest = future = Future[OpenedSession]()
        lock = self._locks.setdefault(engine, threading.Lock())

        def run() -> None:
            with lock:
                if future is self._latest:
                    self._run(future, engine, avatar, given)
            self._done()

        threading.Thread(target=run, name="open", daemon=True).start()

    def finished_session(self) -> OpenedSession | None:
        """Return the opened session once, None while it is opening. Raises the exception of a failed opening."""
        if self._latest is None or not self._latest.done():
            return None
        future, self._latest = self._latest, None
        return future.result()

    def _run(self, future: Future[OpenedSession], engine: str, avatar: str, given: Given) -> None:
        try:
            opened = opened_session(self._settings, engine, avatar, given)
            if future is self._latest:
                future.set_result(warmed(opened))
        except Exception as error:  # reported by the loop's thread
            future.set_exception(error)


def opened_session(settings: Settings, engine: str, avatar: str, given: Given = NOTHING) -> OpenedSession:
    """Load an avatar and open an engine on it.

    given: the engine's options in the scene. If they are not available, the session opens with those of the settings
    and a note. Raises StudioError.
    """
    loaded = load_avatar(avatar_folder(settings.home, avatar))
    return session_on(load_frame_engine(engine, settings.engines), loaded, settings.rate, given)


def session_on(engine: FrameEngine, avatar: Avatar, rate: Fraction, given: Given = NOTHING) -> OpenedSession:
    """Open an engine on an avatar, as `opened_session` does."""
    engine.check()
    with engine_faults(engine.info.title):
        engine.prepare(avatar)
    options, note = _scene_options(engine, given), ""
    clock = PlateClock(avatar.plate)
    context = SessionContext(rate=rate, plate_at=clock.index, options=options)
    try:
        session = open_session(engine, avatar, context)
    except OutOfMemoryError:
        session, note = (
            open_session(engine, avatar, replace(context, low_memory=True)),
            LITTLE.format(engine.info.title),
        )
    except StudioError as error:
        if not given or isinstance(error, EngineFaultError):
            raise
        session, note = open_session(engine, avatar, replace(context, options=engine.options())), str(error)
    return OpenedSession(engine, avatar, session, clock, options, note)


def _scene_options(engine: FrameEngine, given: Given) -> EngineOptions | None:
    """Return the engine's options in a scene, or those of the settings if the scene's are invalid.

    They may be invalid in a scene that another version of the studio saved.
    """
    try:
        return engine.options(given)
    except StudioError:
        return engine.options()


def warmed(opened: OpenedSession) -> OpenedSession:
    """Run the session once, so that everything that is compiled on first use is compiled, and return it.

    If memory runs out, its quality is lowered by one rung and the note says so. Raises OutOfMemoryError when there is
    no lower rung.
    """
    session, note = opened.session, opened.note
    while True:
        try:
            _try(opened)
            return replace(opened, note=note)
        except OutOfMemoryError:
            said = session.lower()
            if said is None:
                raise
            note = f"{opened.note} {said}".strip()


def _try(opened: OpenedSession) -> None:
    session, face = opened.session, opened.avatar.face
    for i in range(opened.info.frames_held + 1):
        session.step(Driving(i * US // 25, face, face, np.zeros((2, 2, 3), np.uint8)))
    session.hear(VoiceBlock(0, np.zeros(SOUND_RATE_HZ // 5, np.int16)))
    session.reset()
