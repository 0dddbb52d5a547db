"""Generator: turns each driving frame, or the voice of each tick, into the avatar's face with the scene's engine."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import structlog

from services.generator.batch import Batch
from services.generator.engine import Driving, Engine, EngineSpec, RoiFrame, Session, VoiceBlock
from services.generator.engines import load
from services.generator.playing import Player
from services.generator.roster import engines
from services.generator.voice import VoiceLine
from shared.avatar import Avatar, check_name, load_avatar
from shared.clock import US, now, tick_after, tick_pts
from shared.errors import StudioError
from shared.face import Face
from shared.loop import Loop
from shared.media import SOUND_RATE
from shared.scene import Scene
from shared.settings import Settings
from shared.wake import Wake
from shared.wire import Message, WireError

log = structlog.get_logger()
VOICE_LEAD = 24_000  # us before a program tick at which its face is made from the voice
DEAF = "{} is moved by a face on video, not by a voice; choose mesh or another driver."
STALE = 3 * US // 10  # a driving frame older than this is not worth a face any more
ENDING = 1.0  # seconds that a batch under way is waited for at the end
LOOK = 5 * US  # between two looks at which engines can run: weights are pulled while on air


@dataclass(frozen=True, slots=True)
class Opened:
    """An engine's session on an avatar, as the scene wants it."""

    engine: Engine
    avatar: Avatar
    session: Session

    @property
    def spec(self) -> EngineSpec:
        return self.engine.spec

    @property
    def hears(self) -> bool:
        """Whether a voice can drive it."""
        return "voice" in self.spec.driven_by


