"""Limits for the messages of each stream: formats, sizes, colour channels and pts.

Every `Reader` checks them, so that no pixel, sample or pts that a service could not have sent reaches a handler. A
stream's facts are checked by the handler that reads them.
"""

from dataclasses import dataclass

from shared.runtime.clock import SOUND_RATE_HZ
from shared.wire.message import Message, WireError

MAX_SIDE_PX = 8192  # of the program: 8K; the limits of encoders and JPEG are not much higher
MAX_DRIVER_SIDE_PX = 4096
MAX_ROI_SIDE_PX = 2048
MIN_ROI_SIDE_PX = 16
MAX_SAMPLES = 5 * SOUND_RATE_HZ  # of a block of sound
MAX_SMALL_BYTES = 1 << 20  # of a compressed image
AHEAD_US = 10_000_000  # how far a message's pts may be ahead of the clock: a voice file is sent up to 2 s ahead
MAX_STEP = 1_000_000  # most messages that a publisher can have sent between two that a reader receives
CHANNELS = {"rgb24": 3, "rgba": 4}


@dataclass(frozen=True, slots=True)
class StreamSchema:
    """Limits for one stream's messages.

    formats: the allowed formats. smallest, largest: limits for the sides of its frames in pixels, both 0 for a stream
    without frames.
    """

    formats: tuple[str, ...]
    smallest: int = 0
    largest: int = 0


SCHEMAS = {
    "driving": StreamSchema(("rgb24", "bytes"), 1, MAX_DRIVER_SIDE_PX),
    "voice": StreamSchema(("s16",)),
    "face": StreamSchema(("rgb24", "rgba"), MIN_ROI_SIDE_PX, MAX_ROI_SIDE_PX),
    "program": StreamSchema(("i420",), 2, MAX_SIDE_PX),
    "sound": StreamSchema(("s16",)),
    "scene": StreamSchema(("bytes",)),
    "remote": StreamSchema(("bytes", "s16")),
    "pulse": StreamSchema(("bytes",)),
    "sessions": StreamSchema(("bytes",)),
}


def check_schema(message: Message, at: int) -> None:
    """Raise WireError for a message outside its stream's limits. at: microseconds on the channel clock, now."""
    schema = SCHEMAS[message.stream]
    if message.format not in schema.formats:
        raise WireError("malformed")
    if message.pts > at + AHEAD_US:
        raise WireError("ahead")
    shape = message.array.shape
    match message.format:
        case "s16":
            fits = shape[0] <= MAX_SAMPLES
        case "bytes":
            fits = shape[0] <= MAX_SMALL_BYTES
        case "i420":
            height, width = shape[0] * 2 // 3, shape[1]
            even = shape[0] % 3 == 0 and height % 2 == 0 and width % 2 == 0
            fits = even and _within(schema, height, width)
        case _:
            fits = shape[2] == CHANNELS[message.format] and _within(schema, shape[0], shape[1])
    if not fits:
        raise WireError("malformed")


def _within(schema: StreamSchema, *sides: int) -> bool:
    return all(schema.smallest <= side <= schema.largest for side in sides)
