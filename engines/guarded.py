"""An engine's session as its hosts call it, with every call and every result checked.

A session may be another package's code: it can raise any exception and return any value. This module checks both in one
place, and turns a failure or a wrong result into a StudioError of one sentence that names the engine.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import numpy as np
from numpy.typing import NDArray

from engines.api import Driving, EngineInfo, EngineSession, FrameEngine, RoiFrame, SessionContext, VoiceBlock
from engines.options import EngineOptions
from shared.avatar.model import Avatar
from shared.errors import StudioError, named


class EngineFaultError(StudioError):
    """An engine's own code failed. The engine may work in another process, where everything is loaded again."""


@contextmanager
def engine_faults(title: str) -> Iterator[None]:
    """Context manager that turns exceptions of an engine's code, except StudioError, into EngineFaultError."""
    try:
        yield
    except StudioError:
        raise
    except Exception as error:
        raise EngineFaultError(f"{title} failed ({named(error)}); update it or choose another engine.") from error


def open_session(engine: FrameEngine, avatar: Avatar, context: SessionContext) -> "GuardedSession":
    """Open an engine on an avatar. Raises StudioError as `FrameEngine.open` does, and EngineFaultError."""
    with engine_faults(engine.info.title):
        return GuardedSession(engine.open(avatar, context), engine.info)


def hear_together(
    engine: FrameEngine, sessions: "Sequence[GuardedSession]", blocks: Sequence[VoiceBlock]
) -> list[list[RoiFrame]]:
    """Return the frames that each of an engine's sessions completes with its block of voice.

    They are drawn in one call if the engine can do that (`FrameEngine.draw_batch`). Raises EngineFaultError and
    StudioError as `GuardedSession.hear` does.
    """
    with engine_faults(engine.info.title):
        drawn = engine.draw_batch([each.session for each in sessions], list(blocks))
    if len(drawn) != len(sessions):
        raise StudioError(
            f"{engine.info.title} returns frames for {len(drawn)} of {len(sessions)} sessions; update it or choose "
            "another engine."
        )
    return [session.checked(frames) for session, frames in zip(sessions, drawn, strict=True)]


class GuardedSession(EngineSession):
    """A session whose calls and results are checked.

    Every method raises EngineFaultError if the session's code fails, and StudioError if a frame does not have the form
    that the engine declares.

    session: the engine's own session, which does the work.
    """

    def __init__(self, session: EngineSession, info: EngineInfo) -> None:
        self.session, self._info = session, info

    @property
    def draws(self) -> bool:
        """Whether the session draws its frames (`EngineSession.draws`)."""
        return self.session.draws

    @draws.setter
    def draws(self, value: bool) -> None:
        self.session.draws = value

    @property
    def quality(self) -> str:
        """Quality that the session draws at (`EngineSession.quality`)."""
        return self.session.quality

    @quality.setter
    def quality(self, value: str) -> None:
        self.session.quality = value

    @property
    def adjusts(self) -> bool:
        """Whether the session lowers its quality by itself (`EngineSession.adjusts`)."""
        return self.session.adjusts

    @adjusts.setter
    def adjusts(self, value: bool) -> None:
        self.session.adjusts = value

    @property
    def overlaps(self) -> bool:
        return self.session.overlaps

    def step(self, driving: Driving) -> list[RoiFrame]:
        with self._faults():
            return self.checked(self.session.step(driving))

    def hear(self, block: VoiceBlock) -> list[RoiFrame]:
        with self._faults():
            return self.checked(self.session.hear(block))

    def idle(self, pts: int) -> list[RoiFrame]:
        with self._faults():
            return self.checked(self.session.idle(pts))

    def flush(self) -> list[RoiFrame]:
        with self._faults():
            return self.checked(self.session.flush())

    def reset(self) -> None:
        with self._faults():
            self.session.reset()

    def save(self) -> dict[str, NDArray[np.generic]]:
        with self._faults():
            return self.session.save()

    def restore(self, state: dict[str, NDArray[np.generic]]) -> None:
        with self._faults():
            self.session.restore(state)

    def begin(self, driving: Driving) -> Callable[[], list[RoiFrame]] | None:
        with self._faults():
            if (begun := self.session.begin(driving)) is None:
                return None

        def wait() -> list[RoiFrame]:
            with self._faults():
                return self.checked(begun())

        return wait

    def together(self, frames: Iterable[RoiFrame | int]) -> Iterator[RoiFrame | int]:
        """Exceptions raised by `frames`, which is the host's own iterator, pass through unchanged."""
        for frame in self.session.together(frames):
            if isinstance(frame, RoiFrame):
                self.checked([frame])
            yield frame

    def lower(self) -> str | None:
        with self._faults():
            return self.session.lower()

    def apply(self, options: EngineOptions) -> bool:
        with self._faults():
            return self.session.apply(options)

    def _faults(self) -> AbstractContextManager[None]:
        return engine_faults(self._info.title)

    def checked(self, frames: list[RoiFrame]) -> list[RoiFrame]:
        """Return `frames` unchanged. Raises StudioError if one does not have the form that the engine declares."""
        if not isinstance(frames, list) or not all(isinstance(frame, RoiFrame) for frame in frames):
            raise StudioError(
                f"{self._info.title} does not return a list of frames; update it or choose another engine."
            )
        side = self._info.roi_size
        for frame in frames:
            pixels = frame.pixels
            if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8:
                form = getattr(pixels, "dtype", type(pixels).__name__)
            elif pixels.shape in ((side, side, 3), (side, side, 4), (0, 0, 3)):
                continue
            else:
                form = pixels.shape
            raise StudioError(
                f"{self._info.title} returned a frame of {form} instead of {side} x {side} uint8 with 3 or 4 "
                "channels; update it or choose another engine."
            )
        return frames
