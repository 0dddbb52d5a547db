"""Attack on each service alone: malformed messages on every stream it reads, and damaged images to capture."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from benchmarks.attack.row import MEGABYTE, AttackRow
from harness.alone import INPUTS, Alone, junk
from harness.channel import resident_bytes, wait_for

# Messages between two pauses. When they are sent faster than a service reads them, ZeroMQ drops some before they
# arrive.
PACE_MESSAGES = 8
PAUSE_S = 0.001
MOST_S = 90.0  # longest attack on one service
OURS = ("lost", "stale")  # drop reasons of well-formed messages: a gap in the sequence, replaced by a newer one
SEED = 19


def messages(home: Path, count: int) -> Iterator[AttackRow]:
    """Send malformed messages to each service until it has counted `count` of them.

    The number tried is the number that the service has counted.
    """
    for service in INPUTS:
        with tempfile.TemporaryDirectory(prefix="studio-", dir="/tmp") as folder:
            alone = Alone(service, home, Path(folder) / "run")
            try:
                yield _messages(alone, count)
            finally:
                alone.close()


def _messages(alone: Alone, count: int) -> AttackRow:
    row = AttackRow(f"messages to {alone.service}")
    wait_for(alone.follows, 60, f"{alone.service} beats")
    _settled(alone)
    memory, started = resident_bytes(alone.process.pid), time.monotonic()
    generator, sent = np.random.default_rng(SEED), 0
    made = {stream: [each for _ in range(8) for each in junk(stream, generator)] for stream in alone.senders}
    while row.tried < count and alone.process.poll() is None and time.monotonic() - started < MOST_S:
        for stream, socket in alone.senders.items():
            chosen = generator.integers(len(made[stream]), size=PACE_MESSAGES)
            for index in chosen:
                socket.send_multipart(made[stream][index])
            sent += PACE_MESSAGES
        time.sleep(PAUSE_S)
        alone.pulse()
        row.tried = sum(
            number for reason, number in (alone.last.drops if alone.last else {}).items()
            if reason.split(" ")[0] in alone.senders and not reason.endswith(OURS)
        )  # fmt: skip
    row.seconds = time.monotonic() - started
    _end(alone, row, memory)
    if not row.tried:
        row.wrong(f"none of {sent} messages was counted")
    return row


def images(home: Path, count: int) -> AttackRow:
    """Send `count` odd images to capture.

    JPEGs with bytes changed, cut off or inserted, headers that claim gigabytes, other formats, and random bytes.
    """
    row = AttackRow("images to capture")
    with tempfile.TemporaryDirectory(prefix="studio-", dir="/tmp") as folder:
        alone = Alone("capture", home, Path(folder) / "run")
        try:
            wait_for(alone.follows, 60, "capture beats")
            memory, started = resident_bytes(alone.process.pid), time.monotonic()
            for image in odd_images(count):
                if alone.process.poll() is not None:
                    break
                captured = time.monotonic_ns() // 1000
                facts = {"kind": "frame", "captured": captured}
                alone.send("remote", array=np.frombuffer(image, np.uint8), format="bytes", facts=facts)
                row.tried += 1
                time.sleep(PAUSE_S)
                alone.pulse()
            row.seconds = time.monotonic() - started
            _end(alone, row, memory)
        finally:
            alone.close()
    return row


def odd_images(count: int) -> Iterator[bytes]:
    """Yield `count` damaged images, with six kinds of damage in turn."""
    generator = np.random.default_rng(SEED)
    noise = generator.integers(0, 256, (48, 64, 3), np.uint8)
    whole = cv2.imencode(".jpg", noise)[1].tobytes()
    others = [cv2.imencode(form, noise)[1].tobytes() for form in (".png", ".bmp", ".webp", ".tiff")]
    size = whole.index(b"\xff\xc0") + 5  # height and width in a baseline header
    for number in range(count):
        image = bytearray(whole)
        match number % 6:
            case 0:
                for at in generator.integers(2, len(image), 1 + number % 40):
                    image[at] = generator.integers(256)
            case 1:
                del image[int(generator.integers(2, len(image))) :]
            case 2:
                claimed = generator.choice([0, 1, 12_000, 65_500, 65_535], 2)
                image[size : size + 4] = b"".join(int(side).to_bytes(2, "big") for side in claimed)
            case 3:
                image = bytearray(others[number // 6 % len(others)])
            case 4:
                image[2:2] = bytes(generator.integers(0, 256, 200, np.uint8))
            case _:
                image = bytearray(generator.bytes(int(generator.integers(0, 3000))))
        yield bytes(image)


def _settled(alone: Alone, seconds: float = 4.0) -> None:
    """Wait until the service has loaded all that it loads at its start, so that growth is measured from there."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        alone.pulse()
        time.sleep(0.1)


def _end(alone: Alone, row: AttackRow, memory: int) -> None:
    alone.revision += 1
    try:
        wait_for(lambda: alone.process.poll() is not None or alone.follows(), 30)
    except AssertionError:
        row.wrong(f"{alone.service} no longer follows the scene")
    if alone.process.poll() is not None:
        row.died += 1
        row.wrong(f"{alone.service} ended with {alone.process.returncode}")
    else:
        row.grew_mb = max(0.0, (resident_bytes(alone.process.pid) - memory) / MEGABYTE)
