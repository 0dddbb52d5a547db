"""Each service on its own, with strangers that send to every socket it reads.

Bad messages are counted and have no other effect.
"""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from harness.alone import INPUTS, Alone, junk
from harness.channel import resident_bytes, wait_for
from shared.wire.message import MAX_PAYLOAD_BYTES

BURST = 400


@pytest.fixture(params=INPUTS)
def alone(request: pytest.FixtureRequest, live_home: Path, run_root: Path) -> Iterator[Alone]:
    running = Alone(request.param, live_home, run_root)
    yield running
    running.close()


def test_strangers_are_counted_and_the_service_goes_on(alone: Alone) -> None:
    wait_for(alone.follows, what="the service follows the scene")
    memory = resident_bytes(alone.process.pid)
    generator = np.random.default_rng(7)
    for stream, socket in alone.senders.items():
        for _ in range(BURST // 10):
            for parts in junk(stream, generator):
                socket.send_multipart(parts)
            time.sleep(0.002)
        socket.send_multipart([stream.encode(), b"\x80", bytes(MAX_PAYLOAD_BYTES + 8192)], copy=False)
    for stream in alone.senders:
        for reason in ("malformed", "version", "short", "oversized"):
            wait_for(partial(alone.dropped, stream, reason), what=f"{reason} counted on {stream}")
    alone.revision = 6
    wait_for(alone.follows, what="it follows the scene again")
    assert alone.process.poll() is None
    # The engine that opens meanwhile takes a hundred megabytes; messages kept in memory would exceed the rest.
    assert resident_bytes(alone.process.pid) - memory < 224 << 20
