"""Compositor: owns the program clock and emits one frame and its sound each tick, without end."""

from compositing.blend import warm_up
from compositing.compose import Composed, Composer
from compositing.transition import Transition
from services.compositor.voice_delay import VoicePlayer
from shared.avatar.model import check_name, load_avatar
from shared.config.settings import Settings
from shared.errors import StudioError
from shared.media.array_types import ImageArray, PixelBox
from shared.media.reader import SOUND_RATE_HZ
from shared.runtime.clock import US, now, sound_samples, tick_after, tick_pts
from shared.scene import Scene
from shared.wire.loop import ServiceLoop
from shared.wire.message import Message, WireError


class Compositor:
    """The service's state and what it does on each event."""

    def __init__(self, settings: Settings) -> None:
        self.loop = ServiceLoop("compositor", settings)
        self._program = self.loop.publish("program")
        self._sound = self.loop.publish("sound")
        self._rate = settings.rate
        self._idle_after = int(settings.idle_after * US)
        self._composer: Composer | None = None
        self._face: Message | None = None
        self._shown = 0  # pts of the face shown last: a face shown again tells nothing of latency
        self._faded = Transition()
        self._voice = VoicePlayer()
        self._voice_epoch = 0
        warm_up()
        self._tick = tick_after(now(), self._rate)
        self._next: tuple[int, ImageArray] | None = None  # plate frame of the next tick, made ahead
        self.loop.follow_scene(self._on_scene)
        self.loop.add_reader("face", self._on_face)
        self.loop.add_reader("voice", self._on_voice, newest=False)
        self.loop.every(lambda: tick_pts(self._tick, self._rate), self._on_tick)

    def run(self) -> None:
        """Until told to stop."""
        self.loop.run()

    def _on_scene(self, scene: Scene) -> None:
        current = self._composer.avatar.name if self._composer else ""
        if scene.avatar != current:
            self._load(scene.avatar)

    def _load(self, name: str) -> None:
        meter = self.loop.meter
        try:
            composer = Composer(
                load_avatar(self.loop.settings.home / "avatars" / check_name(name)),
                keep_under=bool(self.loop.settings.clean_feed_right),
            )
            composer.background(0)
        except StudioError as error:
            meter.note = str(error)
            return
        self._composer, self._face, self._next = composer, None, None
        self._faded = Transition()
        meter.note = ""

    def _on_face(self, message: Message) -> None:
        if message.format not in ("rgb24", "rgba") or message.array.shape[0] != message.array.shape[1]:
            raise WireError("malformed")
        message.fact("captured", int)
        if message.fact("state", str) not in ("live", "idle"):
            raise WireError("malformed")
        if self._composer is None or message.fact("avatar", str) != self._composer.avatar.name:
            self.loop.meter.drops["face of another avatar"] += 1
        elif now() - message.pts > self._idle_after:
            self.loop.meter.drops["face stale"] += 1
        else:
            self._face = message

    def _on_voice(self, message: Message) -> None:
        if message.format != "s16":
            raise WireError("malformed")
        if message.epoch != self._voice_epoch:
            self._voice_epoch = message.epoch
            self._voice.switch()
            self._voice.delay.restart()
        self._voice.buffer.write(message.pts, message.array)

    def _on_tick(self, at: int) -> None:
        tick = tick_after(at, self._rate) - 1  # the one that is due; those before it were missed
        if tick > self._tick:
            self.loop.meter.drops["tick missed"] += tick - self._tick
        self._tick = tick + 1
        scene = self.loop.scene
        if self._composer is None or scene is None:
            return
        pts = tick_pts(tick, self._rate)
        face = self._current_face(pts, scene)
        opacity = self._faded.opacity_at(pts, face is not None)
        self._emit_frame(tick, pts, scene, face, opacity)
        first, last = sound_samples(tick, self._rate, SOUND_RATE_HZ)
        heard = 1.0 if scene.on_air and not scene.muted else 0.0
        self._sound.send(pts, self._voice.block(first, last - first, heard), "s16", facts={"tick": tick})
        following = self._composer.avatar.plate.index(tick_pts(self._tick, self._rate))
        self._next = (following, self._composer.background(following))

    def _current_face(self, pts: int, scene: Scene) -> Message | None:
        """The face to show, or None when the last one is too old or the channel is off air."""
        if self._face is None or not scene.on_air or pts - self._face.pts > self._idle_after:
            return None
        return self._face

    def _emit_frame(self, tick: int, pts: int, scene: Scene, face: Message | None, opacity: float) -> None:
        assert self._composer is not None
        index = self._composer.avatar.plate.index(pts)
        ready, self._next = self._next, None
        background = ready[1] if ready and ready[0] == index else self._composer.background(index)
        # While it fades out the last face stays where it was.
        shown = face or (self._face if opacity > 0 else None)
        composed = self._composer.compose(background, index, shown.array if shown else None, opacity, scene.label)
        done = now()
        captured = face.facts["captured"] if face else 0
        if face and captured and captured != self._shown:
            self._shown = captured
            delay = self._voice.delay
            if face.facts.get("driven") == "voice" and not delay.settled:
                delay.set_latency(face.pts - captured)
            else:  # a face that was late once changes nothing, one that is late always does
                delay.add_measurement(pts - captured)
            self.loop.meter.facts["voice delay"] = self._voice.delay.us
            self.loop.meter.frame(done, captured)
        else:
            self.loop.meter.frame(done)
        state = face.facts["state"] if face else "plate"
        self.loop.meter.state = state
        self._program.send(
            pts,
            composed.frame,
            "i420",
            stamps={**(face.stamps if face else {}), "composed": done},
            facts=program_facts(tick, self._composer.avatar.name, composed, state, captured),
        )


def program_facts(tick: int, avatar: str, composed: Composed, state: str, captured: int) -> dict[str, object]:
    """What a program message says beside its pixels."""
    return {
        "tick": tick,
        "avatar": avatar,
        "plate": composed.plate,
        "box": _listed(composed.box),
        "label": _listed(composed.label),
        "state": state,
        "captured": captured,
        "under": b"" if composed.under is None else composed.under.tobytes(),
    }


def _listed(box: PixelBox) -> list[int]:
    return list(box) if box[2] else []
