"""A channel with PersonaLive at a tiny size, on a CPU that is several times too slow for the driver.

The channel stays on air, and the engine's delay stays steady.

The test takes minutes on a busy machine; PERSONALIVE_SECONDS in the environment sets how long it runs.
"""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from harness.channel import longest_gap, studio, wait_for
from shared.runtime.clock import US
from shared.wire.message import Message

SECONDS = int(os.environ.get("PERSONALIVE_SECONDS", "0"))  # to watch at least; 0 skips the test
FACES, PATIENCE = 12, 240  # faces wanted; seconds, enough for a busy machine


@pytest.mark.skipif(not SECONDS, reason="PERSONALIVE_SECONDS says for how long to run it")
def test_an_overloaded_engine_keeps_its_delay(live_home: Path, run_root: Path, tmp_path: Path) -> None:
    from harness.tiny.personalive import make_weights  # importing torch takes seconds, even where this test is skipped

    weights = tmp_path / "weights"
    make_weights(weights)
    settings = {
        "STUDIO_WEIGHTS": str(weights),
        "STUDIO_PERSONALIVE_QUALITY": "256",
        "STUDIO_IDLE_AFTER": "10",  # this machine makes a face only now and then
        "OMP_NUM_THREADS": "1",
    }
    with studio(live_home, run_root, "--port", "0", "--engine", "personalive", environment=settings) as run:
        run.console()
        reader, began = run.read("face"), time.monotonic()
        shown: list[Message] = []
        while len(shown) < FACES or time.monotonic() - began < SECONDS:
            assert time.monotonic() - began < SECONDS + PATIENCE, run.log.read_text(encoding="utf-8")
            if reader.socket.poll(100):
                shown += reader.read()
        program = run.collect_messages("program", 3)
        wait_for(lambda: run.state().get("engine", {}).get("delay"), PATIENCE, "its delay, told")
        state = wait_for(run.state, 20, "the channel's state")
    delays = [(message.pts - message.fact("captured", int)) / US for message in shown]
    third = len(delays) // 3
    first, last = float(np.median(delays[:third])), float(np.median(delays[-third:]))
    skipped = state["services"]["generator"]["drops"].get("driver frame skipped", 0)
    said, quality = state["engine"]["delay"], state["engine"]["quality"]
    print(
        f"{len(delays)} faces, delay {first:.1f} s at first, {last:.1f} s at last, {skipped} driver frames skipped; it "
        f"says {said}"
    )
    assert last < 2 * first + 5, "a growing delay is what there must not be"
    assert skipped > 0, "the driver was too fast, and what was skipped is counted"
    assert quality["name"] == "256"
    assert said["floor_ms"] <= 1.01 * said["ms"] and 0.5 * last < said["ms"] / 1000 < 2 * last, (
        "it is shown beside its floor"
    )
    assert longest_gap(program, 3) < 2.0, "the program goes on at its own rate"
