"""Session specs sent to other services: they arrive complete, or are refused."""

from dataclasses import asdict
from typing import Any

import msgpack
import numpy as np
import pytest

from shared.session_spec import SessionSpec, packed_sessions, unpacked_sessions
from shared.wire.message import WireError

SPEC = SessionSpec(
    id="abcdefgh1234", avatar="sample", engine="mesh", ahead_us=85_000, width=512, height=512, label=True,
    options={"source": "auto"}, url="ws://127.0.0.1", token="secret", identity="avatar", agent="agent",
)  # fmt: skip


def test_they_arrive_as_they_were_and_without_their_rooms_hold_no_token() -> None:
    assert unpacked_sessions(packed_sessions([SPEC])) == [SPEC]
    drawn = packed_sessions([SPEC.without_room()])
    assert b"secret" not in drawn.tobytes() and b"127.0.0.1" not in drawn.tobytes()
    assert "secret" not in repr(SPEC)


@pytest.mark.parametrize(
    "change",
    [{"id": "../x"}, {"id": 7}, {"width": 513}, {"height": 0}, {"ahead_us": -1}, {"options": []},
     {"options": {"a": [1]}}, {"label": 1}, {"more": 1}],
)  # fmt: skip
def test_what_cannot_be_a_session_is_refused(change: dict[str, Any]) -> None:
    row = np.frombuffer(msgpack.packb([asdict(SPEC) | change]), np.uint8)
    with pytest.raises(WireError, match="malformed"):
        unpacked_sessions(row)


@pytest.mark.parametrize("payload", [b"", b"\xc1", b"\x81\x01\x02", msgpack.packb("no"), msgpack.packb([1])])
def test_what_is_no_list_of_sessions_is_refused(payload: bytes) -> None:
    with pytest.raises(WireError, match="malformed"):
        unpacked_sessions(np.frombuffer(payload, np.uint8))
