"""Playback of a motion template as a live driver, in the generator and not in capture.

A template has the engine's own format, a few hundred bytes per frame that no other engine can read, and contains
nothing to track. A capture service that played it would need the engine, and another stream for data that only the
engine understands.
"""

from concurrent.futures import Executor, Future
from fractions import Fraction
from pathlib import Path

from engines.api import Driving, FrameEngine, MotionTemplate
from shared.errors import StudioError
from shared.runtime.clock import US, now, tick_after, tick_pts
from shared.runtime.logs import get_logger
from shared.runtime.wake import Wake
from shared.scene import Scene

log = get_logger()
ENDED = "The recorded motion has ended; choose another driver or switch looping on."
LEAD_US = 24_000  # the first frame is played this long before a program tick, to leave time for the engine
LATE_US = 2 * US // 10  # after a longer stall, playback continues at its position without skipping frames


class TemplatePlayer:
    """Plays the scene's driver if it is a motion template. All methods are called from the loop's thread.

    wake: set when a template has been read in another thread; the loop then calls `arrived`. note: one sentence while
    the template cannot be played or has ended, else "". epoch: changes whenever playback starts over. skipped: number
    of frames that were left out because the loop was too slow for the template's rate. stalls: how often a frame was
    later than LATE_US.
    """

    def __init__(self, rate: Fraction, pool: Executor) -> None:
        """rate: the program's, to whose ticks the beginning of playback is aligned. pool: reads the templates."""
        self.wake = Wake()
        self.note = ""
        self.epoch = self.skipped = self.stalls = 0
        self._rate = rate
        self._pool = pool
        self._engine: FrameEngine | None = None
        self._wanted: tuple[Path | None, str] = (None, "")  # path of the template, name of the engine
        self._loop = True
        self._reading: Future[MotionTemplate] | None = None
        self._template: MotionTemplate | None = None
        self._played = 0  # frames since the beginning of playback, over all rounds of the loop
        self._base = 0  # channel clock at the beginning of playback
        self._over = False

    @property
    def drives(self) -> bool:
        """Whether the scene's driver is a motion template, playing or not."""
        return self._wanted[0] is not None

    def on_scene(self, scene: Scene) -> None:
        """Follow the scene's driver and its `loop`; a template that has ended starts over once looping is on."""
        self._loop = scene.loop
        self._want(scene.driver_ref.template, self._wanted[1])
        if self._over and self._loop:
            self._begin()

    def set_engine(self, name: str, engine: FrameEngine) -> None:
        """Set the engine that is open now.

        A template continues under another avatar, and starts over under another engine.
        """
        self._engine = engine
        self._want(self._wanted[0], name)

    def arrived(self) -> None:
        """Take over a template that was read, or the error of reading it."""
        self.wake.clear()
        if self._reading is None or not self._reading.done():
            return  # this template is no longer wanted
        future, self._reading = self._reading, None
        try:
            self._template = future.result()
        except StudioError as error:
            self.note = str(error)
        except Exception as error:  # an error in an engine's reader must not stop the service
            log.exception("template_not_read", path=str(self._wanted[0]))
            self.note = f"The recorded motion cannot be read ({type(error).__name__}: {error}); choose another driver."
        else:
            self._begin()

    def due(self) -> int:
        """Return when the next frame is to be played (microseconds)."""
        if self._template is None or self._over:
            return now() + US
        return self._base + tick_pts(self._played, self._template.rate)

    def due_frame(self, at: int) -> Driving | None:
        """Return the newest frame that is due at `at`, with its own pts.

        None if there is no template, after its end, and at a stall of more than LATE_US.
        """
        template = self._template
        if template is None or self._over:
            return None
        if (late := at - self.due()) > LATE_US:
            self._base += tick_pts(tick_after(late, self._rate), self._rate)
            self.stalls += 1
            return None
        newest = max(self._played, tick_after(at - self._base, template.rate) - 1)
        if self._played and not self._loop and newest // len(template) > (self._played - 1) // len(template):
            self._over, self.note = True, ENDED
            return None
        self.skipped += newest - self._played
        self._played = newest + 1
        pts = self._base + tick_pts(newest, template.rate)
        return Driving(pts, None, None, recorded=template[newest % len(template)])

    def _want(self, path: Path | None, name: str) -> None:
        if (path, name) == self._wanted:
            return
        self._wanted = path, name
        self._template = self._reading = None
        self._over, self.note = False, ""
        if path is not None and self._engine is not None:
            self._reading = self._pool.submit(self._engine.read_template, path)
            self._reading.add_done_callback(lambda _: self.wake.set())

    def _begin(self) -> None:
        self.epoch = now()
        self._base = tick_pts(tick_after(self.epoch + LEAD_US, self._rate), self._rate) - LEAD_US
        self._played, self._over, self.note = 0, False, ""
