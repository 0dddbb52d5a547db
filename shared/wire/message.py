"""The message format between services: ``[stream, header, payload]``.

The header is a small msgpack map, the payload the raw buffer, so that pixels are never copied into or out of
msgpack. `decode_message` trusts nothing: it raises WireError for any fault in a message, and the receiver counts and
drops the message.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgpack
import numpy as np
from numpy.typing import NDArray

VERSION = 1
MAX_HEADER_BYTES = 64 << 10  # mostly less than one KB; the points of two faces are 11 KB, pixels belong in the payload
MAX_PAYLOAD_BYTES = 32 << 20  # a 4K I420 frame is 12 MB
STREAMS = ("driving", "voice", "face", "program", "sound", "scene", "remote", "pulse", "sessions")

# Format: item type and number of array axes. `bytes` is a compressed image or nothing at all.
FORMATS: dict[str, tuple[Any, int]] = {
    "rgb24": (np.uint8, 3),
    "rgba": (np.uint8, 3),
    "i420": (np.uint8, 2),
    "s16": (np.int16, 1),
    "bytes": (np.uint8, 1),
}
Fact = TypeVar("Fact")
NOTHING: NDArray[np.uint8] = np.empty(0, np.uint8)


class WireError(ValueError):
    """A message that is malformed or contradicts its header; `reason` is the name that it is counted under."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a stream.

    epoch: changes when a driver restarts; state learnt from the old driver is no longer valid.
    run: random number that identifies one start of the publisher.
    sequence: counts up by one per message of a run.
    pts: microseconds on the channel clock.
    format, array: the payload, see FORMATS. A decoded array is borrowed from the socket's buffer.
    stamps: time at which each stage finished, by stage, in microseconds on the channel clock.
    facts: further values that are specific to the stream.
    """

    stream: str
    channel: str
    epoch: int
    run: int
    sequence: int
    pts: int
    format: str = "bytes"
    array: NDArray[Any] = field(default_factory=lambda: NOTHING)
    stamps: dict[str, int] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def fact(self, name: str, kind: type[Fact]) -> Fact:
        """Return the fact of this name, which must be of exactly this type. Raises WireError."""
        value = self.facts.get(name)
        if type(value) is not kind:
            raise WireError("malformed")
        return value


def encode_message(message: Message) -> list[Any]:
    """Three parts ready for `send_multipart(copy=False)`; the array must not change afterwards."""
    array = np.ascontiguousarray(message.array)
    header = {
        "v": VERSION,
        "channel": message.channel,
        "epoch": message.epoch,
        "run": message.run,
        "seq": message.sequence,
        "pts": message.pts,
        "format": message.format,
        "shape": array.shape,
        "stamps": message.stamps,
        "facts": message.facts,
    }
    return [
        message.stream.encode(),
        msgpack.packb(header, unicode_errors="backslashreplace"),
        array.reshape(-1).view(np.uint8).data,
    ]


def decode_message(parts: Sequence[Any]) -> Message:
    """The message in these parts (bytes or buffers). Raises WireError."""
    if len(parts) != 3:
        raise WireError("malformed")
    head, raw = memoryview(parts[1]), memoryview(parts[2])
    if head.nbytes > MAX_HEADER_BYTES or raw.nbytes > MAX_PAYLOAD_BYTES:
        raise WireError("oversized")
    try:
        stream = bytes(parts[0]).decode("ascii")
        header = msgpack.unpackb(head)
    except (ValueError, RecursionError):
        raise WireError("malformed") from None
    if not isinstance(header, dict):
        raise WireError("malformed")
    if header.get("v") != VERSION:
        raise WireError("version")
    kind: Any = header.get("format")
    shape: Any = header.get("shape")
    well_formed = (
        stream in STREAMS
        and isinstance(header.get("channel"), str)
        and all(type(header.get(key)) is int and 0 <= header[key] < 1 << 63 for key in ("epoch", "run", "seq", "pts"))
        and isinstance(kind, str)
        and kind in FORMATS
        and isinstance(shape, list)
        and all(type(n) is int and 0 <= n <= MAX_PAYLOAD_BYTES for n in shape)
        and isinstance(header.get("facts"), dict)
        and isinstance(header.get("stamps"), dict)
        and all(type(at) is int and 0 <= at < 1 << 63 for at in header["stamps"].values())
    )
    if not well_formed:
        raise WireError("malformed")
    dtype, axes = FORMATS[kind]
    size = int(np.dtype(dtype).itemsize)
    for n in shape:
        size *= n
    if len(shape) != axes or size != raw.nbytes:
        raise WireError("short")
    return Message(
        stream=stream,
        channel=header["channel"],
        epoch=header["epoch"],
        run=header["run"],
        sequence=header["seq"],
        pts=header["pts"],
        format=kind,
        array=np.frombuffer(raw, dtype).reshape(shape),
        stamps=header["stamps"],
        facts=header["facts"],
    )