class Generator:
    """The service's state and what it does on each event."""

    def __init__(self, settings: Settings) -> None:
        self.loop = Loop("generator", settings)
        self._face = self.loop.publish("face")
        self._opened: Opened | None = None
        self._opening: Future[Opened] | None = None
        self._wanted = ("", "")  # engine, avatar
        self._tried = ("", "")  # what was opened last, or could not be
        self._looking: Future[dict[str, dict[str, object]]] | None = None
        self._next_look = now() + LOOK
        self._pool = ThreadPoolExecutor(1, "open")
        self._wake = Wake()
        self._batch: Batch | None = None  # where the engine takes several frames at a time
        self._batch_wake = Wake()
        self._idle_after = int(settings.idle_after * US)
        self._last_face = 0  # pts of the last driving frame with a face in it
        self._next_idle = now()
        self._voice = VoiceLine(settings.rate)
        self._voice_tick = tick_after(now(), settings.rate)
        self._deaf = False  # a voice drives, and the engine does not hear it
        self._player = Player(settings.rate, self._pool)
        self._said = ""  # by the player
        self.loop.follow_scene(self._on_scene)
        self.loop.read("driving", self._on_driving)
        self.loop.read("voice", self._on_voice, newest=False)
        self.loop.watch(self._wake.fd, self._on_opened)
        self.loop.watch(self._batch_wake.fd, self._on_batch)
        self.loop.watch(self._player.wake.fd, self._on_template)
        self.loop.every(self._next_handed, self._hand_on)
        self.loop.every(self._player.due, self._play)
        self.loop.every(lambda: self._next_idle, self._idle)
        self.loop.every(lambda: tick_pts(self._voice_tick, settings.rate) - VOICE_LEAD, self._speak)
        self.loop.every(lambda: self._next_look, self._look)
        self.loop.meter.facts = {"engines": engines(settings)}

    def run(self) -> None:
        """Until told to stop."""
        self.loop.run()
        if self._batch is not None:
            self._batch.close(ENDING)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _on_scene(self, scene: Scene) -> None:
        self._voice.on_scene(scene)
        self._player.on_scene(scene)
        self._say()
        if (scene.engine, scene.avatar) != self._wanted:
            self._wanted = (scene.engine, scene.avatar)
            self._open()

    def _open(self) -> None:
        """Open in a thread: a model may take seconds to load, and the pulse must go on. The old session goes on too."""
        if self._opening is not None:
            return  # what is wanted by then is opened when this one is done
        engine, avatar = self._tried = self._wanted
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
            self._opened = future.result()
        except StudioError as error:
            meter.state, meter.note = "failed", str(error)
        except Exception as error:  # a model's own trouble must not take the picture of the one before it
            log.exception("engine_not_opened", engine=self._tried[0], avatar=self._tried[1])
            about = f"{type(error).__name__}: {error}"
            meter.state, meter.note = "failed", f"{self._tried[0]} cannot be opened ({about}); choose another engine."
        else:
            meter.state, meter.note = "running", ""
            self._begin_batch()
            self._player.use(self._tried[0], self._opened.engine)
            self._said = ""
            self._say()
        if self._wanted != self._tried:
            self._open()

    def _look(self, at: int) -> None:
        """See again which engines can run, and open the wanted one if it is what became able to."""
        self._next_look = at + LOOK
        if self._looking is not None and not self._looking.done():
            return
        if self._looking is not None:
            before, found = self.loop.meter.facts["engines"], self._looking.result()
            self.loop.meter.facts = {**self.loop.meter.facts, "engines": found}
            helped = before.get(self._tried[0], {}).get("unavailable") and not found[self._tried[0]]["unavailable"]
            if helped and self._opening is None:
                self._open()
        self._looking = self._pool.submit(engines, self.loop.settings)

    def _on_driving(self, message: Message) -> None:
        driving = driving_of(message)
        self._voice.on_driving()
        if now() - message.pts > STALE:
            self.loop.meter.drops["stale"] += 1
        elif not self._player.drives:  # what is still on its way when recorded motion takes over
            self._drive(driving, message.stamps, message.epoch)

    def _drive(self, driving: Driving, stamps: Mapping[str, int], epoch: int) -> None:
        if driving.face is not None or driving.recorded is not None:
            self._last_face = driving.pts
        if self._opened is None or now() - self._last_face > self._idle_after:
            return
        anew = epoch != self._face.epoch
        self._face.epoch = epoch
        if self._batch is not None:
            self._batch.offer(driving, stamps, anew=anew)
            return
        if anew:
            self._opened.session.reset()
        for frame in self._opened.session.step(driving):
            self._send(frame, "live", dict(stamps), driving.pts)

    def _on_template(self) -> None:
        self._player.arrived()
        self._say()

    def _play(self, at: int) -> None:
        """The frame of recorded motion that is due, where that drives."""
        if (driving := self._player.take(at)) is not None:
            self._drive(driving, {"captured": driving.pts}, self._player.epoch)
        self.loop.meter.drops["recorded frame skipped"] = self._player.skipped
        self.loop.meter.drops["recorded motion stalled"] = self._player.stalls
        self._say()

    def _say(self) -> None:
        """What the player has to say, when that has changed."""
        if self._player.note != self._said:
            self._said = self.loop.meter.note = self._player.note

    def _begin_batch(self) -> None:
        """A thread for a session that takes several frames at a time; the one before it ends."""
        assert self._opened is not None
        if self._batch is not None:
            self._batch.close()
        size = self._opened.spec.frames_per_step
        several = size > 1 and not self._opened.hears
        self._batch = Batch(self._opened.session, size, self._batch_wake.set, self._idle_after) if several else None

    def _on_batch(self) -> None:
        """Something came out, or went wrong."""
        self._batch_wake.clear()
        if self._batch is None:
            return
        if isinstance(self._batch.failure, StudioError):
            self.loop.meter.state, self.loop.meter.note = "failed", str(self._batch.failure)
            self._batch = None
        elif self._batch.failure is not None:
            raise self._batch.failure
        elif self._batch.note:
            self.loop.meter.note = self._batch.note

    def _next_handed(self) -> int:
        due = self._batch.due() if self._batch is not None else None
        return now() + US if due is None else due

    def _hand_on(self, at: int) -> None:
        """What the batch made, at its time: shown now, captured when its driving frame was."""
        if self._batch is None:
            return
        for paced in self._batch.take(at):
            self._send(RoiFrame(paced.due, paced.frame.pixels), "live", dict(paced.stamps), paced.frame.pts)
        self.loop.meter.drops["driver frame skipped"] = self._batch.dropped
        self.loop.meter.drops["face late"] = self._batch.late

    def _on_voice(self, message: Message) -> None:
        if self._voice.on_voice(message) and self._opened is not None and self._voice.drives:
            self._opened.session.reset()

    def _speak(self, at: int) -> None:
        """Once a program tick while a voice drives: the face that says what was heard some ticks ago, in silence too, so
        that the compositor knows before the first word by how much the sound is to be delayed."""
        rate = self.loop.settings.rate
        tick = max(tick_after(at + VOICE_LEAD, rate) - 1, self._voice_tick)
        self._voice_tick = tick + 1
        opened = self._opened
        deaf = opened is not None and self._voice.drives and not opened.hears
        if opened is not None and deaf != self._deaf:
            self._deaf = deaf
            self.loop.meter.note = DEAF.format(opened.spec.title) if deaf else ""
        if opened is None or deaf or not self._voice.drives:
            return
        frames = opened.session.hear(self._voice.block(tick, opened.spec.voice_ahead))
        if frames:
            newest = frames[-1]
            face = RoiFrame(tick_pts(tick, rate), newest.pixels)
            self._send(face, "idle" if newest.waiting else "live", {}, newest.pts, "voice")

    def _idle(self, at: int) -> None:
        """Once a program tick while nobody drives: the host waits, alive."""
        rate = self.loop.settings.rate
        tick = tick_after(at, rate)
        self._next_idle = tick_pts(tick, rate)
        if self._opened is None or at - self._last_face <= self._idle_after:
            return
        if self._voice.drives and self._opened.hears:
            return
        for frame in self._opened.session.idle(self._next_idle):
            self._send(frame, "idle", {}, 0)

    def _send(self, frame: RoiFrame, state: str, stamps: dict[str, int], captured: int, driven: str = "motion") -> None:
        assert self._opened is not None
        at = now()
        pixels = frame.pixels
        self._face.send(
            frame.pts,
            pixels,
            "rgba" if pixels.shape[2] == 4 else "rgb24",
            stamps={**stamps, "engine": at},
            facts={"avatar": self._opened.avatar.name, "state": state, "captured": captured, "driven": driven},
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
    chosen = load(engine, settings.engines)
    if reason := chosen.unavailable():
        raise StudioError(reason)
    session = chosen.open(loaded, settings.rate)
    # what is compiled on first use is compiled now
    session.step(Driving(0, loaded.face, loaded.face, np.zeros((2, 2, 3), np.uint8)))
    session.hear(VoiceBlock(0, np.zeros(SOUND_RATE // 5, np.int16)))
    session.reset()
    return Opened(chosen, loaded, session)
