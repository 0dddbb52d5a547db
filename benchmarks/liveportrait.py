"""The LivePortrait engine at full size with random weights: each network, the whole frame, memory, first frame.

`--peer CHECKOUT` runs the original's own code path (commit 1986663 of KwaiVGI/LivePortrait) beside it: the same weights
and the same picture on the same device, its wrapper's calls and its paste-back into a 1280x720 picture. On a CPU the times
are processor seconds of all threads, which a busy machine does not change much; on a GPU they are seconds.
"""

import argparse
import gc
import json
import resource
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.engine import sample_avatar
from services.compositor.blend import Blender
from services.generator.engine import Driving
from services.generator.engines.liveportrait.engine import NO_TORCH
from shared.performance import perform

PLATE = 1280, 720
Figures = dict[str, Any]


def measure(seconds: float = 0.0) -> Figures:
    """Ours alone, for `studio bench`; without PyTorch a sentence. seconds: at least so long for each figure."""
    return _ours(None, 1, seconds) if find_spec("torch") else {"left_out": NO_TORCH}


def compare(peer: Path, rounds: int) -> Figures:
    """Ours and the original's, and how much faster ours is."""
    from benchmarks.liveportrait_peer import peer_figures

    with tempfile.TemporaryDirectory(prefix="studio-bench-") as folder:
        weights = Path(folder) / "liveportrait"
        theirs = peer_figures(peer, weights, rounds, timed)
        gc.collect()
        ours = _ours(weights, rounds, 0.0)
    ratios = {}
    for way, original in theirs.items():
        same = ours[way]
        ratios[way] = {name: round(value / same[name], 2) for name, value in original.items() if same.get(name)}
    return ours | {"original": theirs, "original_over_ours": ratios}


def timed(work: Callable[[], object], rounds: int, seconds: float = 0.0) -> float:
    """Milliseconds of one call, the least of `rounds` or more, after one that is not counted."""
    import torch

    gpu = torch.cuda.is_available()
    clock = time.perf_counter if gpu else time.process_time
    times: list[float] = []
    begin = time.perf_counter()
    with torch.inference_mode():
        work()
        while len(times) < rounds or time.perf_counter() - begin < seconds:
            if gpu:
                torch.cuda.synchronize()
            start = clock()
            work()
            if gpu:
                torch.cuda.synchronize()
            times.append((clock() - start) * 1e3)
    return round(min(times), 2)


def _ours(weights: Path | None, rounds: int, seconds: float) -> Figures:
    import torch

    gpu = torch.cuda.is_available()
    figures: Figures = {
        "device": torch.cuda.get_device_name() if gpu else "cpu",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    for precision in ("float32", "float16") if gpu else ("float32", "bfloat16"):
        for compiled in (False, True) if gpu else (False,):
            figures[precision + (" compiled" if compiled else "")] = _run(weights, precision, compiled, rounds, seconds)
    figures["resident_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return figures


def _run(weights: Path | None, precision: str, compiled: bool, rounds: int, seconds: float) -> Figures:
    """Each network in milliseconds, the whole frame and what it needs."""
    import torch

    from services.generator.engines.liveportrait.networks import Networks, pick_device, pick_precision
    from services.generator.engines.liveportrait.session import LivePortraitSession
    from services.generator.engines.liveportrait.settings import LivePortraitSettings

    device = pick_device("auto")
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    nets = Networks.empty() if weights is None else Networks.load(weights)
    nets.prepare(device, pick_precision(precision, device), compiled)
    avatar = sample_avatar()
    session = LivePortraitSession(avatar, nets, LivePortraitSettings.load())
    portrait = session._portrait
    picture = avatar.roi
    face = perform(avatar.face, 1.0)
    session.step(Driving(0, face, avatar.face, picture))
    first = time.perf_counter() - start
    prepared = nets.prepared(np.ascontiguousarray(picture[:256, :256]))
    volume, compressed, own = portrait._features()
    driven = own + 0.02

    def warp() -> Any:
        return nets.warping(volume, own, driven, compressed)

    with torch.inference_mode():
        out = warp().out
    blender, plate = Blender(avatar.mask), np.full((PLATE[1] * 3 // 2, PLATE[0]), 128, np.uint8)
    placement = np.array([[0.8, 0.0, 400.0], [0.0, 0.8, 100.0]])
    at = iter(range(1, 1_000_000))

    def whole() -> None:
        frame = session.step(Driving(next(at) * 40_000, face, avatar.face, picture))[0]
        blender.place(plate, frame.pixels, placement)

    figures: Figures = {
        "F": timed(lambda: nets.appearance(prepared), rounds, seconds),
        "M": timed(lambda: nets.motion(prepared), rounds, seconds),
        "W": timed(warp, rounds, seconds),
        "G": timed(lambda: nets.decoder(out), rounds, seconds),
        "W+G": timed(lambda: nets.draw(volume, compressed, own, driven), rounds, seconds),
        "frame": timed(whole, rounds, seconds),
        "first_frame_s": round(first, 2),
    }
    figures["fps"] = round(1e3 / figures["frame"], 2)
    if device.type == "cuda":
        batch = 8
        eight = np.repeat(portrait.points[None], batch, axis=0)
        figures["frame_of_8"] = round(timed(lambda: portrait.draw(eight), rounds, seconds) / batch, 2)
        figures["gpu_mb"] = torch.cuda.max_memory_allocated() // 2**20
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", type=Path, help="a checkout of the original, to run beside")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=0, help="of PyTorch and OpenCV; 0 is their own choice")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    given = parser.parse_args()
    if find_spec("torch") and given.threads:
        import torch

        torch.set_num_threads(given.threads)
        cv2.setNumThreads(given.threads)
    figures = compare(given.peer.absolute(), given.rounds) if given.peer and find_spec("torch") else measure()
    if given.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
