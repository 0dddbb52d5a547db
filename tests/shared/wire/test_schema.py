"""What a reader accepts: only what its stream can have, whatever the header claims."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq
from numpy.typing import NDArray

from harness.channel import wait_for
from shared.runtime.clock import now
from shared.wire.bus import Reader, endpoint
from shared.wire.message import STREAMS, Message, WireError, encode_message
from shared.wire.pulse import Meter
from shared.wire.schema import AHEAD_US, MAX_STEP, SCHEMAS, check_schema

GOOD: dict[str, tuple[str, tuple[int, ...]]] = {
    "driving": ("rgb24", (480, 640, 3)), "voice": ("s16", (960,)), "face": ("rgba", (512, 512, 4)),
    "program": ("i420", (1620, 1920)), "sound": ("s16", (1920,)), "scene": ("bytes", (0,)), "remote": ("bytes", (900,)),
    "pulse": ("bytes", (0,)), "sessions": ("bytes", (900,)),
}  # fmt: skip
ODD = [
    ("face", "rgb24", (0, 0, 3)), ("face", "rgb24", (8, 8, 1)), ("face", "rgb24", (8, 8, 3)),
    ("face", "rgb24", (512, 512, 4)),
    ("face", "rgba", (512, 512, 3)), ("face", "rgb24", (0, 512, 3)), ("face", "rgb24", (4096, 4096, 3)),
    ("face", "bytes", (0,)),
    ("face", "rgb24", (64, 64, 0)), ("face", "i420", (96, 64)), ("program", "i420", (3, 70_000)),
    ("program", "i420", (0, 64)),
    ("program", "i420", (96, 0)), ("program", "i420", (96, 65)), ("program", "i420", (98, 64)),
    ("program", "i420", (97, 64)),
    ("program", "rgb24", (64, 64, 3)), ("driving", "rgb24", (0, 0, 3)), ("driving", "rgb24", (1, 70_000, 3)),
    ("driving", "rgb24", (64, 64, 1)), ("driving", "rgba", (64, 64, 4)), ("driving", "s16", (960,)),
    ("voice", "bytes", (0,)),
    ("voice", "s16", (5_000_000,)), ("sound", "s16", (5_000_000,)), ("remote", "i420", (96, 64)),
    ("remote", "rgb24", (9, 9, 3)),
    ("remote", "bytes", (2 << 20,)), ("pulse", "s16", (9,)), ("scene", "rgb24", (9, 9, 3)),
    ("scene", "bytes", (2 << 20,)),
    ("sessions", "bytes", (2 << 20,)), ("sessions", "s16", (9,)),
]  # fmt: skip


def made(stream: str, form: str, shape: tuple[int, ...], **more: Any) -> Message:
    kind = np.int16 if form == "s16" else np.uint8
    array: NDArray[Any] = np.zeros(shape, kind)
    return replace(Message(stream, "main", 0, 1, 0, 0, form, array), **more)


def test_every_stream_has_a_schema() -> None:
    assert set(SCHEMAS) == set(STREAMS) == set(GOOD)
    for stream, (form, shape) in GOOD.items():
        check_schema(made(stream, form, shape), 0)


@pytest.mark.parametrize(("stream", "form", "shape"), ODD)
def test_a_shape_that_its_stream_cannot_have_is_refused(stream: str, form: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(WireError, match="malformed"):
        check_schema(made(stream, form, shape), 0)


@pytest.mark.parametrize("stream", STREAMS)
def test_a_time_far_ahead_of_the_clock_is_refused(stream: str) -> None:
    form, shape = GOOD[stream]
    check_schema(made(stream, form, shape, pts=AHEAD_US), 0)
    for pts in (AHEAD_US + 1, 1 << 62):
        with pytest.raises(WireError, match="ahead"):
            check_schema(made(stream, form, shape, pts=pts), 0)


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[tuple[Any, Reader]]:
    """A hostile publisher of faces and a reader of their stream."""
    context: zmq.Context[Any] = zmq.Context()
    hostile = context.socket(zmq.PUB)
    hostile.bind(endpoint(tmp_path, "face"))
    reader = Reader(context, endpoint(tmp_path, "face"), "face", "main", newest=False)
    yield hostile, reader
    hostile.close(linger=0)
    reader.close()
    context.term()


def test_jumps_of_the_sequence_do_not_add_up(bus: tuple[Any, Reader]) -> None:
    hostile, reader = bus
    got: list[Message] = []

    def send(sequence: int) -> None:
        hostile.send_multipart(encode_message(made("face", "rgb24", (16, 16, 3), pts=now(), sequence=sequence)))

    def heard() -> bool:
        send(0)
        got.extend(reader.read())
        return bool(got)

    wait_for(heard)
    got.clear()
    top = (1 << 63) - 1
    for number in range(20):
        send(1 + number)
        send(top - number * MAX_STEP * 3)
    send(40)

    def arrived() -> bool:
        got.extend(reader.read())
        return bool(got) and got[-1].sequence == 40

    wait_for(arrived)
    assert reader.losses["lost"] < 100 and reader.losses["malformed"] >= 20
    meter = Meter("compositor")
    meter.drops.update(reader.losses)
    encode_message(made("pulse", "bytes", (0,), facts=meter.pulse(now()).as_dict()))


@pytest.mark.parametrize("pts", [1 << 62, (1 << 63) - 1])
def test_what_fails_is_counted_and_the_next_message_comes(bus: tuple[Any, Reader], pts: int) -> None:
    hostile, reader = bus
    good = encode_message(made("face", "rgb24", (16, 16, 3), pts=now()))

    def through() -> bool:
        for message in (made("face", "rgb24", (0, 0, 3)), made("face", "rgb24", (16, 16, 3), pts=pts)):
            hostile.send_multipart(encode_message(message))
        hostile.send_multipart(good)
        return bool(reader.read()) and reader.losses["malformed"] > 0 and reader.losses["ahead"] > 0

    wait_for(through)
