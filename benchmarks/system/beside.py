"""Pace of a live channel's program, alone and while jobs are rendered on the same machine.

`python -m benchmarks.system.beside [--json]`
"""

import json
import statistics
import sys
import time
from itertools import pairwise
from typing import Any

from harness.channel import Studio, sample_channel, wait_for
from services.local.render_farm import start_farm
from services.renderer.job.submit import JobRequest, submit_to_store
from shared.config.settings import load_settings
from shared.jobs.queue import JobQueue
from shared.jobs.status import set_wanted_state, status
from shared.jobs.store import open_store

RUN_S = 20.0


def measure(seconds: float = RUN_S) -> dict[str, Any]:
    """Measure the program and its faces, `alone` and `beside` a render.

    Returns the render's frames a second beside the channel, too.
    """
    with sample_channel() as (run, _):
        settings = load_settings(home=run.home)
        store, sender = open_store(settings.jobs_url), JobQueue(settings)
        farm = start_farm(settings, detached=True)
        wait_for(lambda: sender.client() is not None, 30, "the studio's own Redis")
        time.sleep(5.0)
        alone = watched(run, seconds)
        driver = run.home / "drivers" / "sample.mp4"
        jobs = [
            submit_to_store(store, JobRequest(run.home / "avatars" / "sample-video", driver, key=f"{n}"), settings)
            for n in range(9)
        ]
        for job in jobs:
            sender.wake(job.id, job.engine, job.priority)
        wait_for(lambda: any(status(store, job.id).fps for job in jobs), 60, "the render")
        begin, before = time.monotonic(), rendered(store, jobs)
        beside = watched(run, seconds)
        speed = (rendered(store, jobs) - before) / (time.monotonic() - begin)
        for job in jobs:
            if status(store, job.id).state != "done":
                set_wanted_state(store, job.id, "cancelled")
        sender.close()
        if farm:
            farm.terminate()
            farm.wait()
    return {"alone": alone, "beside": beside, "render_frames_per_s": round(speed, 1)}


def rendered(store: Any, jobs: list[Any]) -> int:
    """Number of frames rendered, over all jobs."""
    return sum(status(store, job.id).done for job in jobs)


def watched(run: Studio, seconds: float) -> dict[str, float]:
    """Measure the rates of the program and of new faces, and the program's gaps."""
    reader, face = run.read("program"), run.read("face")
    arrived: list[float] = []
    faces = 0
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if reader.socket.poll(10):
            arrived += [time.monotonic() for _ in reader.read()]
        faces += len(list(face.read()))
    gaps = [(b - a) * 1e3 for a, b in pairwise(arrived)]
    return {
        "program_per_s": round(len(arrived) / seconds, 2),
        "faces_per_s": round(faces / seconds, 2),
        "gap_p99_ms": round(statistics.quantiles(gaps, n=100)[98], 1),
        "gap_max_ms": round(max(gaps), 1),
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=None if "--json" in sys.argv else 2))
