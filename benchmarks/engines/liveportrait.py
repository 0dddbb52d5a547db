"""The LivePortrait engine at full size with random weights: each network, the whole frame, memory, first frame.

`--peer CHECKOUT` also runs the original's own code path (commit 1986663 of KwaiVGI/LivePortrait) for comparison: the
same weights and the same frame on the same device, its wrapper's calls and its paste-back into a 1280x720 frame. On a
CPU the times are processor seconds of all threads, which a busy machine does not change much; on a GPU they are
seconds, the median of many. Every way of running either side has a separate process, so that none profits from
another's memory, kernels or first frame.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import BenchmarkFigures
from compositing.blend import Blender
from engines.api import Driving, RoiFrame
from engines.liveportrait.engine import BATCH_FRAMES, NO_TORCH
from harness.call_time import median_call_ms, use_threads
from harness.sample_avatar import sample_avatar
from harness.tiny.liveportrait import NARROW
from shared.face.scripted import perform

PLATE_SIZE_PX = 1280, 720
BATCHES = (1, 2, 4, 8, 16)
BARS = {"W+G": 2.0, "frame": 4.0}  # required speed-up over the original's best, both in half precision
MOST_MB = 3000  # of GPU memory


def measure(seconds: float = 0.0, peer: Path | None = None) -> BenchmarkFigures:
    """Return all figures of LivePortrait or, without PyTorch, a sentence.

    seconds: least time for each figure when no peer is given. peer: a checkout of the original to compare with.
    """
    if not find_spec("torch"):
        return {"left_out": NO_TORCH}
    return compare(peer.absolute(), 2, 0) if peer else ours(None, 1, seconds)


def compare(peer: Path, rounds: int, threads: int) -> BenchmarkFigures:
    """Return our figures, the original's, and the ratio of the original's times to ours."""
    from benchmarks.engines.liveportrait_peer import time_original, write_weights

    with tempfile.TemporaryDirectory(prefix="studio-bench-") as folder:
        weights = Path(folder) / "liveportrait"
        _alone(write_weights, peer, weights)
        theirs = {
            way: _alone(time_original, peer, weights, way, rounds, threads) for way in _ways() if way != "bfloat16"
        }
        mine = ours(weights, rounds, 0.0, threads)
    ratios = {}
    for way, original in theirs.items():
        same = mine[way]
        ratios[way] = {name: round(value / same[name], 2) for name, value in original.items() if same.get(name)}
    return mine | {"original": theirs, "original_over_ours": ratios} | _verdict(mine, theirs)


def ours(
    weights: Path | None, rounds: int, seconds: float = 0.0, threads: int = 0, narrow: bool = False
) -> BenchmarkFigures:
    """Return the figures of every way of running our networks.

    weights: folder in the published layout; None: random weights. narrow: networks of a few channels, to try out the
    benchmark itself.
    """
    import torch

    gpu = torch.cuda.is_available()
    figures: BenchmarkFigures = {
        "device": torch.cuda.get_device_name() if gpu else "cpu",
        "threads": threads or torch.get_num_threads(),
        "torch": torch.__version__,
    }
    for way in _ways():
        figures[way] = _alone(_run, weights, way, rounds, seconds, threads, narrow)
    return figures


def _ways() -> tuple[str, ...]:
    import torch

    return ("float32", "float16", "float16 compiled") if torch.cuda.is_available() else ("float32", "bfloat16")


def _alone(work: Callable[..., Any], *given: Any) -> Any:
    """Return the result of `work` in a new process that has compiled nothing yet.

    The result is also printed immediately, because the whole benchmark takes minutes.
    """
    with (
        tempfile.TemporaryDirectory(prefix="studio-bench-") as cache,
        ProcessPoolExecutor(1, get_context("spawn"), _begin_alone, (cache,)) as process,
    ):
        found = process.submit(work, *given).result()
    print(f"{work.__name__} {' '.join(str(each) for each in given)}: {found}", file=sys.stderr, flush=True)
    return found


def _begin_alone(cache: str) -> None:
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # the original prints its progress to standard output


def _verdict(mine: BenchmarkFigures, theirs: BenchmarkFigures) -> BenchmarkFigures:
    """Compare each bar with its figure, from the best way of either side in half precision."""
    halves = [way for way in theirs if way.startswith("float16")]
    if not halves:
        return {}
    best = {name: min(theirs[w][name] for w in halves) / min(mine[w][name] for w in halves) for name in BARS}
    bars: BenchmarkFigures = {name: f"{best[name]:.2f} times, wanted {wanted}" for name, wanted in BARS.items()}
    most = max(mine[way][name] for way in halves for name in ("gpu_mb", "render_gpu_mb"))
    return {"bars": bars | {"gpu_mb": f"{most}, wanted below {MOST_MB}"}}


def _run(*given: Any) -> BenchmarkFigures:
    import torch

    with torch.inference_mode():
        return _figures(*given)


def _figures(
    weights: Path | None, way: str, rounds: int, seconds: float, threads: int, narrow: bool
) -> BenchmarkFigures:
    """Measure one way: each network and the whole frame, live and in a render, in milliseconds; and the memory."""
    import torch

    from engines.liveportrait.networks.networks import DEVICE_ADVICE, PUBLISHED, LivePortraitNetworks, pick_precision
    from engines.liveportrait.session import LivePortraitSession
    from engines.liveportrait.settings import LivePortraitSettings
    from engines.torch_device import pick_device

    use_threads(threads)
    avatar = sample_avatar()
    device = pick_device("auto", DEVICE_ADVICE)
    gpu = device.type == "cuda"
    precision, _, compiled = way.partition(" ")
    start = time.perf_counter()
    nets = (
        LivePortraitNetworks.load(weights) if weights else LivePortraitNetworks.empty(NARROW if narrow else PUBLISHED)
    )
    nets.prepare(device, pick_precision(precision, device), bool(compiled))
    session = LivePortraitSession(avatar, nets, LivePortraitSettings.load(), batch=BATCH_FRAMES)
    portrait, pixels = session._portrait, avatar.roi
    face = perform(avatar.face, 1.0)
    session.step(Driving(0, face, avatar.face, pixels))
    first = time.perf_counter() - start
    prepared = nets.prepared(np.ascontiguousarray(pixels[:256, :256]))
    source = portrait.shot(portrait.points).source
    volume, compressed_, own = source.volume, source.compressed, source.keypoints
    driven = own + 0.02

    def warp() -> Any:
        return nets.warping(volume, own, driven, compressed_)

    out = warp().out
    blender, plate = Blender(avatar.mask), np.full((PLATE_SIZE_PX[1] * 3 // 2, PLATE_SIZE_PX[0]), 128, np.uint8)
    placement = np.array([[0.8, 0.0, 400.0], [0.0, 0.8, 100.0]])
    at = iter(range(1, 1_000_000))

    def frames(count: int) -> Iterator[Any]:
        for _ in range(count):
            yield from session.step(Driving(next(at) * 40_000, face, avatar.face, pixels))

    def live() -> None:
        for frame in frames(1):
            blender.place(plate, frame.pixels, placement)

    def render() -> None:
        for frame in session.together(frames(2 * BATCH_FRAMES)):
            if isinstance(frame, RoiFrame):
                blender.place(plate, frame.pixels, placement)

    figures: BenchmarkFigures = {"F": median_call_ms(lambda: nets.appearance(prepared), rounds, seconds)}
    figures["M"] = median_call_ms(lambda: nets.motion(prepared), rounds, seconds)
    if not compiled:
        figures["W"] = median_call_ms(warp, rounds, seconds)
        figures["G"] = median_call_ms(lambda: nets.decoder(out), rounds, seconds)
    figures["W+G"] = median_call_ms(lambda: nets.draw(volume, compressed_, own, driven), rounds, seconds)
    figures["frame"] = median_call_ms(live, rounds, seconds)
    figures |= {"fps": round(1e3 / figures["frame"], 2), "first_frame_s": round(first, 2)}
    figures["resident_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    if gpu:
        figures["gpu_mb"] = torch.cuda.max_memory_reserved() >> 20
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    if gpu or narrow:
        figures["render_frame"] = round(median_call_ms(render, rounds, seconds) / (2 * BATCH_FRAMES), 2)
        figures["render_fps"] = round(1e3 / figures["render_frame"], 2)
    if gpu:
        figures["render_gpu_mb"] = torch.cuda.max_memory_reserved() >> 20
    if (gpu or narrow) and not compiled:
        shot = portrait.shot(portrait.points)
        figures["drawn_in_batches_of"] = {
            size: round(median_call_ms(lambda size=size: portrait.draw([shot] * size), rounds, seconds) / size, 2)  # type: ignore[misc]
            for size in BATCHES
        }
    if nets._exact is not None:
        figures["left_out"] = "These weights overflow half precision: the times are of drawing twice."
    return figures


def main() -> None:
    """Measure, and print a line for each figure or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", type=Path, help="a checkout of the original, to compare with")
    parser.add_argument("--rounds", type=int, default=2, help="rounds on a CPU; on a GPU there are more")
    parser.add_argument("--threads", type=int, default=0, help="threads of PyTorch and OpenCV; 0 is their own choice")
    parser.add_argument(
        "--narrow", action="store_true", help="networks of a few channels, to try out the benchmark itself"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    given = parser.parse_args()
    if not find_spec("torch"):
        figures: BenchmarkFigures = {"left_out": NO_TORCH}
    elif given.peer:
        figures = compare(given.peer.absolute(), given.rounds, given.threads)
    else:
        figures = ours(None, given.rounds, 0.0, given.threads, given.narrow)
    if given.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
