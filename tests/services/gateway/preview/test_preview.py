"""The preview over real sockets: both modes show the program, and a slow viewer costs the others nothing."""

import json

import cv2
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from harness.channel import PATIENCE_S, wait_for
from services.gateway.preview.encoder import DRIVER, FULL, HEADER, ROI
from services.gateway.preview.viewers import IN_FLIGHT
from shared.media.colour import i420_to_rgb
from shared.runtime.clock import now
from tests.support.browser.viewer import Head, Viewer, fetch_plates, open_socket, watching
from tests.support.running.gateway import GatewayStudio


def program(running: GatewayStudio, head: Head, drawn: np.ndarray) -> np.ndarray:
    """Return the program frame of `head`; where the gateway repeated it, the candidate most like `drawn`."""
    shown = [i420_to_rgb(each) for each in running.channel.shown(head.tick, head.plate, head.captured)]
    size = drawn.shape[1], drawn.shape[0]
    if size != (head.width, head.height):
        shown = [np.asarray(cv2.resize(each, size, interpolation=cv2.INTER_AREA)) for each in shown]
    return max(shown, key=lambda each: cv2.PSNR(drawn, each))


@pytest.mark.parametrize("mode", ["full", "roi"])
@pytest.mark.parametrize("state", ["live", "plate"])
def test_what_a_viewer_draws_is_the_program(running: GatewayStudio, mode: str, state: str) -> None:
    running.channel.state = state
    running.wait(lambda: running.state()["program"]["state"] == state)
    try:
        with watching(running, mode) as viewer:
            for _ in range(6):
                head, drawn = viewer.frame()
                assert head.kind == (ROI if mode == "roi" else FULL)
                shown = program(running, head, drawn)
                assert drawn.shape == shown.shape
                assert cv2.PSNR(drawn, shown) > 36
                # No face or label in the wrong place, which the mean over the frame would hide.
                off = cv2.blur(cv2.absdiff(drawn, shown), (9, 9))
                assert off.max() < 20
    finally:
        running.channel.state = "live"


def test_a_small_page_is_sent_half_the_size_and_sees_the_same(running: GatewayStudio) -> None:
    with watching(running, "full") as viewer:
        for view, size in (([400, 320], (320, 240)), ([400, 330], (640, 480)), ([240, 900], (320, 240))):
            viewer.say(view=view)
            while (seen := viewer.frame())[1].shape[:2] != size:
                pass
            head, drawn = seen
            assert (head.width, head.height) == (480, 640)
            assert cv2.PSNR(drawn, program(running, head, drawn)) > 36


def test_roi_sends_a_tenth_of_the_bytes(running: GatewayStudio) -> None:
    counts = {}
    for mode in ("full", "roi"):
        with watching(running, mode) as viewer:
            viewer.received.clear()
            for _ in range(25):
                viewer.frame()
            counts[mode] = sum(count for kind, count in viewer.received.items() if kind != DRIVER)
    assert counts["roi"] < counts["full"] / 10
    rates = running.state()["outputs"]["preview"]["bytes_per_second"]
    assert rates["roi"] < rates["full"] / 10


def test_the_label_leaves_the_roi_frame_when_it_is_switched_off(running: GatewayStudio) -> None:
    x, y, w, h = running.channel.label
    with watching(running, "roi") as viewer:

        def is_clean() -> bool:
            head, drawn = viewer.frame()
            plate = viewer.plates[head.plate][y : y + h, x : x + w]
            return cv2.PSNR(drawn[y : y + h, x : x + w], plate) > 40

        running.patch(label=False)
        try:
            wait_for(is_clean, PATIENCE_S, "the label is gone", every=0)
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
        while len(ticks := [tick for tick, _ in viewer.sounds]) < 20 or ticks[-1] - ticks[-20] > 19:
            viewer.frame()  # a machine that stalled leaves some ticks out
    assert ticks == sorted(set(ticks))
    assert all(len(block) == 1920 * 2 for _, block in viewer.sounds)


def test_a_stalled_viewer_holds_two_frames_and_slows_no_other(running: GatewayStudio) -> None:
    with open_socket(running, "preview?mode=full") as stalled, watching(running, "full") as quick:
        # `stalled` neither acknowledges nor reads, while `quick` gets frame after frame.
        running.wait(lambda: quick.frame() and running.state()["outputs"]["preview"]["dropped"] > 30)
        newest = max(quick.frame()[0].tick for _ in range(50))
        # When it acknowledges again, it gets the newest frames, not those that it missed.
        stalled.send(json.dumps({"ack": IN_FLIGHT}))
        ticks: list[int] = []
        while len(ticks) <= IN_FLIGHT:
            data = stalled.recv(PATIENCE_S)
            if isinstance(data, bytes) and (head := Head(*HEADER.unpack_from(data))).kind == FULL:
                ticks.append(head.tick)
        assert ticks[IN_FLIGHT - 1] < newest <= ticks[IN_FLIGHT]


def test_ping_answers_on_the_channel_clock(running: GatewayStudio) -> None:
    with open_socket(running, "preview") as connection:
        viewer = Viewer(connection)
        before = now()
        viewer.say(ping=12.5)
        data = connection.recv(PATIENCE_S)
        while not (isinstance(data, str) and "pong" in data):
            data = connection.recv(PATIENCE_S)
        words = json.loads(data)
        assert words["pong"] == 12.5
        assert before <= words["now"] <= now()


@pytest.mark.parametrize("path", ["state", "preview", "driver"])
def test_a_socket_without_the_token_is_closed(running: GatewayStudio, path: str) -> None:
    for token in ("", "nonsense", running.token[:-1]):
        with open_socket(running, path, token) as connection, pytest.raises(ConnectionClosed) as closed:
            connection.recv(PATIENCE_S)
        assert closed.value.rcvd and closed.value.rcvd.code == 4401
    query = f"{path}?token={running.token}"
    with open_socket(running, query, "") as connection, pytest.raises(ConnectionClosed):
        connection.recv(PATIENCE_S)


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
                rude.recv(PATIENCE_S)
        assert other.frame()[0].tick < other.frame()[0].tick


def test_the_state_socket_says_what_the_api_says(running: GatewayStudio) -> None:
    with open_socket(running, "state") as connection:
        state = json.loads(connection.recv(PATIENCE_S))
        assert state.keys() == running.state().keys()
        while state.get("on_air_state") != "ON AIR":
            state = json.loads(connection.recv(PATIENCE_S))
        assert set(state["services"]) >= {"capture", "gateway"} and state["program"]["width"] == 480
