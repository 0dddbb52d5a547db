"""Streams over real sockets: the newest message wins, sound keeps its order, every loss is counted."""

import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from harness.channel import wait_for
from shared.wire.bus import SOUND_HWM_MESSAGES, Publisher, Reader, endpoint
from shared.wire.message import MAX_HEADER_BYTES, MAX_PAYLOAD_BYTES, Message, encode_message


class Bus:
    """Opens streams in one folder, and closes all of them at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.context: zmq.Context[Any] = zmq.Context()
        self.opened: list[Publisher | Reader] = []

    def publisher(self, stream: str = "driving") -> Publisher:
        self.opened.append(publisher := Publisher(self.context, endpoint(self.folder, stream), stream, "main"))
        return publisher

    def reader(self, stream: str = "driving", *, newest: bool = True) -> Reader:
        self.opened.append(reader := Reader(self.context, endpoint(self.folder, stream), stream, "main", newest=newest))
        return reader

    def pair(self, stream: str = "driving", *, newest: bool = True) -> tuple[Publisher, Reader]:
        publisher, reader = self.publisher(stream), self.reader(stream, newest=newest)
        connected(publisher, reader)
        return publisher, reader


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    bus = Bus(tmp_path)
    yield bus
    for each in bus.opened:
        each.close()
    bus.context.destroy(linger=0)  # also closes what a failed test has opened by itself


def connected(publisher: Publisher, reader: Reader) -> None:
    """Send until the newest message arrives: subscribing takes a moment, and nothing is in flight afterwards."""

    def heard() -> bool:
        for each in (publisher, reader):
            each.keep_endpoint()  # as a service does with every pulse
        if publisher.stream == "voice":
            publisher.send(0, np.zeros(0, np.int16), "s16")
        else:
            publisher.send(0)
        reader.socket.poll(100)
        got = reader.read()
        return bool(got) and got[-1].sequence == publisher._sequence - 1

    wait_for(heard)
    reader.losses.clear()


def test_a_slow_reader_gets_the_newest_and_every_loss_is_counted(bus: Bus) -> None:
    publisher, reader = bus.pair()
    first = publisher._sequence
    for number in range(200):
        publisher.send(number, np.zeros((480, 320, 3), np.uint8), "rgb24")
        time.sleep(0.0005)
    got: list[Message] = []

    def every_one() -> bool:
        publisher.send(1000)  # messages dropped at the end are noticed when a later one arrives
        reader.socket.poll(100)
        got.extend(reader.read())
        return reader.losses["stale"] + reader.losses["lost"] + len(got) == publisher._sequence - first

    wait_for(every_one)
    assert got[-1].pts == 1000 and reader.losses["lost"] > 100, "the queue is short"


def test_sound_comes_whole_and_in_order(bus: Bus) -> None:
    publisher, reader = bus.pair("voice", newest=False)
    count = SOUND_HWM_MESSAGES // 2
    for number in range(count):
        publisher.send(number, np.full(960, number, np.int16), "s16")
    got: list[Message] = []

    def all_there() -> bool:
        got.extend(reader.read())
        return len(got) >= count

    wait_for(all_there)
    assert [m.pts for m in got] == list(range(count))
    assert not reader.losses


def test_hostile_messages_are_counted_and_the_good_ones_still_come(bus: Bus) -> None:
    """Bad messages of every kind from a real peer are counted, and a good message after them arrives."""
    hostile: zmq.Socket[Any] = bus.context.socket(zmq.PUB)
    hostile.bind(endpoint(bus.folder, "driving"))
    reader = bus.reader(newest=False)

    def knock() -> int:
        hostile.send(b"?")
        reader.read()
        return reader.losses["malformed"]

    wait_for(knock)
    for parts in (
        [b"driving", b"\xc1", b""],
        [b"driving", b"\x80", b""],
        [b"driving", b"x" * (MAX_HEADER_BYTES + 1), b""],
    ):
        hostile.send_multipart(parts)
    foreign = Message("driving", "other-channel", 0, 0, 0, 1)
    hostile.send_multipart(encode_message(foreign))
    wait_for(lambda: reader.read() or reader.losses["foreign"])
    assert reader.losses["version"] == 1 and reader.losses["oversized"] == 1 and reader.losses["foreign"] == 1
    hostile.send_multipart(encode_message(replace(foreign, channel="main", pts=42)))
    assert wait_for(reader.read)[0].pts == 42
    hostile.close(linger=0)


def test_a_message_beyond_the_limit_costs_the_sender_its_connection_and_nothing_else(bus: Bus) -> None:
    publisher, reader = bus.pair()
    publisher._socket.send_multipart([b"driving", b"\x80", bytes(MAX_PAYLOAD_BYTES + 8192)], copy=False)

    def heard() -> list[Message]:
        reader.redial()
        publisher.send(7)
        return reader.read()

    assert wait_for(heard)[0].pts == 7
    assert reader.losses["oversized"] == 1


def test_a_publisher_that_dies_and_comes_back_is_heard_again(bus: Bus) -> None:
    publisher, reader = bus.pair()
    publisher.close()
    again = bus.publisher()

    def heard() -> list[Message]:
        again.send(5)
        return reader.read()

    assert wait_for(heard)[0].pts == 5
    assert reader.losses["lost"] == 0  # sequence numbers that start over are not a gap


@pytest.mark.parametrize("side", ["publisher", "reader"])
def test_an_endpoint_whose_file_is_removed_is_made_again(bus: Bus, side: str) -> None:
    """Later peers are reached whichever side has bound, even where the whole folder was removed."""
    folder = bus.folder / "run"
    folder.mkdir()
    address = endpoint(folder, "pulse")
    bound = Publisher(bus.context, address, "pulse", "main", bind=side == "publisher")
    other = Reader(bus.context, address, "pulse", "main", bind=side == "reader")
    bus.opened += [bound, other]
    connected(bound, other)
    shutil.rmtree(folder)

    def is_there() -> bool:
        bound.keep_endpoint()
        other.keep_endpoint()
        return (folder / "pulse.ipc").exists()

    wait_for(is_there)
    time.sleep(1.2)  # closing the old endpoint removes the file at its path, even a newer one
    wait_for(is_there)
    late_publisher = Publisher(bus.context, address, "pulse", "main", bind=False) if side == "reader" else bound
    late_reader = Reader(bus.context, address, "pulse", "main") if side == "publisher" else other
    bus.opened += [late_publisher, late_reader]
    connected(late_publisher, late_reader)
