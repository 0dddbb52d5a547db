"""The preview over real sockets: both modes show the program, and a slow viewer costs the others nothing."""

import json
import time

import cv2
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from services.gateway.preview.encoder import FULL, HEADER, ROI
from services.gateway.preview.viewers import IN_FLIGHT
from shared.media.colour import i420_to_rgb
from tests.support.browser.viewer import Viewer, fetch_plates, open_socket, watching
from tests.support.running.gateway import GatewayStudio


def program(running: GatewayStudio, tick: int) -> np.ndarray:
    return i420_to_rgb(running.channel.shown[tick])


@pytest.mark.parametrize("mode", ["full", "roi"])
@pytest.mark.parametrize("state", ["live", "plate"])
def test_what_a_viewer_draws_is_the_program(running: GatewayStudio, mode: str, state: str) -> None:
    running.channel.state = state
    running.wait(lambda: running.state()["program"]["state"] == state)
    repeated = running.state()["program"]["repeated"]
    try:
        with watching(running, mode) as viewer:
            for _ in range(6):
                head, drawn = viewer.frame()
                assert head.kind == (ROI if mode == "roi" else FULL)
                # Where a busy machine was late with a frame, the gateway repeats one before it.
                back = 25 if running.state()["program"]["repeated"] > repeated else 0
                sent = [
                    program(running, tick)
                    for tick in range(head.tick - back, head.tick + 1)
                    if tick in running.channel.shown
                ]
                shown = max(sent, key=lambda each: cv2.PSNR(drawn, each))
                assert drawn.shape == shown.shape
                assert cv2.PSNR(drawn, shown) > 36
                # Nowhere a face or label in the wrong place, which the mean would hide.
                off = cv2.blur(cv2.absdiff(drawn, shown), (9, 9))
                assert off.max() < 20
    finally:
        running.channel.state = "live"


def test_a_small_page_is_sent_half_the_size_and_sees_the_same(running: GatewayStudio) -> None:
    with watching(running, "full") as viewer:
        for view, size in (([400, 320], (320, 240)), ([400, 330], (640, 480)), ([240, 900], (320, 240))):
            viewer.say(view=view)
            for _ in range(50):
                head, drawn = viewer.frame()
                if drawn.shape[:2] == size:
                    break
            assert drawn.shape[:2] == size and (head.width, head.height) == (480, 640)
            shown = cv2.resize(program(running, head.tick), size[::-1], interpolation=cv2.INTER_AREA)
            assert cv2.PSNR(drawn, shown) > 36


def test_roi_sends_a_tenth_of_the_bytes(running: GatewayStudio) -> None:
    counts = {}
    for mode in ("full", "roi"):
        with watching(running, mode) as viewer:
            viewer.received.clear()
            for _ in range(25):
                viewer.frame()
            counts[mode] = sum(viewer.received.values())
    assert counts["roi"] < counts["full"] / 10
    rates = running.state()["outputs"]["preview"]["bytes_per_second"]
    assert rates["roi"] < rates["full"] / 10


def test_the_label_leaves_the_roi_frame_when_it_is_switched_off(running: GatewayStudio) -> None:
    x, y, w, h = running.channel.label
    with watching(running, "roi") as viewer:
        plate = viewer.plates[0][y : y + h, x : x + w]
        running.patch(label=False)
        try:
            for _ in range(100):
                head, drawn = viewer.frame()
                plate = viewer.plates[head.plate][y : y + h, x : x + w]
                if cv2.PSNR(drawn[y : y + h, x : x + w], plate) > 40:
                    break
            else:
                raise AssertionError("the label stayed")
        finally:
            running.patch(label=True)


def test_another_avatar_is_shown_in_full_until_its_plate_is_there(running: GatewayStudio) -> None:
    with watching(running, "roi") as viewer:
        before = viewer.number
        running.channel.avatar = "mona"
        try:
            while viewer.number == before:
                head, _ = viewer.frame()
            assert head.kind == FULL and head.number == viewer.number
            viewer.plates = fetch_plates(running, "mona")
            viewer.say(plate=viewer.number)
            while head.kind != ROI:
                head, _ = viewer.frame()
        finally:
            running.channel.avatar = "sample"


