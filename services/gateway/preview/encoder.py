"""The browser preview: program frames as JPEG in two modes, sound as PCM, in one small binary format.

Every binary message is HEADER (little endian, 40 bytes) and a payload:

    offset  type  field
    0       u8    kind: 1 full frame, 2 ROI frame, 3 label patch, 4 sound, 5 driver frame
    1       u8    state: 0 plate, 1 idle, 2 live (frames); 1 if repeated (sound)
    2       u16   avatar: number of the avatar in the last "hello", so that a late frame is never put on another plate
    4       u32   tick
    8       u32   plate: index of the plate frame
    12      f64   pts, microseconds on the channel clock
    20      f64   captured: when the driver frame entered capture, microseconds, or 0
    28      u16   x, y, w, h of the payload in the program frame (0 0 0 0: the plate alone)
    36      u16   width, height of the program frame
    40            payload: JPEG, or s16 mono 48 kHz. In a ROI frame with a box, the JPEG is preceded by a bit for each
                  16x16 block of the box, row after row, lowest bit first, in ceil(rows * columns / 8) bytes

A full frame contains the whole program frame. A page that shows it at half its size or smaller is sent a frame of half
the size, which looks the same there and takes a third of the time from the encoder to the canvas. A ROI frame contains
only its box, and of the box only the blocks that differ from the plate (the others are one flat colour). The page has
the plate already, and draws the plate frame, the label patch and the marked blocks of the box, in that order. Each
frame is encoded once per mode, however many viewers there are, directly from I420 to JPEG's full-range YUV, and only
for modes that are watched.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import simplejpeg

from services.gateway.channel.program_feed import OutputQueue
from services.gateway.preview.plate_diff import PlateFrames, flattened, pack_bits, part_of
from shared.media.array_types import ImageArray, PixelBox
from shared.media.colour import crop, planes, to_full
from shared.media.driver_view import PERIOD_US, driver_view, view_size
from shared.wire.program import ProgramFrame, ProgramSound

HEADER = struct.Struct("<BBHIIddHHHHHH")
FULL, ROI, LABEL, SOUND, DRIVER = 1, 2, 3, 4, 5
STATES = {"plate": 0, "idle": 1, "live": 2}
MODES = ("full", "roi")  # modes that a page may choose; "half" is the form in which a small page gets full frames
# Mean difference in luma steps above which the label has changed. The label is translucent, and the plate moves below.
LABEL_CHANGED = 0.75
# A mode without viewers is encoded once in this time, so that its data rate is known too.
SAMPLE_PERIOD_US = 2_000_000
# Reduction of the JPEG quality for ROI frames: costs 0.7 dB in the box, hardly visible in a face, saves a seventh of
# bytes.
ROI_QUALITY_STEP = 6
POLL_S = 0.2


def encode_jpeg(i420: ImageArray, quality: int) -> bytes:
    """Encode a limited-range I420 frame as JPEG with 4:2:0 chroma, without conversion to RGB."""
    luma, blue, red = planes(to_full(i420))
    return bytes(simplejpeg.encode_jpeg_yuv_planes(luma, blue, red, quality))


def halved(i420: ImageArray) -> ImageArray:
    """Return an I420 frame at half its width and height; each sample is the mean of four."""
    height, width = i420.shape[0] // 6 * 2, i420.shape[1] // 4 * 2
    out = np.empty((height * 3 // 2, width), np.uint8)
    for source, target in zip(planes(i420), planes(out), strict=True):
        cv2.resize(np.ascontiguousarray(source), target.shape[::-1], dst=target, interpolation=cv2.INTER_AREA)
    return out


@dataclass(frozen=True, slots=True)
class PreviewMessages:
    """The messages of one tick for the viewers: `full`, `half` and `roi` (b"" for a mode that was not encoded).

    number: see `PreviewEncoder`. label: message with the current label patch; the same object until the patch changes.
    """

    tick: int
    avatar: str
    number: int
    width: int
    height: int
    full: bytes = b""
    half: bytes = b""
    roi: bytes = b""
    label: bytes = b""


class PreviewEncoder:
    """Encodes frames as messages. Owned by the preview thread.

    number: incremented with each new avatar or frame size, so that page and gateway refer to the same plate.
    """

    def __init__(self, quality: int, plates: Callable[[str], PlateFrames]) -> None:
        self.number = 0
        self._quality = quality
        self._open = plates
        self._plate: PlateFrames | None = None
        self._of: tuple[str, int, int] | None = None
        self._label: PixelBox | None = None
        self._patch: ImageArray | None = None
        self._label_message = b""

    def frame(self, frame: ProgramFrame, modes: set[str]) -> PreviewMessages:
        """Return the messages of one frame for these modes."""
        of = frame.avatar, frame.width, frame.height
        if of != self._of:
            self._of, self._patch, self._plate = of, None, None
            self.number = (self.number + 1) & 0xFFFF
        return PreviewMessages(
            frame.tick,
            frame.avatar,
            self.number,
            frame.width,
            frame.height,
            full=self._full(frame, frame.i420) if "full" in modes else b"",
            half=self._full(frame, halved(frame.i420)) if "half" in modes else b"",
            roi=self._roi(frame) if "roi" in modes else b"",
            label=self._current_label(frame) if "roi" in modes else b"",
        )

    def size(self, frame: ProgramFrame, mode: str) -> int:
        """Return the size in bytes that this frame has in this mode."""
        return len(self._roi(frame) if mode == "roi" else self._full(frame, frame.i420))

    def _full(self, frame: ProgramFrame, i420: ImageArray) -> bytes:
        box = (0, 0, frame.width, frame.height)
        return _head(FULL, self.number, frame, box) + encode_jpeg(i420, self._quality)

    def _roi(self, frame: ProgramFrame) -> bytes:
        box = frame.box
        if box is None:
            return _head(ROI, self.number, frame, None)
        if self._plate is None:
            self._plate = self._open(frame.avatar)
        plate = self._plate.frame(frame.plate, frame.width, frame.height)
        part, wanted = part_of(frame.i420, plate, box)
        jpeg = simplejpeg.encode_jpeg_yuv_planes(*flattened(part, wanted), self._quality - ROI_QUALITY_STEP)
        return _head(ROI, self.number, frame, box) + pack_bits(wanted) + bytes(jpeg)

    def _current_label(self, frame: ProgramFrame) -> bytes:
        box = frame.label_box
        patch = crop(frame.i420, *box) if box else np.empty(0, np.uint8)
        same = self._patch is not None and box == self._label and patch.shape == self._patch.shape
        if same and patch.size and self._patch is not None:
            same = float(cv2.norm(patch, self._patch, cv2.NORM_L1)) / patch.size < LABEL_CHANGED
        if not same:
            self._label, self._patch = box, patch
            payload = encode_jpeg(patch, self._quality) if box else b""
            self._label_message = _head(LABEL, self.number, frame, box) + payload
        return self._label_message


def _head(kind: int, number: int, frame: ProgramFrame, box: PixelBox | None) -> bytes:
    return HEADER.pack(
        kind, STATES[frame.state], number, frame.tick, frame.plate, frame.pts, frame.captured,
        *(box or (0, 0, 0, 0)), frame.width, frame.height,
    )  # fmt: skip


def sound_message(sound: ProgramSound) -> bytes:
    """Return the message with one tick's sound."""
    head = HEADER.pack(SOUND, int(sound.repeated), 0, sound.tick, 0, sound.pts, 0, 0, 0, 0, 0, 0, 0)
    return head + sound.samples.astype("<i2").tobytes()


