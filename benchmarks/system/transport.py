"""One hop between two processes: our streams against a memory copy and against imagezmq, interleaved in one run."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import zmq
from numpy.typing import NDArray

from shared.runtime.clock import now
from shared.wire.bus import Publisher, Reader, endpoint

HEIGHT, WIDTH = 1080, 1920
PACED_FPS, PACED = 50, 150
FLOOD_S = 1.5
ROUNDS = 3
QUIET_MS = 4000  # a sender that is silent for so long has ended, even if its last message was lost
PEERS = ("studio", "imagezmq_pub", "imagezmq_req")


def measure() -> dict[str, Any]:
    """Measure the hop of a 1080p I420 frame over ipc.

    Median and 95th percentile in milliseconds when paced, and frames a second when sent as fast as possible; each also
    as a ratio to one memory copy of the same frame.
    """
    results: dict[str, list[dict[str, float]]] = {peer: [] for peer in PEERS}
    copies: list[float] = []
    for _ in range(ROUNDS):
        copies.append(memory_copy_ms())
        for peer in PEERS:
            results[peer].append(_one(peer))
    copy = float(np.median(copies))
    figures: dict[str, Any] = {"frame": "1920x1080 I420", "memory_copy_ms": copy}
    for peer, rounds in results.items():
        middle = {key: float(np.median([r[key] for r in rounds])) for key in rounds[0]}
        figures[peer] = middle | {
            "p50_in_copies": middle["hop_p50_ms"] / copy,
            "cost_in_copies": 1000 / middle["flood_fps"] / copy,
        }
    for peer in PEERS[1:]:
        figures[f"{peer}_p50_over_studio"] = figures[peer]["hop_p50_ms"] / figures["studio"]["hop_p50_ms"]
    return figures


def memory_copy_ms() -> float:
    """Median milliseconds to copy one frame."""
    source, target = make_frame(), make_frame()
    times = []
    for _ in range(60):
        started = time.perf_counter()
        np.copyto(target, source)
        times.append(time.perf_counter() - started)
    return float(np.median(times)) * 1000


def make_frame() -> NDArray[np.uint8]:
    """A 1080p I420 frame that is not all one page of zeros."""
    return np.random.default_rng(0).integers(0, 255, (HEIGHT * 3 // 2, WIDTH)).astype(np.uint8)


def _one(peer: str) -> dict[str, float]:
    """Receive from a sender in another process: first paced, then as fast as possible."""
    with tempfile.TemporaryDirectory() as folder:
        received: Any = (
            _studio(Path(folder)) if peer == "studio" else _imagezmq(Path(folder), request_reply=peer.endswith("req"))
        )
        sender = subprocess.Popen([sys.executable, "-m", "benchmarks.system.transport", "--send", peer, folder])
        hops: list[float] = []
        flood, first, last = 0, 0, 0
        for phase, sent_at in received:
            at = now()
            if phase == 0:
                hops.append((at - sent_at) / 1000)
            elif phase == 1:
                flood, first, last = flood + 1, first or at, at
            else:
                break
        received.close()
        sender.kill()
        sender.wait()
    settled = hops[10:]
    return {
        "hop_p50_ms": float(np.percentile(settled, 50)),
        "hop_p95_ms": float(np.percentile(settled, 95)),
        "flood_fps": (flood - 1) / ((last - first) / 1e6),
    }


def _studio(folder: Path) -> Iterator[tuple[int, int]]:
    context: zmq.Context[Any] = zmq.Context()
    reader = Reader(context, endpoint(folder, "program"), "program", "bench", newest=False)
    try:
        while reader.socket.poll(QUIET_MS):
            for message in reader.read():
                yield message.facts["phase"], message.pts
    finally:
        reader.close()
        context.term()


def _imagezmq(folder: Path, *, request_reply: bool) -> Iterator[tuple[int, int]]:
    import imagezmq

    address = f"ipc://{folder}/peer.ipc"
    hub = imagezmq.ImageHub(open_port=address, REQ_REP=request_reply)
    try:
        while hub.zmq_socket.poll(QUIET_MS):
            text, _ = hub.recv_image()
            at = now()
            if request_reply:
                hub.send_reply()
            phase, sent_at = text.split()
            # The reply is the hub's own cost, not the hop's: it is left out of the latency, not of the rate.
            yield int(phase), int(sent_at) + now() - at
    finally:
        hub.close()


def _send(peer: str, folder: Path) -> None:
    frame = make_frame()
    if peer == "studio":
        context: zmq.Context[Any] = zmq.Context()
        publisher = Publisher(context, endpoint(folder, "program"), "program", "bench")

        def send(phase: int) -> None:
            publisher.send(now(), frame, "i420", facts={"phase": phase})
    else:
        import imagezmq

        request_reply = peer.endswith("req")
        peer_sender = imagezmq.ImageSender(connect_to=f"ipc://{folder}/peer.ipc", REQ_REP=request_reply)

        def send(phase: int) -> None:
            peer_sender.send_image(f"{phase} {now()}", frame)

    time.sleep(0.5)
    for _ in range(PACED):
        send(0)
        time.sleep(1 / PACED_FPS)
    ends = time.monotonic() + FLOOD_S
    while time.monotonic() < ends:
        send(1)
        time.sleep(0)
    for _ in range(30):  # several times, because a full queue drops the newest messages
        time.sleep(0.05)
        send(2)


if __name__ == "__main__":
    if "--send" in sys.argv:
        _send(sys.argv[2], Path(sys.argv[3]))
    else:
        print(json.dumps(measure(), indent=None if "--json" in sys.argv else 2))
