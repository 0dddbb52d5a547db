"""Capture service: opens the scene's driver, tracks the face in its frames and sends "driving" and "voice"."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from services.capture.audio_drift import DriftCorrector
from services.capture.demux import DriverFrame, DriverSoundBlock, shrink_to_limit
from services.capture.source import DriverReader
from shared.config.settings import Settings
from shared.driver_ref import DriverKind
from shared.face.follower import FaceFollower
from shared.media.array_types import ImageArray
from shared.media.driver_view import PERIOD_US, driver_view
from shared.media.jpeg_size import check_jpeg
from shared.runtime.clock import US, now, tick_after, tick_pts
from shared.runtime.wake import Wake
from shared.scene import Scene
from shared.wire.loop import ServiceLoop
from shared.wire.message import NOTHING, Message, WireError

LEAD_US = 35_000  # a file's frame is sent this long before its program tick, to leave time for tracking and engine
LATE_US = 2 * US // 10  # a file's or a page's frame this late is dropped rather than shown
SOUND_AHEAD = US  # the sound of a voice file is sent this many us before its time
HUSH = np.zeros(48, np.int16)  # a millisecond of silence, sent in place of the remaining voice after an interrupt
LOST = US  # a live driver silent for this long is reported
MAX_JPEG_SIDE_PX = 4096
DOUBTFUL = "The driver's neutral face is a guess; look calmly at the camera and press 'Retake neutral face'."


class Capture:
    """State of the capture service and handlers of its events."""

    def __init__(self, settings: Settings) -> None:
        self.loop = ServiceLoop("capture", settings)
        self._driving = self.loop.publish("driving")
        self._voice = self.loop.publish("voice")
        self._follower = FaceFollower()
        self._wake = Wake()
        self._driver: DriverReader | None = None
        self._base = 0  # channel clock at the start of a file driver
        self._last_frame = 0
        self._last_view = 0  # pts of the last small image
        self._retaken = -1
        self._steady = DriftCorrector()  # for the sound that a page sends
        self._remote_epoch: int | None = None
        self._sample = settings.home / "drivers" / "sample.mp4"
        self.loop.follow_scene(self._on_scene)
        self.loop.add_reader("remote", self._on_remote, newest=False)
        self.loop.watch_descriptor(self._wake.fd, self._on_wake)
        self.loop.every(self._due, self._release)
        self.loop.meter.facts = {"cameras": cameras(), "present": False}

    def run(self) -> None:
        """Run the service until it is stopped."""
        self.loop.run()
        if self._driver:
            self._driver.close()

    def _on_scene(self, scene: Scene) -> None:
        if self._driver is None or (scene.driver_ref, scene.loop) != (self._driver.ref, self._driver.loop):
            self._open(scene)
        if self._retaken >= 0 and scene.neutral != self._retaken:
            self._follower.retake_neutral()
        self._retaken = scene.neutral

    def _open(self, scene: Scene) -> None:
        if self._driver:
            self._driver.close()
        epoch = now()
        self._driving.epoch = self._voice.epoch = epoch
        self._steady, self._remote_epoch = DriftCorrector(), None
        self._follower.restart(guesses=scene.driver_ref.kind is not DriverKind.SAMPLE)  # the sample smiles at rest
        rate = self.loop.settings.rate
        # Playback starts in half a second, which leaves time to open and decode, and in step with the program's ticks,
        # so that no frame waits for one.
        self._base = tick_pts(tick_after(epoch + US // 2, rate), rate) - LEAD_US
        self._last_frame = epoch
        self._driver = DriverReader(scene.driver_ref, loop=scene.loop, sample=self._sample, wake=self._wake)
        self._driver.start()
        self.loop.meter.state = "opening"
        self.loop.meter.facts["voice"] = self._driver.voice
        if self._driver.template:
            self._report_silence(epoch)

    def _on_wake(self) -> None:
        self._wake.clear()
        driver = self._driver
        if driver is None:
            return
        while driver.sounds and (driver.live or not driver.voice):
            self._send_voice(driver.sounds.popleft(), 0 if driver.live else self._base)
        if driver.live and (frame := driver.next_frame()):
            self._send_frame(frame)

    def _due(self) -> int:
        """Return when a file's next frame or voice block is due, or else when a silent driver must be reported."""
        driver = self._driver
        if driver is not None and not driver.live:
            if driver.frames:
                return driver.frames[0].pts + self._base
            if driver.voice and driver.sounds:
                return driver.sounds[0].pts + self._base - SOUND_AHEAD
        return self._last_frame + LOST

    def _release(self, at: int) -> None:
        driver = self._driver
        if driver is not None and not driver.live and driver.voice and driver.sounds:
            self._release_voice(at, driver)
            return
        if driver is None or driver.live or not driver.frames:
            self._report_silence(at)
            return
        frame = driver.next_frame()
        assert frame is not None
        placed = DriverFrame(frame.pts + self._base, frame.rgb)
        if at - placed.pts > LATE_US:
            self._catch_up(at - placed.pts)
        else:
            self._send_frame(placed)
        driver.mark_served()

    def _release_voice(self, at: int, driver: DriverReader) -> None:
        late = at - driver.sounds[0].pts - self._base
        if late > LATE_US:
            self._catch_up(late)
        self._send_voice(driver.sounds.popleft(), self._base)
        driver.mark_served()

    def _catch_up(self, late: int) -> None:
        """Shift a file's time base after a stall of `late` microseconds, so that it continues at its current position.

        This begins a new epoch, because sound that was sent ahead has timestamps from before the stall.
        """
        rate = self.loop.settings.rate
        self.loop.meter.drops["late"] += 1
        self._base += tick_pts(tick_after(late, rate), rate)
        self._driving.epoch = self._voice.epoch = now()

    def _report_silence(self, at: int) -> None:
        self._last_frame = at
        driver = self._driver
        meter = self.loop.meter
        meter.facts["present"] = False
        if driver is None:
            return
        meter.state = "ended" if driver.ended else "lost"
        if driver.template:
            meter.state, meter.note = "template", ""
        elif driver.note:
            meter.note = driver.note
        elif driver.ended:
            meter.note = "The driver has ended; choose another or switch looping on."
        elif driver.ref.kind is DriverKind.SPEECH or (driver.voice and not driver.live):
            meter.state, meter.note = "quiet", ""
        elif driver.ref.kind is DriverKind.MICROPHONE:
            meter.note = "There is no sound from the browser; choose the microphone in the console again."
        elif driver.ref.kind is DriverKind.BROWSER:
            meter.note = "There are no frames from the browser; choose the camera in the console again."
        else:
            meter.note = "The driver sends no frames; check its connection, or choose another."

    def _on_remote(self, message: Message) -> None:
        """Handle a frame or sound from the operator's browser, or a voice from the speech queue."""
        driver = self._driver
        if driver is None or not driver.ref.is_remote:
            return
        kind = message.fact("kind", str)
        if kind not in ("sound", "frame", "end"):
            raise WireError("malformed")
        if self._remote_epoch not in (None, message.epoch):
            self._voice.epoch, self._steady = now(), DriftCorrector()
        self._remote_epoch = message.epoch
        if kind == "end":
            self._send_voice(DriverSoundBlock(now(), HUSH, driver.voice), 0)
        elif kind == "sound" and message.format == "s16":
            sound = message.pts, np.array(message.array)
            # the speech queue already uses the channel clock, a sound card does not
            pts, samples = sound if driver.ref.kind is DriverKind.SPEECH else self._steady.place_block(*sound)
            self._send_voice(DriverSoundBlock(pts, samples, driver.voice), 0)
        elif kind == "frame" and message.format == "bytes" and not driver.voice:
            captured = min(message.fact("captured", int), now())
            if now() - captured > LATE_US:
                self.loop.meter.drops["late"] += 1
                return
            self._send_frame(DriverFrame(captured, shrink_to_limit(decoded_jpeg(message.array))))
        else:
            raise WireError("malformed")

    def _send_frame(self, frame: DriverFrame) -> None:
        found = self._follower.follow(frame.rgb, frame.pts)
        meter = self.loop.meter
        facts: dict[str, object] = {"present": found is not None}
        if found is not None:
            face, neutral = found
            facts |= {"face": face.pack(), "neutral": neutral.pack(), "pose": list(face.pose)}
        image, form = self._image(frame)
        at = now()
        self._driving.send(frame.pts, image, form, stamps={"captured": frame.pts, "tracked": at}, facts=facts)
        self._last_frame = at
        meter.frame(at, frame.pts)
        meter.facts["present"] = found is not None
        remark = self._driver.remark if self._driver else ""
        meter.state, meter.note = ("running", remark) if found else ("no face", "No face in the driver's frame.")
        if found and self._follower.doubtful:
            meter.note = f"{DOUBTFUL} {remark}".strip()
        if self._driver:
            meter.drops["driver"] = self._driver.dropped

    def _image(self, frame: DriverFrame) -> tuple[ImageArray, str]:
        """Return the image to send with a frame's landmarks, and its format, according to `Scene.driver_image`."""
        wanted = self.loop.scene.driver_image if self.loop.scene else "whole"
        if wanted == "whole":
            return frame.rgb, "rgb24"
        if wanted == "small" and abs(frame.pts - self._last_view) >= PERIOD_US:
            self._last_view = frame.pts
            return np.frombuffer(driver_view(frame.rgb), np.uint8), "bytes"
        return NOTHING, "bytes"

    def _send_voice(self, sound: DriverSoundBlock, base: int) -> None:
        self._voice.send(sound.pts + base, sound.samples, "s16", facts={"drives": sound.drives})
        if sound.drives:
            self._last_frame = now()
            self.loop.meter.state, self.loop.meter.note = "running", self._driver.remark if self._driver else ""
            self.loop.meter.facts["voice"] = True


def decoded_jpeg(data: NDArray[np.uint8]) -> ImageArray:
    """Decode untrusted JPEG data from a page to (H, W, 3) RGB. data: (n,) uint8.

    Raises WireError for data that is not a JPEG or has a side above MAX_JPEG_SIDE_PX; the size in its header is checked
    before decoding.
    """
    try:
        check_jpeg(data.tobytes(), MAX_JPEG_SIDE_PX)
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except (ValueError, cv2.error):
        raise WireError("malformed") from None
    if bgr is None or max(bgr.shape) > MAX_JPEG_SIDE_PX:
        raise WireError("malformed")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def cameras() -> list[int]:
    """Return the numbers of this machine's video devices (/dev/videoN)."""
    numbers = (p.name.removeprefix("video") for p in Path("/dev").glob("video*"))
    return sorted(int(n) for n in numbers if n.isdigit())
