"""A viewer without a browser: speaks the preview's format over a real websocket."""

import itertools
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from websockets.sync.client import ClientConnection, connect

from harness.channel import PATIENCE_S
from services.gateway.preview.encoder import FULL, HEADER, LABEL, ROI, SOUND
from services.gateway.preview.plate_diff import BLOCK_SIDE_PX
from tests.support.running.gateway import GatewayStudio

Rgb = NDArray[np.uint8]


class Head(NamedTuple):
    """The fields of the preview's header."""

    kind: int
    state: int
    number: int
    tick: int
    plate: int
    pts: float
    captured: float
    x: int
    y: int
    w: int
    h: int
    width: int
    height: int


@contextmanager
def open_socket(running: GatewayStudio, path: str, token: str | None = None, **more: Any) -> Iterator[ClientConnection]:
    """Open one of the channel's sockets and send the token."""
    url = f"ws://{running.address}/api/v1/channels/main/{path}"
    with connect(url, max_size=None, compression=None, open_timeout=PATIENCE_S, **more) as connection:
        connection.send(json.dumps({"token": running.token if token is None else token}))
        yield connection


@dataclass
class Viewer:
    """Draws the frames that it receives, as the page does."""

    connection: ClientConnection
    plates: list[Rgb] = field(default_factory=list)
    label: tuple[int, int, Rgb] | None = None
    received: dict[int, int] = field(default_factory=dict)
    sounds: list[tuple[int, bytes]] = field(default_factory=list)
    number: int = -1

    def say(self, **words: Any) -> None:
        self.connection.send(json.dumps(words))

    def frame(self) -> tuple[Head, Rgb]:
        """Return the next frame's header and its pixels, (H, W, 3) RGB; acknowledge the frame."""
        while True:
            data = self.connection.recv(PATIENCE_S)
            if isinstance(data, str):
                hello = json.loads(data).get("hello")
                if hello:
                    self.number = hello["number"]
                continue
            head, payload = Head(*HEADER.unpack_from(data)), data[HEADER.size :]
            self.received[head.kind] = self.received.get(head.kind, 0) + len(data)
            if head.kind == SOUND:
                self.sounds.append((head.tick, payload))
                self.say(sounds=1)
            elif head.kind == LABEL:
                self.label = (head.x, head.y, decoded(payload)) if head.w else None
            elif head.kind in (FULL, ROI):
                self.say(ack=1)
                return head, decoded(payload) if head.kind == FULL else self._composed(head, payload)

    def _composed(self, head: Head, payload: bytes) -> Rgb:
        canvas = self.plates[head.plate].copy()
        if self.label:
            x, y, patch = self.label
            canvas[y : y + patch.shape[0], x : x + patch.shape[1]] = patch
        if head.w:
            columns, rows = math.ceil(head.w / BLOCK_SIDE_PX), math.ceil(head.h / BLOCK_SIDE_PX)
            begin = math.ceil(columns * rows / 8)
            bits = np.unpackbits(np.frombuffer(payload[:begin], np.uint8), bitorder="little")[: rows * columns]
            mask = (
                bits.reshape(rows, columns)
                .repeat(BLOCK_SIDE_PX, 0)
                .repeat(BLOCK_SIDE_PX, 1)[: head.h, : head.w]
                .astype(bool)
            )
            part = decoded(payload[begin:])
            canvas[head.y : head.y + head.h, head.x : head.x + head.w][mask] = part[mask]
        return canvas


def decoded(jpeg: bytes) -> Rgb:
    """Decode a JPEG to (H, W, 3) RGB."""
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return np.asarray(image[..., ::-1], np.uint8)


def fetch_plates(running: GatewayStudio, avatar: str) -> list[Rgb]:
    """Fetch the frames of an avatar's plate, as a page does once."""
    starts = running.http.get(f"/avatars/{avatar}/plate/index").json()["starts"]
    plate = running.http.get(f"/avatars/{avatar}/plate").content
    return [decoded(plate[begin:end]) for begin, end in itertools.pairwise(starts)]


@contextmanager
def watching(running: GatewayStudio, mode: str, avatar: str = "sample") -> Iterator[Viewer]:
    """Watch the preview in this mode; in ROI mode the viewer has the plate already."""
    with open_socket(running, f"preview?mode={mode}") as connection:
        viewer = Viewer(connection)
        if mode == "roi":
            viewer.plates = fetch_plates(running, avatar)
            viewer.frame()
            viewer.say(plate=viewer.number)
            while viewer.frame()[0].kind != ROI:
                pass
        yield viewer
