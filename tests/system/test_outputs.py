"""A whole channel whose outputs fail: the program, the recording and the end of the run are not affected."""

import signal
from itertools import pairwise
from pathlib import Path

import pytest

from harness.channel import command, studio, wait_for
from services.gateway.outputs.rtmp.process import ACCEPT_S
from shared.runtime.clock import US
from tests.support.running.channel_looks import ENDS_S, recorded_seconds, service_row
from tests.support.running.recordings import frame_times, lost_frames, played
from tests.support.running.rtmp_receiver import black_hole
from tests.support.running.system_processes import services_running


def test_a_wedged_receiver_slows_nothing_and_holds_up_no_end(
    live_home: Path, run_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out.mp4"
    with black_hole() as (port, came):
        (tmp_path / "studio.toml").write_text(f'rtmp_url = "rtmp://127.0.0.1:{port}/live/key"\n', encoding="utf-8")
        with studio(live_home, run_root, "--port", "0", "--record", str(out)) as run:
            run.on_air()
            wait_for(lambda: came, what="the push connects")
            program, shown = run.read("program"), list[tuple[int, int, int, int]]()

            def failed() -> bool:
                shown.extend((m.run, m.pts, m.facts["tick"], m.sequence) for m in program.read())
                return bool(run.state()["outputs"]["rtmp"]["state"] == "failed")

            wait_for(failed, what="it is shown as failed", every=0.2)
            assert run.state()["outputs"]["record"]["state"] == "live"
            wait_for(lambda: len(came) > 1, what="it is tried again")
            wait_for(
                lambda: any("rtmp.child" in word for pid in services_running(run_root) for word in command(pid)),
                what="sender",
            )
            kept = recorded_seconds(run)
            wait_for(lambda: recorded_seconds(run) > kept + 2, what="it is on the disk")
            missed = service_row(run, "compositor")["drops"].get("tick missed", 0)
            lost = lost_frames(service_row(run, "gateway"))
            run.process.send_signal(signal.SIGINT)
            assert run.process.wait(ENDS_S) == 0
        assert services_running(run_root) == []
    # Ticks that a busy machine leaves out are counted; a receiver that blocked something would do so for ACCEPT_S.
    # Messages lost on the way to this test are also missing in the sequence numbers.
    (run_began, _, tick_began, began), (run_ended, _, tick_ended, ended) = shown[0], shown[-1]
    assert run_began == run_ended and tick_ended - tick_began - (ended - began) <= missed
    assert max(b[1] - a[1] for a, b in pairwise(shown)) < ACCEPT_S * US
    times = frame_times(out)
    assert kept * 25 - sum(at < kept for at in times) <= lost + 1
    assert max(b - a for a, b in pairwise(times)) < ACCEPT_S
    video, sound, _, _ = played(out)
    assert abs(video - sound) < 0.3
