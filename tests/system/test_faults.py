"""Services are killed and frozen, and the program continues."""

import os
import signal
import time
from itertools import pairwise

import pytest

from harness.channel import SERVICES, Studio, resident_bytes, wait_for
from shared.config.settings import Settings
from shared.runtime.clock import US, now, tick_pts
from shared.wire.message import Message
from tests.support.running.channel_looks import next_messages, until_state, unwatched

RATE = Settings().rate
GOES_ON = 25  # program frames; they would not arrive if the program waited for the killed or frozen service
# Seconds, so long that frames captured before are older than any frame shown after, on a busy machine too.
FROZEN_S = 5.0


def goes_on(frames: list[Message]) -> bool:
    """Return whether these frames come from one compositor, each of a later tick than the one before."""
    return all(a.run == b.run and a.facts["tick"] < b.facts["tick"] for a, b in pairwise(frames))


@pytest.mark.parametrize("pause", [0.0, 0.013, 0.31])
@pytest.mark.parametrize("service", SERVICES)
def test_kill_9_costs_the_other_services_nothing(channel: Studio, service: str, pause: float) -> None:
    before = channel.pids()
    assert set(before) == set(SERVICES)
    time.sleep(pause)
    with unwatched(channel):
        os.kill(before[service], signal.SIGKILL)
        if service != "compositor":
            assert goes_on(next_messages(channel, "program", GOES_ON)), "the program goes on"
    wait_for(lambda: channel.pids().get(service) not in (None, before[service]), what="it is there again")
    after = channel.pids()
    assert {n: p for n, p in after.items() if n != service} == {n: p for n, p in before.items() if n != service}
    until_state(channel, "live")
    frames = next_messages(channel, "program", GOES_ON)
    assert goes_on(frames) and all(tick_pts(m.facts["tick"], RATE) == m.pts for m in frames)


@pytest.mark.parametrize("service", SERVICES)
def test_a_stage_that_froze_shows_nothing_stale(channel: Studio, service: str) -> None:
    before, memory = channel.pids(), {n: resident_bytes(p) for n, p in channel.pids().items()}
    os.kill(before[service], signal.SIGSTOP)
    frozen = now()
    if service != "compositor":
        assert goes_on(next_messages(channel, "program", GOES_ON)), "the program goes on"
    time.sleep(max(0.0, FROZEN_S - (now() - frozen) / US))
    resumed = now()
    os.kill(before[service], signal.SIGCONT)
    after = next_messages(channel, "program", 2 * GOES_ON)
    assert channel.pids() == before
    assert goes_on(after) and all(m.pts > resumed - tick_pts(1, RATE) for m in after[1:]), "no tick is made up for"
    shown = [m.facts["captured"] for m in after if m.facts["captured"]]
    assert all(captured > frozen + US for captured in shown), "what was captured as long ago is not shown"
    until_state(channel, "live")
    # Memory is bounded: what arrived meanwhile was not kept (the driver's frames alone would be 100 MB).
    grown = {n: resident_bytes(p) - memory[n] for n, p in before.items()}
    assert max(grown.values()) < 60 << 20, grown


def test_a_slow_reader_of_the_program_slows_no_other(channel: Studio) -> None:
    sleeper = channel.read("program", newest=True)
    assert goes_on(next_messages(channel, "program", 4 * GOES_ON))
    wait_for(lambda: sleeper.read() and sleeper.losses["lost"] > 50, what="it was slow indeed")


def test_endpoints_that_were_removed_are_made_again(channel: Studio) -> None:
    """The socket files are removed, as by a cleaner of temporary files; a restarted service is reached again."""
    before = channel.pids()
    for path in channel.run_dir.glob("*.ipc"):
        path.unlink()
    os.kill(before["gateway"], signal.SIGKILL)
    wait_for(lambda: channel.pids().get("gateway") not in (None, before["gateway"]), what="the gateway is there again")
    wait_for(lambda: channel.state().get("on_air_state") == "ON AIR", what="on air again")
    after = channel.pids()
    assert {n: p for n, p in after.items() if n != "gateway"} == {n: p for n, p in before.items() if n != "gateway"}
