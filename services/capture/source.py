"""Reader of the scene's driver in a separate thread."""

import threading
from collections import deque
from pathlib import Path

import cv2

from services.capture.audio_drift import DriftCorrector
from services.capture.demux import DriverFrame, DriverSoundBlock, read_driver, shrink_to_limit
from shared.driver_ref import FORMS, DriverKind, DriverRef
from shared.errors import StudioError
from shared.media.intake.damage import Damage
from shared.media.reader import has_video, source_title
from shared.runtime.clock import SOUND_RATE_HZ, US, now
from shared.runtime.wake import Wake
from shared.still_film import has_motion
from shared.uploaded_driver import in_owners_words

READ_AHEAD_FRAMES = 24  # frames of a file decoded before they are due
STREAM_SLACK_US = 300_000  # us by which blocks of a streamed voice may arrive late
SOUND_SLACK_US = US // 10  # excess of a film's sound over its frames that is ignored
HELD_STEP_US = US // 25  # interval at which a film's last frame is repeated while its sound continues
RETRY_PAUSE_S = 2.0  # pause before a failed driver is opened again


class DriverReader:
    """Reads one driver in a thread into the queues `frames` and `sounds`, and sets `wake` at each addition.

    live: pts are on the channel clock and only the newest frame is kept. Otherwise pts count from the start of the
    file, and the reader is at most READ_AHEAD_FRAMES frames ahead, or blocks of sound in a driver without frames.
    voice: the driver has no frames, so its sound moves the host. For a file this is known with its first sound.
    template: the driver is recorded motion, which the generator plays itself, so there is nothing to capture. note: one
    sentence while the driver cannot be read, else "". remark: one sentence about a driver that can be read, such as how
    much of it is damaged; else "". ended: a file was read to its end; its last frames may still be in the queue.
    dropped: frames of a live driver that a newer one replaced.
    """

    def __init__(self, ref: DriverRef, *, loop: bool, sample: Path, wake: Wake) -> None:
        self.ref, self.loop = ref, loop
        self.live = ref.is_live
        self.frames: deque[DriverFrame] = deque(maxlen=1 if self.live else None)
        self.sounds: deque[DriverSoundBlock] = deque(maxlen=500)
        self.note, self.ended, self.dropped = "", False, 0
        self._damage, self._still = Damage(), ""
        self.voice = ref.is_voice
        self.template = ref.template is not None
        self._sample, self._wake = sample, wake
        self._room = threading.Semaphore(READ_AHEAD_FRAMES)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="driver", daemon=True)

    def start(self) -> None:
        """Start the thread, unless the driver comes through the gateway or is recorded motion."""
        if not self.ref.is_remote and not self.template:
            self._thread.start()

    @property
    def remark(self) -> str:
        """A remark about a readable driver, see the class."""
        name = source_title(self.ref.path or self.ref.word)
        said = " ".join(filter(None, (self._still, self._damage.sentence(name))))
        return in_owners_words(said, self.ref.path)

    def next_frame(self) -> DriverFrame | None:
        """Take the next frame, None if there is none. The caller calls `mark_served` once it has handled the frame."""
        try:
            return self.frames.popleft()
        except IndexError:
            return None

    def mark_served(self) -> None:
        """Report that a taken frame or voice block has been handled, so that a file's reader decodes another one."""
        if not self.live:
            self._room.release()

    def close(self) -> None:
        """Ask the thread to stop; does not wait for it, because its device may hang."""
        self._stop.set()
        self._room.release()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                if self.ref.kind is DriverKind.CAMERA:
                    self._read_camera(self.ref.camera)
                elif self.ref.kind is DriverKind.ADDRESS:
                    self._read_stream(self.ref.word)
                elif self.ref.kind is DriverKind.UNKNOWN:
                    self.note = f"'{self.ref}' is not a driver; use {FORMS}, a file or a URL."
                else:
                    self._read_file(self.ref.path or self._sample)
                    return
            except StudioError as error:
                self.note = in_owners_words(str(error), self.ref.path)
            self._wake.set()
            self._stop.wait(RETRY_PAUSE_S)

    def _read_camera(self, number: int) -> None:
        camera = cv2.VideoCapture(number)
        try:
            if not camera.isOpened():
                raise StudioError(f"Camera {number} cannot be opened; is it plugged in and free? Trying again.")
            while not self._stop.is_set():
                ok, bgr = camera.read()
                if not ok:
                    raise StudioError(f"Camera {number} stopped sending frames; trying again.")
                self._put(DriverFrame(now(), shrink_to_limit(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))))
        finally:
            camera.release()

    def _read_stream(self, url: str) -> None:
        # A file served over HTTP arrives as fast as it is read, so it is paced here. A camera sends in real time.
        # Frames that FFmpeg buffered while opening it are passed on immediately: pacing them would delay the host
        # permanently.
        paced = url.startswith("http")
        start: int | None = None
        steady = DriftCorrector()
        self._damage.clear()
        for item in read_driver(url, damage=self._damage):
            if isinstance(item, DriverFrame):
                if paced and start is not None:
                    self._stop.wait(max(0.0, (start + item.pts - now()) / US))
                start = start if paced and start is not None else now() - item.pts
                self._put(DriverFrame(now(), item.rgb))
            else:
                start = now() - item.pts if start is None else start
                if item.drives and paced:
                    self._stop.wait(max(0.0, (start + item.pts - now()) / US))
                slack = STREAM_SLACK_US if item.drives else 0
                self._put(DriverSoundBlock(*steady.place_block(start + item.pts + slack, item.samples), item.drives))
            if self._stop.is_set():
                return
        raise StudioError("The driver stream ended; reconnecting.")

    def _read_file(self, path: Path) -> None:
        offset = end = 0
        motion = has_motion(path)
        if not motion and has_video(path):
            self._still = f"{path.name} shows a still image, so its sound drives the host as a voice."
        while not self._stop.is_set():
            previous, heard = offset, 0
            shown: DriverFrame | None = None
            damage = Damage() if offset else self._damage  # damage is the same in each round, so count it once
            for item in read_driver(path, motion=motion, damage=damage):
                if isinstance(item, DriverFrame):
                    shown = item
                    # The file ends one frame after its last; that frame lasts as long as the one before it.
                    last, previous = previous, offset + item.pts
                    end = max(end, 2 * previous - last)
                    self._room.acquire()
                    self._put(DriverFrame(previous, item.rgb))
                else:
                    heard = offset + item.pts + len(item.samples) * US // SOUND_RATE_HZ
                    if item.drives:
                        end = heard
                        self._room.acquire()
                    self._put(DriverSoundBlock(offset + item.pts, item.samples, item.drives))
                if self._stop.is_set():
                    return
            if shown is not None and heard > end + SOUND_SLACK_US:
                self._hold(shown, end, heard)
                end = heard
            if self._stop.is_set():
                return
            if end == offset:
                raise StudioError(f"{path.name} is too short to drive the host; choose a longer file.")
            if not self.loop:
                break
            offset = end
        self.ended = True
        self._wake.set()

    def _hold(self, shown: DriverFrame, begin: int, end: int) -> None:
        """Repeat a film's last frame until its sound has ended. begin, end: microseconds."""
        for pts in range(begin, end, HELD_STEP_US):
            self._room.acquire()
            if self._stop.is_set():
                return
            self._put(DriverFrame(pts, shown.rgb))

    def _put(self, item: DriverFrame | DriverSoundBlock) -> None:
        self.note = ""
        if isinstance(item, DriverFrame):
            self.dropped += self.live and len(self.frames) == 1
            self.frames.append(item)
        else:
            self.voice = self.voice or item.drives
            self.sounds.append(item)
        self._wake.set()
