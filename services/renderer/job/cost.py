"""Estimated cost of a job before it is submitted.

`python -m services.renderer.job.cost` reads a request as JSON on standard input, as `services.renderer.job.submit`
does, and prints {frames, units, seconds, memory, disk, lines} or {"error"}. A driver that does not exist yet is
replaced by its length, `seconds`.
"""

import json
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from engines.clip import ClipEngine, Estimate
from engines.guarded import engine_faults
from engines.registry import canonical_name, load
from services.renderer.job.plan import declared_units, planned, planned_clip
from services.renderer.job.submit import JobRequest, request_of, runs_here
from shared.avatar.model import load_avatar
from shared.config.settings import Settings, load_settings
from shared.errors import StudioError

HOUR_S, MINUTE_S = 3600, 60
SILENCE_RATE_HZ, WAV_HEADER_BYTES = 8000, 44


@dataclass(frozen=True, slots=True)
class JobCost:
    """Size and cost of a job.

    frames: number of frames of the result. units: number of units, for a frame engine of segments. estimate: None if
    the engine cannot tell, as with all frame engines.
    """

    frames: int
    units: int
    estimate: Estimate | None


def job_cost(request: JobRequest, settings: Settings) -> JobCost:
    """Return the cost of a request without submitting it. Raises StudioError for a request that cannot be rendered."""
    engine = load(canonical_name(request.engine, settings.engines), settings.engines)
    runs_here(engine, settings)
    avatar, options = load_avatar(request.avatar), engine.options(request.options)
    plan = planned(request.driver, engine, request.output.fps, settings.rate, settings.segment_seconds).plan
    clip = planned_clip(avatar, request.driver, plan, request.output, options)
    units = declared_units(engine, clip, request.output)
    if not isinstance(engine, ClipEngine):
        return JobCost(plan.ticks, -(-plan.ticks // plan.segment), None)
    with engine_faults(engine.info.title):
        return JobCost(plan.ticks, len(units), engine.estimate(clip))


def cost_lines(cost: JobCost) -> list[str]:
    """Return the lines that `--dry-run` prints and the console shows, one fact per line."""
    lines = [f"{cost.frames} frames, {cost.units} units"]
    if (estimate := cost.estimate) is None:
        return [*lines, "The engine gives no estimate of time, memory and disk."]
    work = f"{estimate.work:,.1f} {estimate.unit}"
    if estimate.seconds is None:
        lines.append(f"time: {work}; unknown until a job on this machine has measured it")
    else:
        lines.append(
            f"time: about {_duration(estimate.seconds)} on one device ({work} at {estimate.rate:.1f} a second, "
            "measured here)"
        )
    lines.append(f"device memory: about {estimate.memory / 1e9:.1f} GB")
    lines.append(f"disk space while it runs: {estimate.disk / 1e9:.2f} GB")
    return lines


def _duration(seconds: float) -> str:
    if seconds < 2 * MINUTE_S:
        return f"{seconds:.0f} s"
    return f"{seconds / MINUTE_S:.0f} min" if seconds < 2 * HOUR_S else f"{seconds / HOUR_S:.1f} h"


def cost_answer(cost: JobCost) -> dict[str, Any]:
    """Return the cost as a JSON object; unknown values are None."""
    estimate = cost.estimate
    return {
        "frames": cost.frames,
        "units": cost.units,
        "seconds": estimate and estimate.seconds,
        "memory": estimate and estimate.memory,
        "disk": estimate and estimate.disk,
        "lines": cost_lines(cost),
    }


def write_silence(path: Path, seconds: float) -> None:
    """Write a silent WAV of this length as a sparse file, so that even hours of it take no space on the disk."""
    size = 2 * max(1, round(seconds * SILENCE_RATE_HZ))
    form = (b"fmt ", 16, 1, 1, SILENCE_RATE_HZ, 2 * SILENCE_RATE_HZ, 2, 16)  # PCM, mono, 16 bits
    with path.open("wb") as file:
        file.write(struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + size, b"WAVE", *form, b"data", size))
        file.truncate(WAV_HEADER_BYTES + size)


def main() -> int:
    """Serve one request: read it from standard input and print the cost; returns the exit code."""
    try:
        asked: dict[str, Any] = json.load(sys.stdin)
        with TemporaryDirectory() as folder:
            if "seconds" in asked:
                asked["driver"] = str(Path(folder, "speech.wav"))
                write_silence(Path(asked["driver"]), asked["seconds"])
            answer = cost_answer(job_cost(request_of(asked), load_settings()))
    except StudioError as error:
        print(json.dumps({"error": str(error)}))
        return 1
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
