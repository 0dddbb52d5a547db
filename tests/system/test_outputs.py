"""A whole channel with outputs that are in trouble: the program, the recording and the end do not feel it."""

import signal
import time
from itertools import pairwise
from pathlib import Path

import pytest

from harness.channel import command, longest_gap, studio, wait_for
from services.gateway.outputs.rtmp.process import ACCEPT_S
from tests.support.running.recordings import frame_times, lost_frames, played
from tests.support.running.rtmp_receiver import black_hole
from tests.support.running.system_processes import services_running

WATCHED_S = 8.0


def test_a_wedged_receiver_slows_nothing_and_holds_up_no_end(
    live_home: Path, run_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out.mp4"
    with black_hole() as (port, came):
        (tmp_path / "studio.toml").write_text(f'rtmp_url = "rtmp://127.0.0.1:{port}/live/key"\n', encoding="utf-8")
        with studio(live_home, run_root, "--port", "0", "--record", str(out)) as run:
            run.on_air()
            wait_for(lambda: came, 20, "the push connects")
            shown_frames = run.collect_messages("program", WATCHED_S)
            wait_for(lambda: run.state()["outputs"]["rtmp"]["state"] == "failed", 15, "it is shown as failed")
            assert run.state()["outputs"]["record"]["state"] == "live"
            wait_for(lambda: len(came) > 1, 20, "it is tried again")
            wait_for(
                lambda: any("rtmp.child" in word for pid in services_running(run_root) for word in command(pid)),
                10,
                "sender",
            )
            state = run.state()
            started = time.monotonic()
            assert run.end(signal.SIGINT) == 0
            assert time.monotonic() - started < ACCEPT_S / 2
        assert services_running(run_root) == []
    # What a busy machine leaves out is counted; a receiver that held something up would do so for ACCEPT_S. Messages
    # that were lost on the way to this test are missing in the sequence too.
    first, last = shown_frames[0][1], shown_frames[-1][1]
    missed = state["services"]["compositor"]["drops"].get("tick missed", 0)
    assert last.run == first.run
    assert last.facts["tick"] - first.facts["tick"] - (last.sequence - first.sequence) <= missed
    assert longest_gap(shown_frames, WATCHED_S) < ACCEPT_S / 2
    times, kept = frame_times(out), state["outputs"]["record"]["figures"]["seconds"]
    assert kept * 25 - sum(at < kept for at in times) <= lost_frames(state["services"]["gateway"]) + 1
    assert max(b - a for a, b in pairwise(times)) < ACCEPT_S
    video, sound, _, _ = played(out)
    assert abs(video - sound) < 0.3
