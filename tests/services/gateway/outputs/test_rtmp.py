"""RTMP push to a real receiver: video and sound arrive, and whatever the receiver does, only the push feels it."""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.channel import command
from tests.support.browser.viewer import watching
from tests.support.running.gateway import HEIGHT, GatewayStudio, studio
from tests.support.running.ports import free_port
from tests.support.running.recordings import frame_times, record
from tests.support.running.rtmp_receiver import KEY, black_hole, receiver


@contextmanager
def pushing(port: int, **changes: Any) -> Iterator[GatewayStudio]:
    """A studio that pushes to this port from the start."""
    url = f"rtmp://operator:{KEY}@127.0.0.1:{port}/live/{KEY}?auth={KEY}"
    with tempfile.TemporaryDirectory() as folder, studio(Path(folder), rtmp_url=url, **changes) as made:
        yield made


def push(running: GatewayStudio) -> dict[str, Any]:
    return dict(running.state()["outputs"]["rtmp"])


def until(running: GatewayStudio, state: str, seconds: float = 60) -> dict[str, Any]:
    """The push's state once it is in this one."""
    return dict(running.wait(lambda: (lambda now: now if now["state"] == state else None)(push(running)), seconds))


def senders(running: GatewayStudio) -> list[int]:
    """Processes that push for this gateway."""
    assert running.process
    tasks = Path(f"/proc/{running.process.pid}/task").iterdir()  # a process belongs to the thread that started it
    found = [int(pid) for task in tasks for pid in (task / "children").read_text(encoding="utf-8").split()]
    return [pid for pid in found if "services.gateway.outputs.rtmp.child" in command(pid)]


def test_video_and_sound_arrive_and_the_key_is_nowhere_to_be_seen() -> None:
    port = free_port()
    with receiver(port) as peer, pushing(port) as running:
        live = until(running, "live")
        peer.next()
        seen = peer.next()
        assert (seen["width"], seen["height"]) == (480, 640)
        assert 20 <= seen["frames"] <= 30, "a second of frames"
        assert seen["moved"] > 20, "the face moves"
        assert abs(seen["hz"] - 440) < 3, "the tone is heard"
        assert seen["apart"] < 0.2
        running.wait(lambda: push(running)["figures"]["kbps"] > 50)
        assert live["address"] == "rtmp://127.0.0.1/***" and live["since"] > 0
        metrics = running.http.get(f"http://{running.address}/metrics").text
        assert KEY not in f"{running.state()} {metrics}"
        assert 'studio_output_live{output="rtmp"} 1.0' in metrics
        assert running.process
        assert len(senders(running)) == 1
        for pid in (running.process.pid, *senders(running)):
            assert KEY not in " ".join(command(pid))
        # Off and on again by the operator.
        assert running.patch(rtmp=False).status_code == 200
        until(running, "off")
        assert senders(running) == []
        peer.process.wait(10)  # it has seen the end of the stream


def test_it_is_live_again_once_a_receiver_that_died_is_back() -> None:
    port = free_port()
    with pushing(port) as running:
        note = until(running, "failed")["note"]  # there is no receiver yet
        assert "127.0.0.1 does not answer" in note and "Trying again in" in note and KEY not in note
        with receiver(port) as first:
            first.next()
            assert running.process
            pid = running.process.pid
        running.wait(lambda: push(running)["state"] in ("reconnecting", "failed"))
        with receiver(port) as second:
            assert second.next()["moved"] > 20
            until(running, "live")
        assert running.process.pid == pid and running.process.poll() is None


def test_a_receiver_that_never_answers_fails_within_ten_seconds_and_harms_nothing() -> None:
    with black_hole() as (port, came), pushing(port) as running:
        path = record(running, 0.5)
        running.wait(lambda: came)
        with watching(running, "full") as viewer:
            ticks = [viewer.frame()[0].tick]
            while push(running)["state"] != "failed":
                ticks += [viewer.frame()[0].tick for _ in range(5)]
                assert time.monotonic() - came[0] < 15  # ten seconds, and what a busy machine adds
        assert "never answers" in push(running)["note"]
        assert max(np.diff(ticks)) < 25, "the preview went on"
        running.wait(lambda: len(came) >= 2)  # tried again
        assert came[1] - came[0] > 7, "not in a tight loop"
        assert len(senders(running)) <= 1
        (sender,) = running.wait(lambda: senders(running))
        started = time.monotonic()
        assert running.terminate() == 0
        assert command(sender) == []
        assert time.monotonic() - started < 3, "it ends while FFmpeg is blocked"
        times = frame_times(path)
        assert times[-1] > 6 and max(np.diff(times)) < 1, "the recording went on"


def test_a_receiver_that_stops_reading_fails_and_a_new_one_is_found() -> None:
    port = free_port()
    with receiver(port) as peer, pushing(port) as running:
        until(running, "live")
        peer.next()
        os.kill(peer.process.pid, signal.SIGSTOP)
        stopped = time.monotonic()
        failed = until(running, "failed")
        assert time.monotonic() - stopped < 20  # ten seconds, and what a busy machine adds
        assert "takes nothing any more" in failed["note"]
        peer.process.kill()
        peer.process.wait()
        with receiver(port) as other:
            assert other.next()["moved"] > 20


def test_a_killed_gateway_leaves_no_sender() -> None:
    with black_hole() as (port, came), pushing(port) as running:
        running.wait(lambda: came)
        (pid,) = senders(running)
        running.kill()
        deadline = time.monotonic() + 5
        while subprocess.run(["kill", "-0", str(pid)], capture_output=True).returncode == 0:
            assert time.monotonic() < deadline, "the sender outlived its gateway"
            time.sleep(0.05)
        running.start()
        running.wait(lambda: len(came) >= 2)  # the next gateway goes on pushing
        assert push(running)["state"] in ("connecting", "failed")


def test_the_clean_feed_has_no_label_while_the_preview_has() -> None:
    port = free_port()
    right = "The label is put on by the mixer."
    with receiver(port) as peer, pushing(port, clean_feed_right=right) as running:
        x, y, w, h = running.channel.label
        box = np.s_[y - HEIGHT :, x : x + w]
        peer.next()
        labelled = np.array(peer.next()["corner"])[box][:h]
        assert running.patch(rtmp_clean=True).status_code == 200
        peer.next()
        clean = np.array(peer.next()["corner"])[box][:h]
        plates = [plate[y : y + h, x : x + w].astype(float) for plate in running.channel.plates]
        apart = [min(np.abs(frame - plate).mean() for plate in plates) for frame in (labelled, clean)]
        assert apart[0] > 30 and apart[1] < 12
        with watching(running, "full") as viewer:
            head, drawn = viewer.frame()
            shown = drawn[y : y + h, x : x + w].mean(axis=2)
            assert np.abs(shown - plates[head.plate]).mean() > 30
        assert any(right in event["text"] for event in running.state()["log"])


@pytest.mark.parametrize(
    "change, words",
    [({"rtmp": True}, "rtmp_url"), ({"rtmp_clean": True}, "clean_feed_right"), ({"record_clean": True}, "")],
)
def test_what_is_not_set_up_is_refused_with_the_way_out(
    running: GatewayStudio, change: dict[str, bool], words: str
) -> None:
    answer = running.patch(**change)
    assert answer.status_code == 409 and words in answer.json()["detail"]
    assert push(running)["state"] == "off"
    assert words in push(running)["unavailable"] + running.state()["clean_feed"]["unavailable"]
