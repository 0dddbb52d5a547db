"""A channel from the command line: what it leaves, what it refuses, how it ends."""

import os
import signal
import socket
import time
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

from harness.channel import Studio, children, longest_gap, studio, wait_for
from shared.config.settings import Settings
from shared.media.mp4 import Mp4Writer
from shared.wire.message import Message
from tests.support.engines.slow_engines import ENGINES as SLOW_ENGINES
from tests.support.engines.slow_engines import OPENING_S
from tests.support.running.system_processes import services_running

FILM_FRAMES = 50  # at 25 a second: it is noticed at the end of a film that the file is gone


def test_a_headless_run_leaves_a_playable_file(live_home: Path, run_root: Path, tmp_path: Path) -> None:
    out, started = tmp_path / "out.mp4", time.monotonic()
    with studio(
        live_home, run_root, "--port", "0", "--avatar", "sample-video", "--record", str(out), "--duration", "4"
    ) as run:
        assert run.process.wait(60) == 0, run.log.read_text(encoding="utf-8")
    took = time.monotonic() - started
    with av.open(str(out)) as container:
        shown = list(container.decode(video=0))
        frames = [frame.to_ndarray(format="gray") for frame in shown]
    with av.open(str(out)) as container:
        sound = np.concatenate([f.to_ndarray().reshape(-1) for f in container.decode(audio=0)])
        rate = container.streams.audio[0].rate
    assert shown[-1].time is not None
    seconds = shown[-1].time + 1 / 25  # by the clock: a busy machine leaves frames out and shows others for longer
    assert 3.5 <= seconds <= took
    assert len(sound) / rate == pytest.approx(seconds, abs=0.2)
    assert np.sqrt(np.mean(sound[len(sound) // 2 :] ** 2)) > 0.005, "the driver's voice is in it"
    later = np.stack(frames[-50:]).astype(np.float32)
    height, width = later.shape[1:]
    face = later[:, height // 5 : height // 2, width // 3 : 2 * width // 3]
    assert face.std(axis=0).max() > 8, "the face moves"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_within_two_seconds_and_leaves_nothing(live_home: Path, run_root: Path, number: int) -> None:
    with studio(live_home, run_root, "--port", "0") as run:
        run.on_air()
        assert len(services_running(run_root)) >= 4
        shared_memory = set(os.listdir("/dev/shm"))
        started = time.monotonic()
        assert run.end(number) == 0
        took = time.monotonic() - started
    assert took < 2.0
    assert services_running(run_root) == []
    assert [p.name for p in run_root.iterdir()] == [".main.lock"]
    assert set(os.listdir("/dev/shm")) <= shared_memory


def test_services_end_when_the_supervisor_is_killed(live_home: Path, run_root: Path) -> None:
    with studio(live_home, run_root, "--port", "0") as run:
        run.on_air()
        run.end(signal.SIGKILL)
        wait_for(lambda: not services_running(run_root), 5, "no orphan left")
    with studio(live_home, run_root, "--port", "0") as again:
        again.on_air()


def test_two_channels_do_not_disturb_each_other(live_home: Path, run_root: Path) -> None:
    with (
        studio(live_home, run_root, "--port", "0") as first,
        studio(live_home, run_root, "--port", "0", "--avatar", "sample-video", channel="second") as second,
    ):
        first.on_air(), second.on_air()
        assert first.base != second.base
        assert {m.facts["avatar"] for _, m in first.collect_messages("program", 1)} == {"sample"}
        assert {m.facts["avatar"] for _, m in second.collect_messages("program", 1)} == {"sample-video"}
        pids = second.pids()
        assert first.patch(label=False).status_code == 200
        first.end()
        assert all(m.facts["label"] for _, m in second.collect_messages("program", 1))
        assert second.pids() == pids and second.state()["on_air_state"] == "ON AIR"


def test_the_same_channel_twice_is_one_sentence(live_home: Path, channel: Studio) -> None:
    with studio(live_home, channel.run_dir.parent, "--port", "0") as second:
        assert second.process.wait(20) == 1
        said = second.log.read_text(encoding="utf-8")
    assert "already running" in said and "Traceback" not in said
    assert channel.process.poll() is None and len(channel.pids()) == 4


def test_a_port_in_use_is_one_sentence_when_asked_for_and_the_next_one_otherwise(
    live_home: Path, run_root: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with studio(live_home, run_root, "--port", str(port)) as asked:
            assert asked.process.wait(20) == 1
            said = asked.log.read_text(encoding="utf-8")
        assert f"127.0.0.1:{port}" in said and "--port" in said and "Traceback" not in said
        assert not [p for p in run_root.iterdir() if p.name != ".main.lock"]


@pytest.mark.parametrize(
    "driver, words",
    [
        ("missing.mp4", "There is no driver"),
        ("file:/nowhere/x.mp4", "There is no driver"),
        ("ftp://host/x", "no driver"),
    ],
)
def test_a_driver_that_is_not_there_is_one_sentence(live_home: Path, run_root: Path, driver: str, words: str) -> None:
    with studio(live_home, run_root, "--driver", driver) as run:
        assert run.process.wait(20) == 1
        said = run.log.read_text(encoding="utf-8")
    assert words in said and "Traceback" not in said


def test_a_dead_camera_is_reported_and_the_host_idles(channel: Studio) -> None:
    pids = channel.pids()
    assert channel.patch(driver="camera:77").status_code == 200
    wait_for(lambda: "Camera 77" in channel.state()["services"]["capture"]["note"], 10, "the camera's sentence")
    states = {m.facts["state"] for _, m in channel.collect_messages("program", 1.5)}
    assert states == {"idle"}, states
    assert channel.patch(driver="sample").status_code == 200
    wait_for(lambda: channel.state()["on_air_state"] == "ON AIR", 10, "back on air")
    assert channel.pids() == pids


def test_a_driver_file_deleted_in_mid_run_is_reported_and_the_host_idles(
    live_home: Path, run_root: Path, tmp_path: Path
) -> None:
    film = tmp_path / "film.mp4"
    with av.open(str(live_home / "drivers" / "sample.mp4")) as sample:
        shots = [frame.to_ndarray(format="yuv420p") for frame in islice(sample.decode(video=0), FILM_FRAMES)]
    with Mp4Writer(film, shots[0].shape[1], shots[0].shape[0] * 2 // 3, Fraction(25), sound=False) as writer:
        for number, shot in enumerate(shots):
            writer.frame(np.asarray(shot, np.uint8), index=number)
    with studio(live_home, run_root, "--port", "0", "--driver", str(film)) as run:
        run.on_air()
        film.unlink()
        wait_for(lambda: "film.mp4" in run.state()["services"]["capture"]["note"], 30, "the file's sentence")
        wait_for(lambda: {m.facts["state"] for _, m in run.collect_messages("program", 0.5)} == {"idle"}, 10, "idle")
        assert len(run.pids()) == 4


def test_switching_the_avatar_keeps_the_program_on_air(channel: Studio) -> None:
    assert channel.patch(avatar="sample-video").status_code == 200
    frames = channel.collect_messages("program", 4.0)
    assert longest_gap(frames, 4) < 1
    assert frames[-1][1].facts["avatar"] == "sample-video" and frames[-1][1].facts["state"] == "live"
    assert children(channel.process.pid) and Settings().fps == 25


def test_switching_to_an_engine_that_opens_slowly_keeps_the_program_on_air(live_home: Path, run_root: Path) -> None:
    with studio(live_home, run_root, "--port", "0", engines=SLOW_ENGINES) as run:
        run.on_air()
        refused = run.patch(engine="waiting")
        assert refused.status_code == 409 and "`studio weights pull waiting`" in refused.json()["detail"]
        assert run.patch(engine="slow").status_code == 200
        frames = run.collect_messages("program", 2.0)
        wait_for(lambda: stage(run) in ("opening", "running"), 5, "the slow engine is being opened")
        assert longest_gap(frames, 2) < OPENING_S / 2 and lively(frames) > 0.5, "the old engine goes on"
        wait_for(lambda: stage(run) == "running", 30, "the slow engine")
        assert lively(run.collect_messages("program", 1.0)) > 0.5
        os.kill(run.pids()["generator"], signal.SIGKILL)
        frames = run.collect_messages("program", 2.0)
        assert longest_gap(frames, 2) < OPENING_S / 2
        assert lively(frames[-10:]) == 0, "it idles while the engine is opened again"
        wait_for(lambda: lively(run.collect_messages("program", 0.5)) > 0.5, 30, "the slow engine is back")


def test_an_engine_that_never_finishes_a_frame_holds_up_nothing(live_home: Path, run_root: Path) -> None:
    with studio(live_home, run_root, "--port", "0", "--engine", "heavy", engines=SLOW_ENGINES) as run:
        run.console()
        wait_for(lambda: stage(run) == "running", 30, "the heavy engine")
        skipped = "driver frame skipped"
        wait_for(lambda: run.state()["services"]["generator"]["drops"].get(skipped, 0) > 10, 10, "and what it costs")
        assert run.patch(engine="mesh").status_code == 200
        wait_for(lambda: lively(run.collect_messages("program", 0.5)) > 0.5, 15, "another engine takes over")
        assert "does not answer" not in run.log.read_text(encoding="utf-8")
        assert run.patch(engine="heavy").status_code == 200
        wait_for(
            lambda: stage(run) == "running" and lively(run.collect_messages("program", 0.5)) == 0,
            15,
            "a frame is under way",
        )
        os.kill(run.pids()["generator"], signal.SIGTERM)
        wait_for(lambda: "service_ended" in run.log.read_text(encoding="utf-8"), 10, "it ends in the middle of a frame")
        ended = next(line for line in run.log.read_text(encoding="utf-8").splitlines() if "service_ended" in line)
        assert "exit 0" in ended and "generator" in ended, ended


def stage(run: Studio) -> str:
    return str(run.state().get("services", {}).get("generator", {}).get("state", ""))


def lively(frames: list[tuple[float, Message]]) -> float:
    """The share of frames with a driven face; a machine that is busy with other tests drops one now and then."""
    return sum(bool(m.facts["state"] == "live") for _, m in frames) / max(1, len(frames))


def test_an_engine_that_cannot_run_is_one_sentence(live_home: Path, run_root: Path) -> None:
    with studio(live_home, run_root, "--engine", "waiting", engines=SLOW_ENGINES) as run:
        assert run.process.wait(20) == 1
        said = " ".join(run.log.read_text(encoding="utf-8").split())
    assert "Waiting's weights are missing; `studio weights pull waiting` gets them." in said and "Traceback" not in said
