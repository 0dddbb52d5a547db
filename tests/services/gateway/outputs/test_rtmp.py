"""RTMP push to a real receiver: video and sound arrive, and a receiver that misbehaves affects only the push."""

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.channel import PATIENCE_S, command, wait_for
from tests.support.browser.viewer import watching
from tests.support.running.gateway import HEIGHT, GatewayStudio, studio
from tests.support.running.ports import free_port
from tests.support.running.recordings import finish, is_whole, played, record, recorded_s
from tests.support.running.rtmp_receiver import KEY, black_hole, receiver


@contextmanager
def pushing(port: int, **changes: Any) -> Iterator[GatewayStudio]:
    """A studio that pushes to this port from the start."""
    url = f"rtmp://operator:{KEY}@127.0.0.1:{port}/live/{KEY}?auth={KEY}"
    with tempfile.TemporaryDirectory() as folder, studio(Path(folder), rtmp_url=url, **changes) as made:
        yield made


def push(running: GatewayStudio) -> dict[str, Any]:
    return dict(running.state()["outputs"]["rtmp"])


def until(running: GatewayStudio, state: str) -> dict[str, Any]:
    """Wait until the push is in this state; return its row of the outputs."""
    return dict(running.wait(lambda: (lambda now: now if now["state"] == state else None)(push(running))))


def senders(running: GatewayStudio) -> list[int]:
    """Return the ids of the processes that push for this gateway."""
    assert running.process
    tasks = Path(f"/proc/{running.process.pid}/task").iterdir()  # Linux lists a child under the thread that started it
    found = [int(pid) for task in tasks for pid in (task / "children").read_text(encoding="utf-8").split()]
    return [pid for pid in found if "services.gateway.outputs.rtmp.child" in command(pid)]


def test_video_and_sound_arrive_and_the_key_is_nowhere_to_be_seen() -> None:
    port = free_port()
    with receiver(port) as peer, pushing(port) as running:
        live = until(running, "live")
        peer.next()
        seen = peer.next()
        assert (seen["width"], seen["height"]) == (480, 640)
        assert seen["period"] == pytest.approx(0.04, abs=0.002), "frame after frame"
        assert seen["moved"] > 20, "the face moves"
        assert abs(seen["hz"] - 440) < 3, "the tone is heard"
        assert seen["apart"] < 0.2
        running.wait(lambda: push(running)["figures"].get("kbps", 0) > 50)
        assert live["address"] == "rtmp://127.0.0.1/***" and live["since"] > 0
        metrics = running.stranger.get(f"http://{running.address}/metrics").text
        assert KEY not in f"{running.state()} {metrics}"
        assert 'studio_output_live{output="rtmp"} 1.0' in metrics
        assert running.process
        assert len(senders(running)) == 1
        for pid in (running.process.pid, *senders(running)):
            assert KEY not in " ".join(command(pid))
        # The operator switches the push off.
        assert running.patch(rtmp=False).status_code == 200
        until(running, "off")
        assert senders(running) == []
        peer.process.wait(PATIENCE_S)  # the receiver ends with the stream


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


def test_a_receiver_that_never_answers_fails_and_harms_nothing() -> None:
    with black_hole() as (port, came), pushing(port) as running:
        path = record(running, 0.5)
        before = running.wait(lambda: came and recorded_s(running))
        with watching(running, "full") as viewer:
            ticks = [viewer.frame()[0].tick]
            attempts = len(came)
            while "never answers" not in push(running)["note"]:
                assert attempts == 1, "not in a tight loop"
                ticks.append(viewer.frame()[0].tick)
                attempts = len(came)
        assert len(set(ticks)) == len(ticks) > 2, "the preview went on"
        running.wait(lambda: recorded_s(running) > before + 4)
        running.wait(lambda: len(came) >= 2)  # the push is tried again
        assert len(senders(running)) <= 1
        finish(running)
        assert played(path)[0] > before + 4
        running.wait(lambda: is_whole(running, path))
        (sender,) = running.wait(lambda: senders(running))
        assert running.terminate() == 0, "it ends while FFmpeg is blocked"
        wait_for(lambda: not any(command(sender)), PATIENCE_S, "nothing is left of it")


def test_a_receiver_that_stops_reading_fails_and_a_new_one_is_found() -> None:
    port = free_port()
    with receiver(port) as peer, pushing(port) as running:
        until(running, "live")
        peer.next()
        os.kill(peer.process.pid, signal.SIGSTOP)
        assert "no longer accepts data" in until(running, "failed")["note"]
        peer.process.kill()
        peer.process.wait()
        with receiver(port) as other:
            assert other.next()["moved"] > 20


def test_a_killed_gateway_leaves_no_sender() -> None:
    with black_hole() as (port, came), pushing(port) as running:
        running.wait(lambda: came)
        (pid,) = senders(running)
        running.kill()
        wait_for(lambda: not any(command(pid)), PATIENCE_S, "the sender does not outlive its gateway")
        running.start()
        running.wait(lambda: len(came) >= 2)  # the next gateway goes on pushing
        assert push(running)["state"] in ("connecting", "failed")


def test_the_clean_feed_has_no_label_while_the_preview_has() -> None:
    port = free_port()
    right = "The label is put on by the mixer."
    with receiver(port) as peer, pushing(port, clean_feed_right=right) as running:
        x, y, w, h = running.channel.label
        plates = [plate[y : y + h, x : x + w].astype(float) for plate in running.channel.plates]

        def apart() -> float:
            corner = np.array(peer.next()["corner"])[y - HEIGHT :, x : x + w][:h]
            return float(min(np.abs(corner - plate).mean() for plate in plates))

        peer.next()
        assert apart() > 30
        assert running.patch(rtmp_clean=True).status_code == 200
        wait_for(lambda: apart() < 12, PATIENCE_S, "the label is gone")
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
