"""Viewers that join and leave by the hundred cost nothing: no handle, thread or memory of theirs stays."""

import time
from pathlib import Path

from harness.channel import resident_bytes
from harness.viewers.crowd import VIEWERS, Crowd
from tests.support.browser.viewer import watching
from tests.support.running.gateway import GatewayStudio
from tests.support.running.recordings import finish, is_whole, record, recorded_s


def handles(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def is_unwatched(own: GatewayStudio) -> bool:
    return not sum(own.state()["outputs"]["preview"]["viewers"].values())


def visited(own: GatewayStudio, visits: int) -> None:
    """Let viewers come and go until there were this many visits; wait until all have left."""
    with Crowd(f"http://{own.address}", own.token, "main") as crowd:
        assert crowd.leave(visits) >= visits
    own.wait(lambda: is_unwatched(own))
    time.sleep(1)  # time in which sockets dropped without a close are noticed


def test_two_hundred_viewers_come_and_go_and_nothing_stays(own: GatewayStudio) -> None:
    assert own.process
    pid = own.process.pid
    path = record(own, 0.5)
    visited(own, VIEWERS)  # what the first viewers cause to be loaded stays loaded
    before = handles(pid), threads(pid)
    memory = resident_bytes(pid)
    begun = recorded_s(own)
    with watching(own, "full") as witness:
        first = witness.frame()[0].tick
    visited(own, VIEWERS)
    with watching(own, "full") as witness:
        last = witness.frame()[0].tick
    own.wait(lambda: (handles(pid), threads(pid)) <= before)
    assert resident_bytes(pid) - memory < 24 << 20, "a visit leaves nothing: a kept frame each would be more than this"
    own.wait(lambda: recorded_s(own) - begun > (last - first) / 25)
    finish(own)
    own.wait(lambda: is_whole(own, path))  # every tick is recorded, or was counted as left out by a busy machine