def driver_message(frame: ImageArray | bytes, pts: int) -> bytes:
    """Return the message with a small image of the driver.

    frame: (H, W, 3) uint8 RGB, from which the small image is made here, or the JPEG that capture made of it.
    """
    view = frame if isinstance(frame, bytes) else driver_view(frame)
    size = view_size(view)
    return HEADER.pack(DRIVER, 0, 0, 0, 0, pts, 0, 0, 0, *size, *size) + view


class PreviewThread:
    """Encodes the program in the watched modes and passes the messages to `deliver`. Its outlet keeps one frame only.

    modes: the watched modes; includes "driver" if a console shows the driver. driver: the newest driver frame, RGB or a
        JPEG of `driver_view`, and its pts; set by the bus thread.
    sizes: smoothed bytes per frame by mode, also for modes without viewers.
    """

    def __init__(
        self, quality: int, plates: Callable[[str], PlateFrames], deliver: Callable[[PreviewMessages | bytes], None]
    ) -> None:
        self.outlet = OutputQueue("preview", frames=1, sounds=50)
        self.outlet.captions = False  # pages get captions as text
        self.outlet.open = False
        self.modes: frozenset[str] = frozenset()
        self.driver: tuple[ImageArray | bytes, int] | None = None
        self.sizes: dict[str, float] = {}
        self.encoder = PreviewEncoder(quality, plates)
        self._deliver = deliver
        self._stopping = False
        self._sampled = self._driver_sent = 0
        self._label = b""

    def watch(self, modes: frozenset[str]) -> None:
        """Set the watched modes; without any, the outlet is closed. Called in the event loop."""
        self.modes = modes
        self.outlet.open = bool(modes)

    def stop(self) -> None:
        """Make `run` return soon, without waiting for it."""
        self._stopping = True
        self.outlet.wake()

    def run(self) -> None:
        """Encode previews until `stop`."""
        while not self._stopping:
            items = self.outlet.drain(POLL_S)
            if not self.modes:
                continue
            for item in items:
                if isinstance(item, ProgramSound):
                    self._deliver(sound_message(item))
                else:
                    self._frame(item)
            self._driver()

    def _frame(self, frame: ProgramFrame) -> None:
        watched = set(self.modes)
        preview = self.encoder.frame(frame, watched)
        self._deliver(preview)
        if "full" in watched:
            self._measure("full", len(preview.full))
        if "roi" in watched:
            self._measure("roi", len(preview.roi) + (0 if preview.label is self._label else len(preview.label)))
            self._label = preview.label
        if frame.pts - self._sampled > SAMPLE_PERIOD_US and not frame.repeated:
            self._sampled = frame.pts
            for mode in set(MODES) - watched:
                self._measure(mode, self.encoder.size(frame, mode))

    def _measure(self, mode: str, size: int) -> None:
        self.sizes[mode] = self.sizes.get(mode, float(size)) * 0.9 + size * 0.1

    def _driver(self) -> None:
        driver = self.driver
        if driver is not None and "driver" in self.modes and driver[1] - self._driver_sent >= PERIOD_US:
            self._driver_sent = driver[1]
            self._deliver(driver_message(*driver))
