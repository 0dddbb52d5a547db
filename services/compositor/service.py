"""Compositor: owns the program clock and emits one frame and its sound each tick, without end."""

from dataclasses import dataclass

from compositing.blend import warm_up
from compositing.compose import Composed, Composer
from compositing.transition import Transition
from services.compositor.voice_delay import VoicePlayer
from shared.avatar.model import avatar_folder, load_avatar
from shared.config.settings import Settings
from shared.errors import StudioError
from shared.media.array_types import ImageArray, PixelBox
from shared.runtime.clock import SOUND_RATE_HZ, US, now, sound_samples, tick_after, tick_pts
from shared.scene import Scene
from shared.wire.face import FaceFacts
from shared.wire.loop import ServiceLoop
from shared.wire.message import Message, WireError

FACE_AHEAD_US = (
    2 * US
)  # us by which a face may be ahead: a voice's is made for a tick to come, no more than its look-ahead
PLATE_HOLD_US = 200_000  # us that a face is shown for whose plate frame is shown with it


@dataclass(frozen=True, slots=True)
class ShownFace:
    """A face and the facts of its message."""

    message: Message
    facts: FaceFacts

    @property
    def pts(self) -> int:
        return self.message.pts


class Compositor:
    """The service's state and what it does on each event."""

    def __init__(self, settings: Settings) -> None:
        self.loop = ServiceLoop("compositor", settings)
        self._program = self.loop.publish("program")
        self._sound = self.loop.publish("sound")
        self._rate = settings.rate
        self._idle_after = int(settings.idle_after * US)
        self._composer: Composer | None = None
        self._face: ShownFace | None = None
        self._shown = 0  # pts of the face shown last: a face shown again tells nothing of latency
        self._faded = Transition()
        self._voice = VoicePlayer()
        self._voice_epoch = 0
        warm_up()
        self._tick = tick_after(now(), self._rate)
        self._next: tuple[int, ImageArray] | None = None  # a plate frame, made ahead of the tick that shows it
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
            composer = Composer(load_avatar(avatar_folder(self.loop.settings.home, name)))
            composer.background(0)
        except StudioError as error:
            meter.note = str(error)
            return
        self._composer, self._face, self._next = composer, None, None
        self._faded = Transition()
        meter.note = ""

    def _on_face(self, message: Message) -> None:
        facts = FaceFacts.of(message)
        if self._composer is None or facts.avatar != self._composer.avatar.name:
            self.loop.meter.drops["face of another avatar"] += 1
        elif now() - message.pts > self._idle_after:
            self.loop.meter.drops["face stale"] += 1
        elif message.pts - now() > FACE_AHEAD_US or facts.captured > now() + FACE_AHEAD_US:
            self.loop.meter.drops["face ahead"] += 1
        elif facts.plate is not None and facts.plate >= len(self._composer.avatar.plate):
            raise WireError("malformed")
        else:
            self._face = ShownFace(message, facts)
            if facts.plate is not None:
                self._prepare_plate(facts.plate)

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
        if face is None or face.facts.plate is None:
            self._prepare_plate(self._composer.avatar.plate.index(tick_pts(self._tick, self._rate)))

    def _prepare_plate(self, index: int) -> None:
        """Decode a plate frame ahead of the tick that shows it."""
        assert self._composer is not None
        if self._next is None or self._next[0] != index:
            self._next = (index, self._composer.background(index))

    def _current_face(self, pts: int, scene: Scene) -> ShownFace | None:
        """The face to show, or None when the last one is too old or the channel is off air. One that was made for a plate
        frame is held for PLATE_HOLD_US at most: that frame is held with it, and a body does not stand still."""
        if self._face is None or not scene.on_air:
            return None
        hold = self._idle_after if self._face.facts.plate is None else PLATE_HOLD_US
        return self._face if pts - self._face.pts <= hold else None

    def _emit_frame(self, tick: int, pts: int, scene: Scene, face: ShownFace | None, opacity: float) -> None:
        assert self._composer is not None
        # While it fades out the last face stays where it was, and so does the plate frame it was made for.
        shown = face or (self._face if opacity > 0 else None)
        named = None if shown is None else shown.facts.plate
        index = self._composer.avatar.plate.index(pts) if named is None else named
        ready, self._next = self._next, None
        background = ready[1] if ready and ready[0] == index else self._composer.background(index)
        roi = shown.message.array if shown else None
        composed = self._composer.compose(background, index, roi, opacity, own=named is not None)
        done = now()
        captured = face.facts.captured if face else 0
        if face and captured and captured != self._shown:
            self._shown = captured
            delay = self._voice.delay
            if face.facts.voice and not delay.settled:
                delay.set_latency(face.pts - captured)
            else:  # a face that was late once changes nothing, one that is late always does
                delay.add_measurement(pts - captured)
            self.loop.meter.facts["voice delay"] = self._voice.delay.us
            self.loop.meter.frame(done, captured)
        else:
            self.loop.meter.frame(done)
        state = ("live" if face.facts.live else "idle") if face else "plate"
        self.loop.meter.state = state
        self._program.send(
            pts,
            composed.frame,
            "i420",
            stamps={**(face.message.stamps if face else {}), "composed": done},
            facts=program_facts(tick, self._composer.avatar.name, composed, state, captured, scene.label),
        )


def program_facts(
    tick: int, avatar: str, composed: Composed, state: str, captured: int, label: bool
) -> dict[str, object]:
    """What a program message says beside its pixels. label: the outputs are to draw the label."""
    return {
        "tick": tick,
        "avatar": avatar,
        "plate": composed.plate,
        "box": _listed(composed.box),
        "label": label,
        "state": state,
        "captured": captured,
    }


def _listed(box: PixelBox) -> list[int]:
    return list(box) if box[2] else []
