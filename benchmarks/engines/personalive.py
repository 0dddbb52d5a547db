"""PersonaLive with random weights.

Measures the parts of a call, frames a second, memory, first frame, drift and delay, compared with the original.

`--peer CHECKOUT` runs the original's own online loop (commit 32f401d of GVCLab/PersonaLive) in a separate process on
the same device, weights and frames, in turns with ours, so that both see the same machine. `--size full` is the
published model and needs a GPU; `--size tiny` shows on a CPU that all of this works, but not how fast the model is. On
a CPU times are processor time of all threads, rates are per processor second, and figures named `clock` are by the
clock.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.engines.attention import compared
from benchmarks.engines.personalive_peer import OriginalPersonaLive
from benchmarks.figures import BenchmarkFigures
from engines.personalive.engine import NEEDED, NO_TORCH
from shared.errors import StudioError

if TYPE_CHECKING:
    import torch

    from benchmarks.engines.personalive_ours import DrivenSession, NetworkLoop, Recording
    from benchmarks.engines.personalive_size import NetworkSize
    from engines.personalive.networks.networks import PersonaLiveNetworks
    from engines.personalive.settings import Acceleration

PARTS = ("transfer", "denoise", "decode", "copy")
ROUNDS, CALLS = 3, 4
COMPARED_CHUNKS = 6  # chunks whose frames are compared
KEYFRAMES = 3
DELAYED, DELAYED_S = 20, 20.0  # batches over which the delay is measured, and seconds that are enough for it
CAMERA_FPS = 25.0  # driver frames a second at which the delay is measured, if the engine keeps up
HEADROOM = 0.95  # share of the engine's own rate at which it is measured otherwise
LONG = "left out: compiling them for a CPU takes many minutes"
NOT_HERE = "not measured: the bar is for the full size on a GPU of the H200's class"


@dataclass(frozen=True, slots=True)
class Way:
    """One way of running the networks."""

    precision: str
    acceleration: "Acceleration" = "none"
    small_vae: bool = False

    def __str__(self) -> str:
        decoder = " taesd" if self.small_vae else ""
        return f"{self.precision} {self.acceleration}{decoder}"


def ways(gpu: bool) -> list[Way]:
    """Return the ways to measure, in this order because compiled networks stay compiled."""
    half = "float16" if gpu else "bfloat16"
    first, then = ("float32", half) if gpu else (half, "float32")
    return [
        Way(first),
        Way(then),
        Way(then, small_vae=True),
        Way(then, "xformers"),
        Way(then, "tensorrt"),
        Way(then, "compile"),
        Way(then, "compile", small_vae=True),
    ]


def measure(
    seconds: float = 0.0, peer: Path | None = None, size: str | None = None, rounds: int = ROUNDS
) -> BenchmarkFigures:
    """Return the figures of our PersonaLive and, if `peer` is given, of the original.

    Without PyTorch the only entry is a sentence that names the missing package.

    seconds: least time for each way. peer: a checkout of the original. size: "full" or "tiny"; by default full on a GPU
    and tiny on a CPU. Raises StudioError.
    """
    if absent := next((name for name in NEEDED if find_spec(name) is None), None):
        return {"left_out": NO_TORCH.format(absent)}
    import torch

    from benchmarks.engines.personalive_size import SIZES
    from harness.stopwatch import describe, matrix_rate

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    gpu = device.type == "cuda"
    name = size or ("full" if gpu else "tiny")
    if name not in SIZES:
        raise StudioError(f"There is no size '{name}'; choose one of {', '.join(SIZES)}.")
    if name == "full" and not gpu:
        raise StudioError("The full size needs a GPU, and PyTorch finds none; `--size tiny` runs on a CPU.")
    precisions = sorted({way.precision for way in ways(gpu)})
    figures: BenchmarkFigures = {
        "device": describe(device),
        "torch": torch.__version__,
        "size": name,
        "matrix_tflop_s": {each: matrix_rate(device, getattr(torch, each)) for each in precisions},
    }
    with ExitStack() as stack, torch.inference_mode():
        original = stack.enter_context(OriginalPersonaLive(peer.absolute(), name)) if peer else None
        bench = EngineBench(SIZES[name], device, original, max(1, rounds), seconds, figures["matrix_tflop_s"])
        bench.run(ways(gpu))
        figures["attention"] = compared(device)
    figures |= bench.figures()
    return figures | {"bars": bars(figures if gpu and name == "full" else {})}


class EngineBench:
    """Runs the ways one after the other, each in turns with the original."""

    def __init__(
        self,
        size: "NetworkSize",
        device: "torch.device",
        peer: OriginalPersonaLive | None,
        rounds: int,
        seconds: float,
        rates: dict[str, float],
    ) -> None:
        self._size, self._device, self._peer = size, device, peer
        self._rounds, self._seconds, self._rates = rounds, seconds, rates
        self._ways: BenchmarkFigures = {}
        self._refused: dict[str, str] = {}
        self._theirs: BenchmarkFigures = {}
        self._exact: Recording | None = None  # float32 without acceleration
        self._recordings: dict[str, Recording] = {}
        self._nets: PersonaLiveNetworks | None = None
        self._tflop: dict[bool, float] = {}  # of a call, by whether the small decoder is used

    def run(self, these: list[Way]) -> None:
        """Measure these ways. A way that is not available or fails is listed with the reason."""
        with tempfile.TemporaryDirectory(prefix="studio-bench-") as folder:
            begun = Path(folder) / "frames.npy"
            if self._peer:
                self._theirs = self._peer.ask("begin", calls=COMPARED_CHUNKS, to=str(begun))
            precision = ""
            for way in these:
                if way.precision != precision:
                    self._nets, precision = None, way.precision
                    self._nets = self._made(precision)
                self._try(way)
            if self._peer:
                self._theirs |= self._peer.ask("description")
                theirs = self._theirs
                theirs |= self._achieved(theirs["tflop"], theirs["parts_ms"], theirs["precision"])
                self._theirs["keyframes_ms"] = self._with_keyframes(self._peer)
                same = self._recordings.get(f"{self._theirs['precision']} none")
                if same is not None:
                    shown = (np.load(begun).astype(np.float32) * 255).astype(np.uint8)  # as its server does
                    self._theirs["frames_differ"] = levels(same.frames, shown)

    def figures(self) -> BenchmarkFigures:
        """All figures. drift: against float32 without acceleration."""
        for name, recording in self._recordings.items():
            if self._exact is not None and name in self._ways and name != "float32 none":
                self._ways[name]["drift"] = drifted(recording, self._exact, latents_only=" taesd" in name)
        told: BenchmarkFigures = {"ways": self._ways, "refused": self._refused}
        return told | ({"original": self._theirs} if self._peer else {})

    def _made(self, precision: str) -> "PersonaLiveNetworks":
        import torch

        from benchmarks.engines.personalive_ours import networks
        from engines.personalive.acceleration import accelerate

        with torch.inference_mode(False):
            made = networks(self._size, self._device, getattr(torch, precision))
        accelerate(made, "none")
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        return made

    def _try(self, way: Way) -> None:
        from engines.attention import sdpa
        from engines.personalive.acceleration import accelerate, acceleration_refusal, attend_by

        assert self._nets is not None
        reason = acceleration_refusal(way.acceleration, self._device)
        if way.acceleration == "compile" and self._device.type == "cpu":
            reason = reason or LONG
        if reason:
            self._refused[way.acceleration] = reason
            return
        try:
            if way.acceleration != "none" and not way.small_vae:
                accelerate(self._nets, way.acceleration)
            self._ways[str(way)] = self._way(way, self._nets)
        except Exception as error:  # such as a missing compiler or a kernel for another device: the reason is listed
            self._refused[str(way)] = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"
        if way.acceleration == "xformers":
            attend_by(self._nets, sdpa)

    def _way(self, way: Way, nets: "PersonaLiveNetworks") -> BenchmarkFigures:
        import torch

        from benchmarks.engines.personalive_ours import DrivenSession, NetworkLoop, record_chunks
        from harness.stopwatch import memory_mb

        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        driven = DrivenSession(nets, self._size, way.small_vae)
        recording = self._recordings[str(way)] = record_chunks(nets, self._size, way.small_vae, COMPARED_CHUNKS)
        if str(way) == "float32 none":
            self._exact = recording
        loop = NetworkLoop(nets, self._size, way.small_vae)
        loop.laps(COMPARED_CHUNKS)
        figures: BenchmarkFigures = {"first_frame_s": driven.first_frame_s} | self._rounds_of(way, loop, driven)
        figures["memory_mb"] = memory_mb(self._device)
        if way.acceleration == "none":  # the accelerated ways compute the same, but the counter does not see it
            self._tflop[way.small_vae] = counted(loop.call)
        if tflop := self._tflop.get(way.small_vae):
            figures |= self._achieved(tflop, figures["parts_ms"], way.precision)
        loop.keep(KEYFRAMES)
        loop.laps(1)
        figures["keyframes_ms"] = parts(loop.laps(CALLS))["parts_ms"]
        if self._device.type == "cuda" or str(way) == "float32 none":
            figures["delay"] = delayed(driven, figures["clock_ms"])
        return figures

    def _achieved(self, tflop: float, milliseconds: float, precision: str) -> BenchmarkFigures:
        rate = tflop / milliseconds * 1e3
        return {"tflop": tflop, "tflop_s": rate, "of_matrix_rate": rate / self._rates[precision]}

    def _rounds_of(self, way: Way, loop: "NetworkLoop", driven: "DrivenSession") -> BenchmarkFigures:
        """Measure rounds of ours and the original in turns. call_ms: a session's call; parts_ms: its parts in turn."""
        ours: list[dict[str, float]] = []
        theirs: list[dict[str, float]] = []
        calls: list[float] = []
        clocks: list[float] = []
        gpu, began = self._device.type == "cuda", time.monotonic()
        while len(ours) < self._rounds or time.monotonic() - began < self._seconds:
            ours.append(parts(loop.laps(CALLS)))
            clock, worked = driven.calls(CALLS)
            clocks.append(clock * 1e3)
            calls.append((clock if gpu else worked) * 1e3)
            if self._peer:
                theirs.append(parts(self._peer.ask("round", calls=CALLS)["laps"]))
        best = min(ours, key=lambda each: each["parts_ms"])
        figures: BenchmarkFigures = best | {"call_ms": min(calls), "clock_ms": min(clocks)}
        figures["fps"] = 4e3 / figures["call_ms"]
        if theirs:
            peer = min(theirs, key=lambda each: each["parts_ms"])
            figures["original_over_this"] = peer["parts_ms"] / figures["call_ms"]
            if peer["parts_ms"] < self._theirs.get("parts_ms", float("inf")):
                self._theirs |= peer | {"fps": 4e3 / peer["parts_ms"]}
        return figures

    def _with_keyframes(self, peer: OriginalPersonaLive) -> float:
        peer.ask("keyframes", count=KEYFRAMES)
        peer.ask("round", calls=1)
        return parts(peer.ask("round", calls=CALLS)["laps"])["parts_ms"]


