"""Generator service: turns driving frames, or the voice of each tick, into the avatar's face by the scene's engine."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from engines.api import Driving
from engines.catalog import engine_summaries
from engines.guarded import EngineFaultError
from services.generator.engine_thread import VOICE_LEAD_US, EngineThread
from services.generator.latency import PacedFrame
from services.generator.session_opener import OpenedSession, SessionOpener
from services.generator.template_player import TemplatePlayer
from services.generator.voice_line import VoiceLine
from shared.config.settings import Settings
from shared.errors import StudioError
from shared.face.landmarks import Face
from shared.runtime.clock import US, now, tick_after, tick_pts
from shared.runtime.logs import get_logger
from shared.runtime.wake import Wake
from shared.scene import OptionValue, Scene
from shared.wire.face import FaceFacts
from shared.wire.loop import ServiceLoop
from shared.wire.message import Message, WireError

log = get_logger()
DEAF = "{} is moved by a face on video, not by a voice; choose another engine or driver."
STALE_US = 3 * US // 10  # a driving frame older than this is no longer worth a face
PROBE_PERIOD_US = 5 * US  # interval of probing the engines again, as weights may be downloaded while on air


class Generator:
    """State of a channel's generator service and handlers of its events."""

    def __init__(self, settings: Settings) -> None:
        self.loop = ServiceLoop("generator", settings)
        self._face = self.loop.publish("face")
        self._opened: OpenedSession | None = None
        self._wanted = ("", "")  # engine, avatar
        self._options: Mapping[str, OptionValue] = {}
        self._wrong_option = ""  # why the scene's options could not be applied to the session
        self._trouble = ""  # why the wanted engine and avatar are not on air
        self._looking: Future[dict[str, dict[str, object]]] | None = None
        self._next_look = now() + PROBE_PERIOD_US
        self._pool = ThreadPoolExecutor(1, "look")
        self._wake = Wake()
        self._opener = SessionOpener(settings, self._wake.set)
        self._thread: EngineThread | None = None
        self._thread_wake = Wake()
        self._idle_after = int(settings.idle_after * US)
        self._last_face = 0  # pts of the last driving frame with a face in it
        self._next_idle = now()
        self._tick_us = tick_pts(1, settings.rate)
        self._voice = VoiceLine(settings.rate)
        self._voice_tick = tick_after(now(), settings.rate)
        self._deaf = False  # a voice drives, but the engine has no voice input
        self._player = TemplatePlayer(settings.rate, self._pool)
        self.loop.follow_scene(self._on_scene)
        self.loop.add_reader("driving", self._on_driving)
        self.loop.add_reader("voice", self._on_voice, newest=False)
        self.loop.watch_descriptor(self._wake.fd, self._on_opened)
        self.loop.watch_descriptor(self._thread_wake.fd, self._on_thread)
        self.loop.watch_descriptor(self._player.wake.fd, self._on_template)
        self.loop.every(self._next_handed, self._hand_on)
        self.loop.every(self._player.due, self._play)
        self.loop.every(lambda: self._next_idle, self._idle)
        self.loop.every(lambda: tick_pts(self._voice_tick, settings.rate) - VOICE_LEAD_US, self._speak)
        self.loop.every(lambda: self._next_look, self._look)
        self.loop.before_pulse(self._report)
        self._engines = engine_summaries(settings)

    def run(self, *, signals: bool = True) -> None:
        """Run the service until it is stopped."""
        self.loop.run(signals=signals)
        if self._thread is not None:
            self._thread.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _on_scene(self, scene: Scene) -> None:
        self._voice.on_scene(scene)
        self._player.on_scene(scene)
        another, self._options = scene.options != self._options, scene.options
        if (scene.engine, scene.avatar) != self._wanted or (another and self._trouble):
            self._wanted = (scene.engine, scene.avatar)
            self._open()
        elif another:
            self._apply_options()
        self._say()

    def _open(self) -> None:
        """Begin to open the wanted session in another thread; the current session and the pulse continue meanwhile."""
        self.loop.meter.state = "opening"
        self._opener.begin_opening(*self._wanted, self._options)

    def _on_opened(self) -> None:
        self._wake.clear()
        try:
            opened = self._opener.finished_session()
        except StudioError as error:
            if isinstance(error, EngineFaultError):
                log.error("engine_not_opened", engine=self._wanted[0], exc_info=error.__cause__)
            self._fail(str(error))
        except Exception as error:  # an error inside a model must not stop the current session
            engine, avatar = self._wanted
            log.exception("engine_not_opened", engine=engine, avatar=avatar)
            self._fail(f"{engine} cannot be opened ({type(error).__name__}: {error}); choose another engine.")
        else:
            if opened is not None:
                self._begin(opened)

    def _fail(self, why: str) -> None:
        self.loop.meter.state, self._trouble = "failed", why
        self._say()

    def _say(self) -> None:
        """Set the meter's note to the most important message."""
        deaf = DEAF.format(self._opened.info.title) if self._opened is not None and self._deaf else ""
        of_session = self._thread.note if self._thread is not None else ""
        self.loop.meter.note = self._trouble or deaf or self._player.note or self._wrong_option or of_session

    def _report(self) -> None:
        """Update the meter before a pulse."""
        meter = self.loop.meter
        needs_image = self._opened is not None and self._opened.needs_image
        meter.facts = {"engines": self._engines, "needs_image": needs_image}
        if self._thread is not None:
            meter.drops += self._thread.counted()
            meter.facts |= self._thread.as_dict()

    def _look(self, at: int) -> None:
        """Probe the engines again, and open the wanted one if it has become available."""
        self._next_look = at + PROBE_PERIOD_US
        if self._looking is not None and not self._looking.done():
            return
        if self._looking is not None:
            before, self._engines = self._engines, self._looking.result()
            wanted = self._wanted[0]
            helped = before.get(wanted, {}).get("unavailable") and not self._engines[wanted]["unavailable"]
            if helped and not self._opener.busy:
                self._open()
        self._looking = self._pool.submit(engine_summaries, self.loop.settings)

    def _on_driving(self, message: Message) -> None:
        driving = driving_of(message)
        self._voice.on_driving()
        if now() - message.pts > STALE_US:
            self.loop.meter.drops["stale"] += 1
        elif driving.frame is None and self._opened is not None and self._opened.needs_image:
            self.loop.meter.drops["without image"] += 1  # capture does not know yet that the engine needs it
        elif not self._player.drives:  # frames that arrive after recorded motion has taken over are ignored
            self._drive(driving, message.stamps, message.epoch)

    def _drive(self, driving: Driving, stamps: Mapping[str, int], epoch: int) -> None:
        if driving.face is not None or driving.recorded is not None:
            self._last_face = driving.pts
        if self._opened is None or self._thread is None or now() - self._last_face > self._idle_after:
            return
        restarted = epoch != self._face.epoch
        self._face.epoch = epoch
        self._opened.plate_clock.delay_us = self._tick_us
        self._thread.offer(driving, stamps, restarted=restarted)

    def _on_template(self) -> None:
        self._player.arrived()
        self._say()

    def _play(self, at: int) -> None:
        """Pass the due frame of recorded motion to the engine, if recorded motion drives."""
        if (driving := self._player.due_frame(at)) is not None:
            self._drive(driving, {"captured": driving.pts}, self._player.epoch)
        self.loop.meter.drops["recorded frame skipped"] = self._player.skipped
        self.loop.meter.drops["recorded motion stalled"] = self._player.stalls
        self._say()

    def _begin(self, opened: OpenedSession | None) -> None:
        """Continue with this session in a new thread, or without a session, and close the previous thread."""
        if self._thread is not None:
            self._thread.close()
            self.loop.meter.drops += self._thread.counted()
        self._opened, self._thread = opened, None
        if opened is not None:
            self._thread = EngineThread(opened, self._thread_wake.set, self._idle_after)
            self.loop.meter.state, self._trouble = "running", ""
            self._player.set_engine(self._wanted[0], opened.engine)
            self._apply_options()
        self._say()

    def _apply_options(self) -> None:
        """Apply the scene's options to the open session; they may have changed while it was being opened."""
        if self._opened is None or self._thread is None:
            return
        try:
            options = self._opened.engine.options(self._options)
        except StudioError as error:
            self._wrong_option = str(error)
            return
        self._wrong_option = ""
        if options is not None:
            self._thread.apply(options)

    def _on_thread(self) -> None:
        """React to frames, changes and failures of the engine's thread."""
        self._thread_wake.clear()
        failure = self._thread.failure if self._thread is not None else None
        if failure is not None and (isinstance(failure, EngineFaultError) or not isinstance(failure, StudioError)):
            self._fail(str(failure))
            self.loop.pulse()  # report the failure before this process ends; the next one loads everything again
            raise failure
        if failure is not None:
            self._begin(None)
            self._fail(str(failure))
        elif self._thread is not None and self._thread.take_refusal():
            self._open()
        self._say()

    def _next_handed(self) -> int:
        if self._thread is not None:
            self._thread.note_turn()
        due = self._thread.due() if self._thread is not None else None
        return now() + US if due is None else due

    def _hand_on(self, at: int) -> None:
        """Send the engine's frame that is due at `at`."""
        if self._thread is not None and (paced := self._thread.due_frame(at)) is not None:
            self._send(paced)

    def _on_voice(self, message: Message) -> None:
        restarted = self._voice.on_voice(message) and self._voice.drives
        if restarted and self._opened is not None and self._opened.hears and self._thread is not None:
            self._thread.restart()

    def _speak(self, at: int) -> None:
        """Pass the engine the voice for the face of this program tick, while a voice drives.

        Silence is passed too: from its faces the compositor learns, before the first word, how much to delay the sound.
        """
        rate = self.loop.settings.rate
        tick = max(tick_after(at + VOICE_LEAD_US, rate) - 1, self._voice_tick)
        self._voice_tick = tick + 1
        opened = self._opened
        deaf = opened is not None and self._voice.drives and not opened.hears
        if opened is not None and deaf != self._deaf:
            self._deaf = deaf
            self._say()
        if opened is None or self._thread is None or deaf or not self._voice.drives:
            return
        ahead = opened.info.voice_ahead_us
        delay = tick_pts(tick, rate) - self._voice.said_at(tick, ahead)
        opened.plate_clock.delay_us = delay
        self._thread.hear(self._voice.block(tick, ahead), delay)

    def _idle(self, at: int) -> None:
        """Request a frame of the idling host at each program tick without a driver."""
        rate = self.loop.settings.rate
        tick = tick_after(at, rate)
        self._next_idle = tick_pts(tick, rate)
        if self._opened is None or at - self._last_face <= self._idle_after:
            return
        if self._voice.drives and self._opened.hears:
            return
        if self._thread is not None:
            self._opened.plate_clock.delay_us = 0  # an idle frame's pts is that of the tick that shows it
            self._thread.idle(self._next_idle)

    def _send(self, paced: PacedFrame) -> None:
        assert self._opened is not None
        at, frame, pixels = now(), paced.frame, paced.frame.pixels
        facts = FaceFacts(
            self._opened.avatar.name,
            captured=frame.pts if paced.driven else 0,
            live=bool(paced.driven) and not frame.waiting,
            voice=paced.driven == "voice",
            plate=frame.plate,
        )
        self._face.send(
            paced.shown,
            pixels,
            "rgba" if pixels.shape[2] == 4 else "rgb24",
            stamps={**paced.stamps, "engine": at},
            facts=facts.as_facts(),
        )
        self.loop.meter.frame(at, facts.captured or None)
        if self.loop.meter.state != "opening":
            self.loop.meter.state = "running" if facts.live else "idle"


def driving_of(message: Message) -> Driving:
    """Return the driving frame of a message. Raises WireError.

    Its image is None if the message has none, or a small one, which is for the console only.
    """
    if message.format not in ("rgb24", "bytes"):
        raise WireError("malformed")
    image = message.array if message.format == "rgb24" else None
    if not message.fact("present", bool):
        return Driving(message.pts, None, None, image)
    try:
        face = Face.unpack(message.facts.get("face"))
        neutral = Face.unpack(message.facts.get("neutral"))
    except ValueError:
        raise WireError("malformed") from None
    return Driving(message.pts, face, neutral, image)
