"""Generator: turns each driving frame into the avatar's face with the scene's engine."""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from services.generator.engine import Driving, RoiFrame, Session
from services.generator.engines import ENGINES, load
from shared.avatar import Avatar, check_name, load_avatar
from shared.clock import US, now, tick_after, tick_pts
from shared.errors import StudioError
from shared.face import Face
from shared.loop import Loop
from shared.scene import Scene
from shared.settings import Settings
from shared.wake import Wake
from shared.wire import Message, WireError

STALE = 3 * US // 10  # a driving frame older than this is not worth a face any more


@dataclass(frozen=True, slots=True)
class Opened:
    """An engine's session on an avatar, as the scene wants it."""

    engine: str
    avatar: Avatar
    session: Session


class Generator:
    """The service's state and what it does on each event."""

    def __init__(self, settings: Settings) -> None:
        self.loop = Loop("generator", settings)
        self._face = self.loop.publish("face")
        self._opened: Opened | None = None
        self._opening: Future[Opened] | None = None
        self._wanted = ("", "")  # engine, avatar
        self._pool = ThreadPoolExecutor(1, "open")
        self._wake = Wake()
        self._idle_after = int(settings.idle_after * US)
        self._last_face = 0  # pts of the last driving frame with a face in it
        self._next_idle = now()
        self.loop.follow_scene(self._on_scene)
        self.loop.read("driving", self._on_driving)
        self.loop.watch(self._wake.fd, self._on_opened)
        self.loop.every(lambda: self._next_idle, self._idle)
        self.loop.meter.facts = {"engines": engines()}

    def run(self) -> None:
        """Until told to stop."""
        self.loop.run()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _on_scene(self, scene: Scene) -> None:
        if (scene.engine, scene.avatar) != self._wanted:
            self._wanted = (scene.engine, scene.avatar)
            self._open()

    def _open(self) -> None:
        """Open in a thread: a model may take seconds to load, and the pulse must go on. The old session goes on too."""
        if self._opening is not None:
            return  # what is wanted by then is opened when this one is done
        engine, avatar = self._wanted
        self.loop.meter.state = "opening"
        self._opening = self._pool.submit(open_session, self.loop.settings, engine, avatar)
        self._opening.add_done_callback(lambda _: self._wake.set())

    def _on_opened(self) -> None:
        self._wake.clear()
        if self._opening is None or not self._opening.done():
            return
        future, self._opening = self._opening, None
        meter = self.loop.meter
        try:
            opened = future.result()
        except StudioError as error:
            meter.state, meter.note = "failed", str(error)
            if self._opened is None:
                return
        else:
            self._opened = opened
            meter.state, meter.note = "running", ""
        if self._wanted != (self._opened.engine, self._opened.avatar.name) and meter.state != "failed":
            self._open()

    def _on_driving(self, message: Message) -> None:
        driving = driving_of(message)
        at = now()
        if at - message.pts > STALE:
            self.loop.meter.drops["stale"] += 1
            return
        if driving.face is not None:
            self._last_face = message.pts
        if self._opened is None or at - self._last_face > self._idle_after:
            return
        if message.epoch != self._face.epoch:
            self._face.epoch = message.epoch
            self._opened.session.reset()
        for frame in self._opened.session.step(driving):
            self._send(frame, "live", message.stamps, message.pts)

    def _idle(self, at: int) -> None:
        """Once a program tick while nobody drives: the host waits, alive."""
        rate = self.loop.settings.rate
        tick = tick_after(at, rate)
        self._next_idle = tick_pts(tick, rate)
        if self._opened is None or at - self._last_face <= self._idle_after:
            return
        for frame in self._opened.session.idle(self._next_idle):
            self._send(frame, "idle", {}, 0)

    def _send(self, frame: RoiFrame, state: str, stamps: dict[str, int], captured: int) -> None:
        assert self._opened is not None
        at = now()
        pixels = frame.pixels
        self._face.send(
            frame.pts,
            pixels,
            "rgba" if pixels.shape[2] == 4 else "rgb24",
            stamps={**stamps, "engine": at},
            facts={"avatar": self._opened.avatar.name, "state": state, "captured": captured},
        )
        self.loop.meter.frame(at, captured or None)
        if self.loop.meter.state != "opening":
            self.loop.meter.state = "running" if state == "live" else "idle"


def driving_of(message: Message) -> Driving:
    """The driving frame in a message. Raises WireError."""
    if message.format != "rgb24":
        raise WireError("malformed")
    if not message.fact("present", bool):
        return Driving(message.pts, None, None, message.array)
    try:
        face = Face.unpack(message.facts.get("face"))
        neutral = Face.unpack(message.facts.get("neutral"))
    except ValueError:
        raise WireError("malformed") from None
    return Driving(message.pts, face, neutral, message.array)


def open_session(settings: Settings, engine: str, avatar: str) -> Opened:
    """Load an avatar and open an engine on it. Raises StudioError."""
    loaded = load_avatar(settings.home / "avatars" / check_name(avatar))
    chosen = load(engine)
    if reason := chosen.unavailable():
        raise StudioError(reason)
    session = chosen.open(loaded)
    session.step(
        Driving(0, loaded.face, loaded.face, np.zeros((2, 2, 3), np.uint8))
    )  # compiles what compiles on first use
    session.reset()
    return Opened(engine, loaded, session)


def engines() -> dict[str, dict[str, str]]:
    """Every engine's title and, where this machine cannot run it, why."""
    return {
        name: {"title": engine.spec.title, "unavailable": engine.unavailable() or ""}
        for name, engine in ((name, load(name)) for name in ENGINES)
    }