def parts(rows: list[list[float]]) -> dict[str, float]:
    """Milliseconds of each part and of all together: the median of the calls."""
    of = {f"{name}_ms": statistics.median(row[i] for row in rows) for i, name in enumerate(PARTS)}
    return of | {"parts_ms": statistics.median(sum(row) for row in rows)}


def counted(call: Callable[[], object]) -> float:
    """Return the TFLOP of a call; a multiplication and an addition count as two operations."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        call()
    return float(counter.get_total_flops()) / 1e12


def delayed(driven: "DrivenSession", clock_ms: float) -> BenchmarkFigures:
    """Measure the delay from driver to frame by the clock, at a camera's rate or the rate that the engine holds.

    The figures include the least delay that is possible at that rate.
    """
    fps = min(CAMERA_FPS, HEADROOM * 4e3 / clock_ms)
    try:
        measured = driven.delay(1 / fps, max(6, min(DELAYED, int(DELAYED_S * fps / 4))))
    except Exception as error:  # listed, as in `_try`
        return {"left_out": f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"}
    return {"driver_fps": fps} | measured


def drifted(of: "Recording", exact: "Recording", latents_only: bool) -> BenchmarkFigures:
    """Return how far a recording differs from the exact one.

    Latents: root mean square as a fraction of the exact one's, for the first and the last chunk. Frames: levels of 255.
    """
    from benchmarks.engines.personalive_ours import relative_difference

    figures = {
        f"latents_{name}": relative_difference(of.latents[i], exact.latents[i])
        for name, i in (("first", 0), ("last", -1))
    }
    return figures if latents_only else figures | levels(of.frames, exact.frames)


def levels(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> dict[str, float]:
    """Return the mean and the 99th percentile of the difference between frames, in levels of 255."""
    difference = np.abs(one.astype(np.int16) - other)
    return {"levels_mean": float(difference.mean()), "levels_p99": float(np.percentile(difference, 99))}


def bars(figures: BenchmarkFigures) -> dict[str, str]:
    """Return the verdict on each bar for one GPU of the H200's class at 512 pixels: met, missed or not measured.

    The fastest way in half precision counts. figures: empty where the bars do not apply.
    """
    if not figures:
        return {f"{bar:g} {what}": NOT_HERE for what, _, bar, _ in _wanted({}, {})}
    rows = {name: row for name, row in figures["ways"].items() if name.startswith("float16")}
    full = _fastest(row for name, row in rows.items() if "taesd" not in name)
    small = _fastest(row for name, row in rows.items() if "taesd" in name)
    return {f"{bar:g} {what}": _verdict(value, bar, least) for what, value, bar, least in _wanted(full, small)}


def _fastest(rows: Iterable[BenchmarkFigures]) -> BenchmarkFigures:
    none: BenchmarkFigures = {}
    return max(rows, key=lambda row: float(row["fps"]), default=none)


def _wanted(full: BenchmarkFigures, small: BenchmarkFigures) -> list[tuple[str, float | None, float, bool]]:
    """Return (description, figure, bar, whether the bar is the least and not the most) of each bar."""
    return [
        ("times the original's fps, full decoder", full.get("original_over_this"), 2.0, True),
        ("fps, full decoder", full.get("fps"), 25.0, True),
        ("ms from driver to frame, full decoder", full.get("delay", {}).get("ms"), 800.0, False),
        ("MB of GPU memory, full decoder", full.get("memory_mb"), 12_000.0, False),
        ("fps, small decoder", small.get("fps"), 35.0, True),
    ]


def _verdict(value: float | None, bar: float, least: bool) -> str:
    if value is None:
        return "not measured"
    met = value >= bar if least else value <= bar
    return f"{'met' if met else 'missed'}: {value:.4g}"


def main() -> None:
    """Measure, and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", type=Path, help="a checkout of the original, to compare with")
    parser.add_argument("--size", choices=("full", "tiny"))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    given = parser.parse_args()
    figures = measure(peer=given.peer, size=given.size, rounds=given.rounds)
    print(json.dumps(figures, indent=None if given.json else 2))


if __name__ == "__main__":
    main()
