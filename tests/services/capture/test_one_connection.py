"""A driver with a network address is opened once: its source may serve a single client and end with it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from harness.rtsp_camera import FPS, rtsp_camera
from services.capture.demux import DriverFrame, DriverSoundBlock, read_driver
from shared.errors import StudioError
from shared.media.intake.damage import Damage
from shared.media.reader import open_container
from tests.support.files.sound_files import tone, wav

SIZE_PX = 96


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of MPEG-TS video that grows lighter frame by frame."""
    path = tmp_path_factory.mktemp("film") / "film.ts"
    with av.open(str(path), "w") as made:
        stream = made.add_stream("libx264", Fraction(FPS), options={"preset": "ultrafast"})
        stream.width = stream.height = SIZE_PX
        for number in range(2 * FPS):
            image = np.full((SIZE_PX, SIZE_PX, 3), 4 * number, np.uint8)
            made.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        made.mux(stream.encode())
    return path


@contextmanager
def served_once(content: bytes) -> Iterator[tuple[str, list[int]]]:
    """Serve `content` over HTTP to one client; yield the address and a list that gains an item per connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    connections: list[int] = []

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                connections.append(len(connections) + 1)
                if len(connections) > 1:
                    continue
                try:
                    peer.recv(65536)
                    peer.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content)
                except OSError:
                    pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/source", connections
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def test_a_film_over_http_is_asked_for_once(film: Path) -> None:
    with served_once(film.read_bytes()) as (address, connections):
        frames = [item for item in read_driver(address, damage=Damage()) if isinstance(item, DriverFrame)]
        assert len(frames) == 2 * FPS and connections == [1]


def test_a_voice_over_http_is_asked_for_once() -> None:
    with served_once(wav(tone(1, rate=16_000), 16_000)) as (address, connections):
        sounds = [item for item in read_driver(address, damage=Damage()) if isinstance(item, DriverSoundBlock)]
        assert sum(len(each.samples) for each in sounds) == pytest.approx(48_000, abs=100) and connections == [1]


def test_what_is_neither_is_a_sentence(tmp_path: Path) -> None:
    with served_once(b"neither film nor sound" * 500) as (address, _), pytest.raises(StudioError) as caught:
        list(read_driver(address, damage=Damage()))
    assert "\n" not in str(caught.value) and address in str(caught.value)


@pytest.mark.parametrize("sound", [True, False])
@pytest.mark.parametrize("sprop", [True, False])
def test_a_network_camera_is_connected_to_once(film: Path, sound: bool, sprop: bool) -> None:
    with rtsp_camera(film, key_frames=FPS // 5, sound=sound, sprop=sprop) as camera:
        items = read_driver(camera.address, damage=Damage())
        frames = [item for item, _ in zip((i for i in items if isinstance(i, DriverFrame)), range(5), strict=False)]
        del items  # this closes the connection too
        assert [frame.rgb.shape for frame in frames] == [(SIZE_PX, SIZE_PX, 3)] * 5
        assert (camera.opened, camera.refused) == (1, 0)


def test_the_rate_of_a_network_camera_is_not_measured_while_it_opens(film: Path) -> None:
    """Measuring takes twenty frames, 0.8 s: as long as the wait for a key frame, which `studio bench rtsp` shows."""
    with rtsp_camera(film, key_frames=FPS // 5) as camera, open_container(camera.address) as opened:
        assert opened.options["fpsprobesize"] == "0" and next(opened.decode(video=0)).width == SIZE_PX
