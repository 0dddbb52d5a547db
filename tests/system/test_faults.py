"""Services are killed and frozen; the program goes on."""

import os
import signal
import time

import pytest

from harness.channel import SERVICES, Studio, longest_gap, resident_bytes, wait_for
from shared.config.settings import Settings
from shared.runtime.clock import tick_pts

RATE = Settings().rate
# Seconds. A program that waited for a stage would wait until it has started again, or for all the time it is frozen.
GAP_S = 1.0
FROZEN_S = 5.0


@pytest.mark.parametrize("pause", [0.0, 0.013, 0.31])
@pytest.mark.parametrize("service", SERVICES)
def test_kill_9_costs_the_other_services_nothing(channel: Studio, service: str, pause: float) -> None:
    before = channel.pids()
    assert set(before) == set(SERVICES)
    time.sleep(pause)
    os.kill(before[service], signal.SIGKILL)
    frames = channel.collect_messages("program", 2.5)
    wait_for(lambda: set(channel.pids()) == set(SERVICES), 15, "all processes are there")
    after = channel.pids()
    assert after[service] != before[service]
    assert {n: p for n, p in after.items() if n != service} == {n: p for n, p in before.items() if n != service}
    if service != "compositor":
        assert longest_gap(frames, 2.5) < GAP_S, "the program goes on"
    wait_for(
        lambda: {m.facts["state"] for _, m in channel.collect_messages("program", 0.3)} == {"live"}, 15, "driven again"
    )
    assert all(tick_pts(m.facts["tick"], RATE) == m.pts for _, m in frames)


@pytest.mark.parametrize("service", SERVICES)
def test_a_stage_that_froze_shows_nothing_stale(channel: Studio, service: str) -> None:
    before, memory = channel.pids(), {n: resident_bytes(p) for n, p in channel.pids().items()}
    os.kill(before[service], signal.SIGSTOP)
    during = channel.collect_messages("program", FROZEN_S)
    os.kill(before[service], signal.SIGCONT)
    after = channel.collect_messages("program", 1.5)
    assert channel.pids() == before
    if service != "compositor":
        assert longest_gap(during, FROZEN_S) < GAP_S, "the program goes on"
    for at, message in after:
        if message.facts["captured"]:
            # What the program shows was captured less than idle_after ago, or it is not shown at all.
            assert message.pts - message.facts["captured"] < 600_000
        assert at * 1e6 - message.pts < 1_000_000 or service == "compositor"
    wait_for(
        lambda: {m.facts["state"] for _, m in channel.collect_messages("program", 0.3)} == {"live"}, 15, "driven again"
    )
    # Bounded: nothing that arrived in that time was kept (the driver's frames alone would be 100 MB).
    grown = {n: resident_bytes(p) - memory[n] for n, p in before.items()}
    assert max(grown.values()) < 60 << 20, grown


def test_a_slow_reader_of_the_program_slows_no_other(channel: Studio) -> None:
    sleeper = channel.read("program", newest=True)
    frames = channel.collect_messages("program", 4.0)
    assert longest_gap(frames, 4) < GAP_S
    wait_for(lambda: sleeper.read() and sleeper.losses["lost"] > 50, 5, "it was slow indeed")


def test_endpoints_that_were_removed_are_made_again(channel: Studio) -> None:
    """Something that cleans up temporary files removes the sockets' names, then a stage dies: it finds its way back."""
    before = channel.pids()
    for path in channel.run_dir.glob("*.ipc"):
        path.unlink()
    os.kill(before["gateway"], signal.SIGKILL)
    wait_for(lambda: channel.pids().get("gateway") not in (None, before["gateway"]), 15, "the gateway is there again")
    wait_for(lambda: channel.state().get("on_air_state") == "ON AIR", 15, "on air again")
    after = channel.pids()
    assert {n: p for n, p in after.items() if n != "gateway"} == {n: p for n, p in before.items() if n != "gateway"}
