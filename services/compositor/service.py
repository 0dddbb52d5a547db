"""Compositor service: owns the program clock and sends exactly one frame and its sound at each tick."""

from compositing.blend import warm_up
from compositing.compose import Composed
from compositing.face_stage import FaceStage, StagedFrame
from services.compositor.voice_delay import VoicePlayer
from shared.avatar.model import avatar_folder, load_avatar
from shared.config.settings import Settings
from shared.errors import StudioError
from shared.media.array_types import PixelBox
from shared.runtime.clock import SOUND_RATE_HZ, US, now, sound_samples, tick_after, tick_pts
from shared.scene import Scene
from shared.wire.loop import ServiceLoop
from shared.wire.message import Message, WireError


class Compositor:
    """State of the compositor service and handlers of its events."""

    def __init__(self, settings: Settings) -> None:
        self.loop = ServiceLoop("compositor", settings)
        self._program = self.loop.publish("program")
        self._sound = self.loop.publish("sound")
        self._rate = settings.rate
        self._idle_after = int(settings.idle_after * US)
        self._stage: FaceStage | None = None
        self._shown = 0  # capture time of the face shown last; a repeated face is no new measurement of latency
        self._voice = VoicePlayer()
        self._voice_epoch = 0
        warm_up()
        self._tick = tick_after(now(), self._rate)
        self.loop.follow_scene(self._on_scene)
        self.loop.add_reader("face", self._on_face)
        self.loop.add_reader("voice", self._on_voice, newest=False)
        self.loop.every(lambda: tick_pts(self._tick, self._rate), self._on_tick)

    def run(self) -> None:
        """Run the service until it is stopped."""
        self.loop.run()

    def _on_scene(self, scene: Scene) -> None:
        current = self._stage.avatar.name if self._stage else ""
        if scene.avatar != current:
            self._load(scene.avatar)

    def _load(self, name: str) -> None:
        meter = self.loop.meter
        try:
            avatar = load_avatar(avatar_folder(self.loop.settings.home, name))
            self._stage = FaceStage(avatar, self._idle_after)
        except StudioError as error:
            meter.note = str(error)
            return
        meter.note = ""

    def _on_face(self, message: Message) -> None:
        why = self._stage.take(message, now()) if self._stage else "face of another avatar"
        if why:
            self.loop.meter.drops[why] += 1

    def _on_voice(self, message: Message) -> None:
        if message.format != "s16":
            raise WireError("malformed")
        if message.epoch != self._voice_epoch:
            self._voice_epoch = message.epoch
            self._voice.switch()
            self._voice.delay.restart()
        self._voice.buffer.write(message.pts, message.array)

    def _on_tick(self, at: int) -> None:
        tick = tick_after(at, self._rate) - 1  # the tick that is due; earlier ones were missed
        if tick > self._tick:
            self.loop.meter.drops["tick missed"] += tick - self._tick
        self._tick = tick + 1
        scene = self.loop.scene
        if self._stage is None or scene is None:
            return
        pts = tick_pts(tick, self._rate)
        self._emit_frame(tick, pts, self._stage.frame(pts, on_air=scene.on_air), scene.label)
        first, last = sound_samples(tick, self._rate, SOUND_RATE_HZ)
        heard = 1.0 if scene.on_air and not scene.muted else 0.0
        self._sound.send(pts, self._voice.block(first, last - first, heard), "s16", facts={"tick": tick})
        self._stage.prepare_tick(tick_pts(self._tick, self._rate))

    def _emit_frame(self, tick: int, pts: int, staged: StagedFrame, label: bool) -> None:
        done, face = now(), staged.face
        captured = face.facts.captured if face else 0
        if face and captured and captured != self._shown:
            self._shown = captured
            delay = self._voice.delay
            if face.facts.voice and not delay.settled:
                delay.set_latency(face.pts - captured)
            else:  # one late face changes nothing, constant lateness does
                delay.add_measurement(pts - captured)
            self.loop.meter.facts["voice delay"] = self._voice.delay.us
            self.loop.meter.frame(done, captured)
        else:
            self.loop.meter.frame(done)
        self.loop.meter.state = staged.state
        assert self._stage is not None
        self._program.send(
            pts,
            staged.composed.frame,
            "i420",
            stamps={**(face.message.stamps if face else {}), "composed": done},
            facts=program_facts(tick, self._stage.avatar.name, staged.composed, staged.state, captured, label),
        )


def program_facts(
    tick: int, avatar: str, composed: Composed, state: str, captured: int, label: bool
) -> dict[str, object]:
    """Return the facts of a program message. captured: microseconds, 0 without a face. label: see `Scene.label`."""
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
