"""Cost of a clip's units to a worker besides the networks: loads, overhead, and memory by the length of the speech.

The networks are tiny: what they compute means nothing, but the work around them is the same at any size. Each length is
rendered in a separate process, one unit after the other, by the class that a farm's workers use:
`python -m benchmarks.engines.stableavatar HOME SECONDS`.
"""

import json
import os
import subprocess
import sys
import time
import wave
from collections import Counter, defaultdict
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.figures import BenchmarkFigures
from engines.clip import Clip, RunContext
from engines.stableavatar.engine import NEEDED, NO_TORCH, StableAvatarEngine
from shared.config.settings import load_settings
from shared.errors import StudioError
from shared.jobs.graph import UnitSpec
from shared.runtime.clock import SOUND_RATE_HZ

LENGTHS_S = (10.0, 120.0)
NAME = "timedavatar"  # not the engine's own name: that of an installed engine would take precedence
ENGINES = {NAME: "benchmarks.engines.stableavatar:TimedStableAvatar"}
OPTIONS: dict[str, str | int] = {"steps": 3, "overlap": 2, "reference": "portrait"}
RATE_FPS = 25.0
TONE_STEP, TONE_LEVEL = 0.05, 8000  # radians a sample; of 32767
SPENT_S: defaultdict[str, float] = defaultdict(float)  # in the engine, by kind of unit
LOADS: Counter[str] = Counter()


def measure(seconds: float = LENGTHS_S[-1]) -> BenchmarkFigures:
    """Return figures for speech of ten seconds and of `seconds` or, without PyTorch, a sentence. Raises StudioError."""
    if absent := next((name for name in NEEDED if find_spec(name) is None), None):
        return {"left_out": NO_TORCH.format(absent)}
    from harness.tiny.stableavatar import make_weights
    from services.local.samples import ensure_samples

    with TemporaryDirectory(prefix="studio-bench-") as name:
        home, weights = Path(name, "home"), Path(name, "weights")
        ensure_samples(home, lambda stage, done: None)
        make_weights(weights)
        told = {
            "STUDIO_WEIGHTS": str(weights),
            "PERSONA_STUDIO_CACHE": str(Path(name, "cache")),
            "OMP_NUM_THREADS": "1",
        }
        lengths = sorted({LENGTHS_S[0], seconds})
        return {f"{length:g} s": _in_a_process(home, length, os.environ | told) for length in lengths}


def _in_a_process(home: Path, seconds: float, environment: dict[str, str]) -> BenchmarkFigures:
    words = [sys.executable, "-m", "benchmarks.engines.stableavatar", str(home), str(seconds)]
    done = subprocess.run(words, capture_output=True, text=True, encoding="utf-8", env=environment, check=False)
    if done.returncode:
        raise StudioError(f"The clip of {seconds:g} s was not made: {done.stderr.strip().splitlines()[-1:]}")
    figures: BenchmarkFigures = json.loads(done.stdout.splitlines()[-1])
    return figures


class TimedStableAvatar(StableAvatarEngine):
    """The engine, with counters for the seconds of its units and for its loads of networks."""

    info = replace(StableAvatarEngine.info, name=NAME)

    def run(self, unit: UnitSpec, clip: Clip, context: RunContext) -> None:
        began, before = time.perf_counter(), self._job.loaded.loads
        super().run(unit, clip, context)
        SPENT_S[_kind(unit.name)] += time.perf_counter() - began
        LOADS[NAME] += self._job.loaded.loads - before


def clip_figures(home: Path, seconds: float) -> BenchmarkFigures:
    """Run a job of so many seconds in this process, from submission to its file. Raises StudioError."""
    from services.renderer.job.open_job import JobOpener
    from services.renderer.job.step import UnitWorker
    from services.renderer.job.submit import JobRequest, submit_to_store
    from shared.jobs.store import LocalStore

    settings = load_settings(home=home, engines=ENGINES, fps=RATE_FPS)
    driver, store = home / f"speech-{seconds:g}.wav", LocalStore(home / f"jobs-{seconds:g}")
    _write_tone(driver, seconds)
    worker = UnitWorker(store, JobOpener(store, settings), "bench")
    request = JobRequest(home / "avatars" / "sample", driver, engine=NAME, options=OPTIONS)
    job = submit_to_store(store, request, settings).id
    took, count, peaks = defaultdict[str, float](float), Counter[str](), dict[str, float]()
    while True:
        _forget_peak()
        began = time.perf_counter()
        step = worker.advance(job)
        if not step.unit:
            break
        if step.outcome != "done":
            raise StudioError(f"Unit {step.unit} ended as {step.outcome}: {step.reason}")
        kind = _kind(step.unit)
        took[kind] += time.perf_counter() - began
        count[kind] += 1
        peaks[kind] = max(peaks.get(kind, 0.0), _peak_mb())
    beside = {kind: took[kind] - SPENT_S[kind] for kind in SPENT_S}
    return {
        "frames": round(seconds * RATE_FPS),
        "units": count.total(),
        "loads": LOADS.total(),
        "seconds": round(sum(took.values()), 1),
        "a_window_ms": round(1e3 * SPENT_S["denoise"] / count["denoise"], 1),
        "overhead_a_window_ms": round(1e3 * beside["denoise"] / count["denoise"], 1),
        "peak_mb": {kind: round(peak, 1) for kind, peak in peaks.items()},
    }


def _kind(unit: str) -> str:
    return unit.partition("-")[0]


def _forget_peak() -> None:
    """Reset the peak of resident memory."""
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


def _peak_mb() -> float:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024 / 1e6


def _write_tone(path: Path, seconds: float) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, SOUND_RATE_HZ, 0, "NONE", ""))
        for begin in range(0, int(seconds * SOUND_RATE_HZ), SOUND_RATE_HZ):
            angles = np.arange(begin, min(begin + SOUND_RATE_HZ, int(seconds * SOUND_RATE_HZ))) * TONE_STEP
            file.writeframes((np.sin(angles) * TONE_LEVEL).astype("<i2").tobytes())


if __name__ == "__main__":
    from benchmarks.engines import stableavatar  # the module whose engine the job loads and whose counters it changes

    print(json.dumps(stableavatar.clip_figures(Path(sys.argv[1]), float(sys.argv[2]))))
