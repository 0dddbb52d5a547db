"""Recordings are playable whatever happens, have their sound in step and never overwrite an old file."""

import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from services.gateway import service
from services.gateway.outputs.recorder import Recorder, claim_file_name
from shared.errors import StudioError
from shared.media.colour import i420_to_rgb
from tests.support.browser.viewer import watching
from tests.support.running.gateway import GatewayStudio, studio
from tests.support.running.gateway_app import gateway_app
from tests.support.running.recordings import finish, is_whole, played, record, recorded_s


def test_a_recording_plays_with_sound_and_can_be_fetched(running: GatewayStudio) -> None:
    path = record(running, 1.5)
    assert running.http.post("/channels/main/recording").status_code == 409
    finish(running)
    assert any("finished" in event["text"] for event in running.state()["log"])
    video, _, _, loudness = played(path)
    assert video > 1.4
    running.wait(lambda: is_whole(running, path))
    assert 0.1 < loudness < 0.3  # the tone is 6000 of 32768
    assert running.http.get(f"/recordings/{path.stem}").content == path.read_bytes()
    assert {"id": path.stem, "captions": False}.items() <= next(
        row for row in running.http.get("/recordings").json() if row["id"] == path.stem
    ).items()
    assert running.http.get(f"/recordings/{path.stem}/captions").status_code == 404  # no text was spoken
    assert running.http.delete("/channels/main/recording").status_code == 409


def test_a_killed_gateway_leaves_a_playable_file_and_goes_on_in_the_next(own: GatewayStudio) -> None:
    first = record(own, 0.5)
    own.wait(lambda: first.read_bytes().count(b"moof") >= 2)  # two fragments, of 25 frames each
    own.kill()
    kept = first.read_bytes()
    own.start()
    own.wait(lambda: recorded_s(own) >= 1)
    second = first.with_stem(f"{first.stem}-2")
    assert own.state()["outputs"]["record"]["name"] == second.name
    finish(own)
    assert first.read_bytes() == kept
    frame, sound, _, loudness = played(first)
    assert frame > 1 and abs(frame - sound) < 0.3 and loudness > 0.1
    assert played(second)[0] > 0.9


def test_recorded_time_is_wall_time_across_a_dead_compositor(own: GatewayStudio) -> None:
    path = record(own, 0.5)
    own.channel.stop()
    before = recorded_s(own)
    own.wait(lambda: own.state()["on_air_state"] == "RECOVERING")
    own.wait(lambda: recorded_s(own) > before + 1)  # the recording continues without a compositor
    own.channel.start()
    own.on_air()
    own.wait(lambda: recorded_s(own) > before + 2)
    finish(own)
    own.wait(lambda: is_whole(own, path))  # the gap was filled frame by frame


def test_another_frame_size_begins_a_new_part(own: GatewayStudio) -> None:
    path = record(own, 0.4)
    own.channel.stop()
    own.channel.plates = [np.ascontiguousarray(plate[:, :320]) for plate in own.channel.plates]
    own.channel.start()
    second = path.with_stem(f"{path.stem}-2")
    own.wait(lambda: own.state()["outputs"]["record"]["name"] == second.name)
    finish(own)
    for part, width in ((path, 480), (second, 320)):
        with av.open(str(part)) as container:
            assert container.streams.video[0].width == width
            assert list(container.decode(video=0)), "a part, however short, has a frame"


def test_a_disk_that_cannot_be_written_ends_the_recording_with_a_sentence(running: GatewayStudio) -> None:
    folder = running.settings.home / "recordings"
    kept = folder.with_name("kept")
    if folder.exists():
        folder.rename(kept)
    folder.write_text("in the way", encoding="utf-8")
    try:
        running.http.post("/channels/main/recording")
        state = running.wait(
            lambda: (lambda r: r if r["state"] == "failed" else None)(running.state()["outputs"]["record"])
        )
        assert state["note"].endswith(".")
        running.on_air()
    finally:
        folder.unlink()
        if kept.exists():
            kept.rename(folder)
    record(running, 0.2)  # the next recording works
    running.http.delete("/channels/main/recording")


def test_parts_are_numbered_and_nothing_is_overwritten(tmp_path: Path) -> None:
    names = [claim_file_name(tmp_path / "new" / "out.mp4").name for _ in range(3)]
    assert names == ["out.mp4", "out-2.mp4", "out-3.mp4"]
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StudioError):
        claim_file_name(tmp_path / "file" / "out.mp4")


def test_sigterm_ends_the_gateway_while_all_is_open(own: GatewayStudio) -> None:
    path = record(own, 0.5)
    with watching(own, "full") as viewer:
        viewer.frame()
        assert own.process
        assert own.terminate() == 0
    assert played(path)[2] > 0
    children = subprocess.run(["pgrep", "-P", str(own.process.pid)], capture_output=True, encoding="utf-8").stdout
    assert children == ""


@pytest.mark.unit
def test_a_gateway_that_ends_waits_until_its_recording_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []
    close = Recorder._close

    def slow(recorder: Recorder) -> None:
        time.sleep(0.3)
        close(recorder)
        closed.append(True)

    monkeypatch.setattr(service, "CLOSE_WAIT_S", 0.0)
    monkeypatch.setattr(Recorder, "_close", slow)
    with gateway_app():
        pass
    assert closed


def test_a_browser_fetches_a_recording_once_with_a_ticket(running: GatewayStudio) -> None:
    path = record(running, 0.3)
    finish(running)
    base = f"http://{running.address}/api/v1/recordings/{path.stem}"
    ticket = running.http.post(f"/recordings/{path.stem}/ticket").json()["ticket"]
    assert running.stranger.get(f"{base}/download?ticket={ticket}x").status_code == 401
    assert (
        running.stranger.get(f"{base[:-1]}/download?ticket={ticket}").status_code == 401
    )  # the ticket is for another recording, and this attempt voids it
    assert running.stranger.get(f"{base}/download?ticket={ticket}").status_code == 401
    ticket = running.http.post(f"/recordings/{path.stem}/ticket").json()["ticket"]
    assert running.stranger.get(f"{base}/download?ticket={ticket}").content == path.read_bytes()
    assert running.stranger.get(f"{base}/download?ticket={ticket}").status_code == 401
    assert running.stranger.post(f"{base}/ticket").status_code == 401
    assert running.http.post("/recordings/main-20200101-000000/ticket").status_code == 404


@pytest.mark.parametrize("clean", [False, True])
def test_a_recording_has_no_label_where_the_right_is_stated(tmp_path: Path, clean: bool) -> None:
    settings: dict[str, Any] = {"clean_feed_right": "own label"} | ({"clean_feed": ["record"]} if clean else {})
    with tempfile.TemporaryDirectory() as folder, studio(Path(folder), **settings) as own:
        path = record(own, 0.6)
        with watching(own, "full") as viewer:
            head, drawn = viewer.frame()
            seen = [i420_to_rgb(each) for each in own.channel.shown(head.tick, head.plate, head.captured)]
            assert max(cv2.PSNR(drawn, each) for each in seen) > 36, "who watches beside sees the label"
        x, y, w, h = own.channel.label
        plates = [plate[y : y + h, x : x + w].astype(float) for plate in own.channel.plates]
        finish(own)
        with av.open(str(path)) as container:
            frames = [f.to_ndarray(format="gray")[y : y + h, x : x + w] for f in container.decode(video=0)]
    apart = [min(np.abs(frame - plate).mean() for plate in plates) for frame in frames]
    assert max(apart) < 10 if clean else min(apart) > 30
