"""The message format: what is encoded is decoded, and bad data raises nothing but WireError."""

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.wire.message import MAX_HEADER_BYTES, VERSION, Message, WireError, decode_message, encode_message


def message(**changes: object) -> Message:
    fields: dict[str, object] = {
        "stream": "program",
        "channel": "main",
        "epoch": 3,
        "run": 11,
        "sequence": 7,
        "pts": 123_456,
        "format": "rgb24",
        "array": np.arange(2 * 4 * 3, dtype=np.uint8).reshape(2, 4, 3),
        "stamps": {"captured": 5},
        "facts": {"tick": 9, "raw": b"\0\1"},
    }
    return Message(**(fields | changes))  # type: ignore[arg-type]


def with_header(**changes: object) -> list[bytes]:
    stream, header, payload = encode_message(message())
    values = msgpack.unpackb(header)
    for key, value in changes.items():
        if value is None:
            del values[key]
        else:
            values[key] = value
    return [stream, msgpack.packb(values), bytes(payload)]


@pytest.mark.parametrize(
    "format, dtype, shape", [("rgb24", "u1", (4, 6, 3)), ("i420", "u1", (6, 4)), ("s16", "i2", (5,))]
)
def test_what_is_encoded_is_decoded(format: str, dtype: str, shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    sent = message(format=format, array=array)
    got = decode_message(encode_message(sent))
    assert np.array_equal(got.array, array) and got.array.dtype == array.dtype
    for name in ("stream", "channel", "epoch", "run", "sequence", "pts", "format", "stamps", "facts"):
        assert getattr(got, name) == getattr(sent, name)


def test_a_header_is_bounded_at_64_kb() -> None:
    assert MAX_HEADER_BYTES == 65_536
    long = message(facts={"raw": bytes(MAX_HEADER_BYTES // 2)})
    room = MAX_HEADER_BYTES - len(encode_message(long)[1])
    largest = message(facts={"raw": bytes(MAX_HEADER_BYTES // 2 + room)})
    assert len(encode_message(largest)[1]) == MAX_HEADER_BYTES and decode_message(encode_message(largest)) is not None
    with pytest.raises(WireError, match="oversized"):
        decode_message(encode_message(message(facts={"raw": bytes(MAX_HEADER_BYTES // 2 + room + 1)})))


def test_pixels_are_not_copied() -> None:
    array = np.zeros((6, 4), np.uint8)
    parts = encode_message(message(format="i420", array=array))
    array[0, 0] = 77
    assert parts[2][0] == 77
    buffer = bytearray(parts[2])
    got = decode_message([parts[0], parts[1], buffer])
    buffer[1] = 55
    assert got.array[0, 1] == 55


@pytest.mark.parametrize(
    "parts, reason",
    [
        ([b"program"], "malformed"),
        ([b"program", b"", b"", b""], "malformed"),
        ([b"nonsense", *encode_message(message())[1:]], "malformed"),
        ([b"\xff\xfe", *encode_message(message())[1:]], "malformed"),
        ([b"program", b"\xc1", b""], "malformed"),
        ([b"program", msgpack.packb([1, 2]), b""], "malformed"),
        ([b"program", b"\0" * (MAX_HEADER_BYTES + 1), b""], "oversized"),
        (with_header(v=VERSION + 1), "version"),
        (with_header(v=None), "version"),
        (with_header(channel=5), "malformed"),
        (with_header(seq=-1), "malformed"),
        (with_header(pts=1.5), "malformed"),
        (with_header(pts=True), "malformed"),
        (with_header(format="bgr48"), "malformed"),
        (with_header(format=[]), "malformed"),
        (with_header(shape=[2, 4]), "short"),
        (with_header(shape=[2, 4, 4]), "short"),
        (with_header(shape=[-2, -4, 3]), "malformed"),
        (with_header(shape=[1 << 40, 4, 3]), "malformed"),
        (with_header(shape="2x4"), "malformed"),
        (with_header(facts=[]), "malformed"),
        (with_header(stamps={"captured": "now"}), "malformed"),
    ],
)
def test_each_defect_has_its_reason(parts: list[bytes], reason: str) -> None:
    with pytest.raises(WireError) as caught:
        decode_message(parts)
    assert caught.value.reason == reason


@settings(max_examples=600, deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=5))
def test_random_bytes_never_get_further_than_wire_error(parts: list[bytes]) -> None:
    with pytest.raises(WireError):
        decode_message(parts)


@settings(max_examples=600, deadline=None)
@given(st.data())
def test_a_damaged_message_decodes_or_is_a_wire_error(data: st.DataObject) -> None:
    """With one byte changed or the end cut off, decoding gives a well-formed message or WireError, nothing else."""
    parts = [bytearray(part) for part in encode_message(message())]
    part = data.draw(st.sampled_from(parts))
    if data.draw(st.booleans()):
        part[data.draw(st.integers(0, len(part) - 1))] = data.draw(st.integers(0, 255))
    else:
        del part[data.draw(st.integers(0, len(part) - 1)) :]
    try:
        got = decode_message(parts)
    except WireError:
        return
    assert got.array.nbytes == len(parts[2])


def test_a_fact_of_another_type_is_a_wire_error() -> None:
    got = decode_message(encode_message(message()))
    assert got.fact("tick", int) == 9
    for name, kind in (("tick", str), ("missing", int), ("raw", str)):
        with pytest.raises(WireError):
            got.fact(name, kind)
