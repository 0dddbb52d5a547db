"""A channel from the command line: what it leaves behind, what it refuses, how it ends."""

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

from harness.channel import Studio, studio, wait_for
from shared.media.mp4 import Mp4Writer
from shared.wire.message import Message
from tests.support.engines.slow_engines import ENGINES as SLOW_ENGINES
from tests.support.engines.slow_engines import GATE
from tests.support.running.channel_looks import (
    ENDS_S,
    next_messages,
    note_of,
    recorded_seconds,
    refusal,
    service_row,
    until_state,
    unwatched,
)
from tests.support.running.system_processes import services_running

GOES_ON = 25  # program frames, which would not arrive if the channel waited
FILM_FRAMES = 50  # at 25 a second; a deleted file is noticed at the end of the film


def test_a_headless_run_leaves_a_playable_file(live_home: Path, run_root: Path, tmp_path: Path) -> None:
    out, started = tmp_path / "out.mp4", time.monotonic()
    with studio(
        live_home, run_root, "--port", "0", "--avatar", "sample-video", "--record", str(out), "--duration", "4"
    ) as run:
        run.console()
        with unwatched(run):  # the run's duration does not end meanwhile
            until_state(run, "live")
            kept = wait_for(lambda: (seconds := recorded_seconds(run)) > 3 and seconds, what="a recording")
        assert run.process.wait(ENDS_S) == 0, run.log.read_text(encoding="utf-8")
    took = time.monotonic() - started
    with av.open(str(out)) as container:
        shown = list(container.decode(video=0))
        frames = [frame.to_ndarray(format="gray") for frame in shown]
    with av.open(str(out)) as container:
        sound = np.concatenate([f.to_ndarray().reshape(-1) for f in container.decode(audio=0)])
        rate = container.streams.audio[0].rate
    assert shown[-1].time is not None
    seconds = shown[-1].time + 1 / 25  # by the clock: a busy machine leaves frames out and shows others for longer
    assert kept <= seconds <= took
    assert len(sound) / rate == pytest.approx(seconds, abs=0.2)
    assert np.sqrt(np.mean(sound[len(sound) // 2 :] ** 2)) > 0.005, "the driver's voice is in it"
    later = np.stack(frames[-50:]).astype(np.float32)
    height, width = later.shape[1:]
    face = later[:, height // 5 : height // 2, width // 3 : 2 * width // 3]
    assert face.std(axis=0).max() > 8, "the face moves"


@pytest.mark.parametrize("frozen", [None, "generator"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_whether_its_services_do_or_not_and_leaves_nothing(
    live_home: Path, run_root: Path, number: int, frozen: str | None
) -> None:
    with studio(live_home, run_root, "--port", "0") as run:
        run.on_air()
        assert len(services_running(run_root)) >= 4
        shared_memory = set(os.listdir("/dev/shm"))
        if frozen:
            os.kill(run.pids()[frozen], signal.SIGSTOP)  # the frozen service never answers
        run.process.send_signal(number)
        assert run.process.wait(ENDS_S) == 0
    assert services_running(run_root) == []
    assert [p.name for p in run_root.iterdir()] == [".main.lock"]
    assert set(os.listdir("/dev/shm")) <= shared_memory


def test_services_end_when_the_supervisor_is_killed(live_home: Path, run_root: Path) -> None:
    with studio(live_home, run_root, "--port", "0") as run:
        run.on_air()
        run.end(signal.SIGKILL)
        wait_for(lambda: not services_running(run_root), what="no orphan left")
    with studio(live_home, run_root, "--port", "0") as again:
        again.on_air()


def test_two_channels_do_not_disturb_each_other(live_home: Path, run_root: Path) -> None:
    with (
        studio(live_home, run_root, "--port", "0") as first,
        studio(live_home, run_root, "--port", "0", "--avatar", "sample-video", channel="second") as second,
    ):
        first.on_air(), second.on_air()
        assert first.base != second.base
        assert {m.facts["avatar"] for m in next_messages(first, "program", GOES_ON)} == {"sample"}
        assert {m.facts["avatar"] for m in next_messages(second, "program", GOES_ON)} == {"sample-video"}
        pids = second.pids()
        assert first.patch(label=False).status_code == 200
        first.end()
        assert all(m.facts["label"] for m in next_messages(second, "program", GOES_ON))
        assert second.pids() == pids
        wait_for(lambda: second.state().get("on_air_state") == "ON AIR", what="on air")


def test_the_same_channel_twice_is_one_sentence(live_home: Path, channel: Studio) -> None:
    with studio(live_home, channel.run_dir.parent, "--port", "0") as second:
        assert "already running" in refusal(second)
    assert channel.process.poll() is None and len(channel.pids()) == 4


def test_a_port_in_use_is_one_sentence_when_asked_for_and_the_next_one_otherwise(
    live_home: Path, run_root: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with studio(live_home, run_root, "--port", str(port)) as asked:
            said = refusal(asked)
        assert f"127.0.0.1:{port}" in said and "--port" in said
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
        assert words in refusal(run)


def test_a_dead_camera_is_reported_and_the_host_idles(channel: Studio) -> None:
    pids = channel.pids()
    assert channel.patch(driver="camera:77").status_code == 200
    wait_for(lambda: "Camera 77" in note_of(channel, "capture"), what="the camera's sentence")
    until_state(channel, "idle")
    assert channel.patch(driver="sample").status_code == 200
    until_state(channel, "live")
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
        wait_for(lambda: "film.mp4" in note_of(run, "capture"), what="the file's sentence")
        until_state(run, "idle")
        assert len(run.pids()) == 4


def test_what_is_opened_slowly_keeps_the_program_on_air(live_home: Path, run_root: Path, tmp_path: Path) -> None:
    gate = tmp_path / "may open"
    with studio(live_home, run_root, "--port", "0", engines=SLOW_ENGINES, environment={GATE: str(gate)}) as run:
        run.on_air()
        refused = run.patch(engine="waiting")
        assert refused.status_code == 409 and "`studio weights pull waiting`" in refused.json()["detail"]
        assert run.patch(engine="slow").status_code == 200
        wait_for(lambda: stage(run) == "opening", what="the slow engine is being opened")
        next_messages(run, "program", GOES_ON, is_live)  # the old engine goes on while the new one opens
        gate.touch()
        wait_for(lambda: stage(run) == "running", what="the slow engine")
        until_state(run, "live")
        gate.unlink()
        assert run.patch(avatar="sample-video").status_code == 200
        next_messages(run, "program", GOES_ON, lambda m: bool(m.facts["avatar"] == "sample-video"))
        os.kill(run.pids()["generator"], signal.SIGKILL)
        next_messages(run, "program", GOES_ON, lambda m: not is_live(m))  # the host idles while the engine opens again
        gate.touch()
        until_state(run, "live")
        assert {m.facts["avatar"] for m in next_messages(run, "program", GOES_ON)} == {"sample-video"}


def test_switching_the_avatar_leaves_all_services_running(channel: Studio) -> None:
    pids = channel.pids()
    assert channel.patch(avatar="sample-video").status_code == 200
    next_messages(channel, "program", GOES_ON, lambda m: m.facts["avatar"] == "sample-video" and is_live(m))
    assert channel.pids() == pids


def test_an_engine_that_never_finishes_a_frame_holds_up_nothing(live_home: Path, run_root: Path) -> None:
    with studio(live_home, run_root, "--port", "0", "--engine", "heavy", engines=SLOW_ENGINES) as run:
        run.console()
        wait_for(lambda: stage(run) == "running", what="the heavy engine")
        generator = run.pids()["generator"]
        skipped = "driver frame skipped"
        wait_for(lambda: service_row(run, "generator").get("drops", {}).get(skipped, 0) > 10, what="and what it costs")
        assert run.patch(engine="mesh").status_code == 200
        until_state(run, "live")
        assert run.patch(engine="heavy").status_code == 200
        until_state(run, "plate")
        wait_for(lambda: stage(run) == "running", what="a frame is under way")
        assert run.pids()["generator"] == generator
        os.kill(generator, signal.SIGTERM)
        wait_for(
            lambda: "service_ended" in run.log.read_text(encoding="utf-8"), what="it ends in the middle of a frame"
        )
        ended = next(line for line in run.log.read_text(encoding="utf-8").splitlines() if "service_ended" in line)
        assert "exit 0" in ended and "generator" in ended, ended


def is_live(message: Message) -> bool:
    """Return whether a program frame has a driven face."""
    return bool(message.facts["state"] == "live")


def stage(run: Studio) -> str:
    return str(service_row(run, "generator").get("state", ""))


def test_an_engine_that_cannot_run_is_one_sentence(live_home: Path, run_root: Path) -> None:
    with studio(live_home, run_root, "--engine", "waiting", engines=SLOW_ENGINES) as run:
        assert "Waiting's weights are missing; `studio weights pull waiting` gets them." in refusal(run)