def test_sound_comes_for_every_tick_and_only_when_asked(running: GatewayStudio) -> None:
    with watching(running, "full") as viewer:
        viewer.frame()
        assert viewer.sounds == []
        viewer.say(listen=True)
        while len(viewer.sounds) < 20:
            viewer.frame()
    ticks = [tick for tick, _ in viewer.sounds]
    assert ticks == list(range(ticks[0], ticks[0] + len(ticks)))
    assert all(len(block) == 1920 * 2 for _, block in viewer.sounds)


def test_a_stalled_viewer_holds_two_frames_and_slows_no_other(running: GatewayStudio) -> None:
    with open_socket(running, "preview?mode=full") as stalled, watching(running, "full") as quick:
        # It neither acknowledges nor reads.
        first = quick.frame()[0].tick
        ticks = [quick.frame()[0].tick for _ in range(50)]
        assert ticks[-1] - first <= 50 + 10
        assert running.state()["outputs"]["preview"]["dropped"] > 30
        time.sleep(0.1)
        held = 0
        try:
            while True:
                held += isinstance(stalled.recv(0.2), bytes)
        except TimeoutError:
            pass
        assert held <= IN_FLIGHT * 2  # each with a driver frame at most
        # Once it is back it is given the newest frame, not what it missed.
        stalled.send(json.dumps({"ack": IN_FLIGHT}))
        data = stalled.recv(5)
        while isinstance(data, str) or HEADER.unpack_from(data)[0] != FULL:
            data = stalled.recv(5)
        assert HEADER.unpack_from(data)[3] > ticks[-1]


def test_ping_answers_on_the_channel_clock(running: GatewayStudio) -> None:
    with open_socket(running, "preview") as connection:
        viewer = Viewer(connection)
        viewer.say(ping=12.5)
        data = connection.recv(5)
        while not (isinstance(data, str) and "pong" in data):
            data = connection.recv(5)
        words = json.loads(data)
        assert words["pong"] == 12.5
        assert abs(words["now"] - time.monotonic_ns() // 1000) < 5_000_000


@pytest.mark.parametrize("path", ["state", "preview", "driver"])
def test_a_socket_without_the_token_is_closed(running: GatewayStudio, path: str) -> None:
    for token in ("", "nonsense", running.token[:-1]):
        with open_socket(running, path, token) as connection, pytest.raises(ConnectionClosed) as closed:
            connection.recv(5)
        assert closed.value.rcvd and closed.value.rcvd.code == 4401
    query = f"{path}?token={running.token}"
    with open_socket(running, query, "") as connection, pytest.raises(ConnectionClosed):
        connection.recv(5)


@pytest.mark.parametrize("path", ["state", "preview", "driver"])
def test_a_socket_from_a_foreign_page_is_refused(running: GatewayStudio, path: str) -> None:
    with pytest.raises(InvalidStatus), open_socket(running, path, origin="https://evil.example"):
        pass


def test_nonsense_from_a_viewer_ends_only_its_own_socket(running: GatewayStudio) -> None:
    with watching(running, "full") as other:
        with open_socket(running, "preview") as rude, pytest.raises(ConnectionClosed):
            for nonsense in ("{", "[]", '{"ack": "x"}', "[" * 5000, '{"mode": 5}') * 100:
                rude.send(nonsense)
                rude.send(b"\x00\xff")
            while True:
                rude.recv(5)
        assert other.frame()[0].tick < other.frame()[0].tick


def test_the_state_socket_says_what_the_api_says(running: GatewayStudio) -> None:
    with open_socket(running, "state") as connection:
        state = json.loads(connection.recv(5))
        assert state.keys() == running.state().keys()
        assert state["on_air_state"] == "ON AIR" and set(state["services"]) >= {"capture", "gateway"}
        assert json.loads(connection.recv(5))["program"]["width"] == 480
