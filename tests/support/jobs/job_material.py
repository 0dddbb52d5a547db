"""Jobs in every state, made in the store as workers would leave them."""

import datetime
import io
import json

import numpy as np
from PIL import Image

from shared.jobs import claims
from shared.jobs.graph import UnitSpec, follow_name, render_name
from shared.jobs.manifest import Manifest, Plan, folder
from shared.jobs.store import Store

SEGMENT = 250


def job(
    store: Store, number: int, *, segments: int = 8, driver: str = "interview.mp4", priority: str = "normal",
    engine: str = "mesh", units: tuple[UnitSpec, ...] = (),
) -> str:  # fmt: skip
    """Create a job that has not begun; higher numbers are created later. units: the units of a clip engine's job."""
    made = datetime.datetime(2026, 5, 4, 12, tzinfo=datetime.UTC) + datetime.timedelta(seconds=number)
    name = f"{made:%Y%m%d-%H%M%S}-{number:06x}"
    plan = Plan(driven="motion", rate="25", ticks=segments * SEGMENT, segment=SEGMENT, chained=False)
    manifest = Manifest(
        id=name, key="", created=made.isoformat(), priority=priority, avatar="sample", avatar_files="avatars/0.zip",
        engine=engine, driver=driver, driver_file="drivers/0.mp4", driver_sha256="0", heard=True, out="",
        output={}, idle_after=0.5, plan=plan, units=units, versions={},
    )  # fmt: skip
    store.create(f"{folder(name)}/job.json", manifest.model_dump_json().encode())
    return name


WINDOWS = (UnitSpec("encode"), UnitSpec("step-1-window-1", ("encode",)),
    UnitSpec("step-1-window-2", ("encode",), title="window 2 of 2 in step 1 of 1"),
           UnitSpec("decode", ("step-1-window-1", "step-1-window-2")))  # fmt: skip


def begin_windows(store: Store, name: str) -> None:
    """Finish the first of the units WINDOWS, and begin the next two."""
    finish(store, name, WINDOWS[0].name)
    for number in (1, 2):
        held = claim(store, name, f"step-1-window-{number}")
        claims.write_beat(store, held, 1, "box-1", {"done": 3 * number, "total": 10, "fps": 0.5})
    frame(store, name)


def begin(store: Store, name: str, done: int, at_work: int = 0) -> None:
    """Finish the first `done` segments, and begin the next `at_work`."""
    for index in range(done + at_work):
        finish(store, name, follow_name(index))
    for index in range(done):
        finish(store, name, render_name(index))
    for index in range(done, done + at_work):
        held = claim(store, name, render_name(index))
        claims.write_beat(store, held, 1, "box-1", {"done": 100 + 10 * index, "total": SEGMENT, "fps": 23.4})
    frame(store, name)


def fail(store: Store, name: str, index: int, reason: str, times: int = claims.ATTEMPTS) -> None:
    """Let a segment fail, `times` times."""
    finish(store, name, follow_name(index))
    for _ in range(times):
        claims.record_failure(store, claim(store, name, render_name(index)), reason, "failed")


def complete(store: Store, name: str, content: bytes = b"film" * 1000) -> None:
    """Write the job's result."""
    frame(store, name)
    store.write(f"{folder(name)}/result.mp4", content)
    facts = {"file": "result.mp4", "bytes": len(content), "ticks": 8 * SEGMENT}
    store.create(f"{folder(name)}/result.json", json.dumps(facts).encode())


def claim(store: Store, name: str, unit: str) -> claims.Claim:
    """Make the next claim of a unit."""
    held = claims.claim_unit(store, name, unit, claims.read_unit_state(store, name, unit), "box-1")
    assert held
    return held


def finish(store: Store, name: str, unit: str) -> None:
    """Claim a unit and publish it as done."""
    assert claims.publish_unit(store, claim(store, name, unit), {"frames": SEGMENT})


def frame(store: Store, name: str, tint: int = 90) -> None:
    """Write a preview image of the job."""
    y, x = np.mgrid[0:320, 0:180]
    rgb = np.stack([x % 256, (y * 200 // 320 + tint) % 256, np.full_like(x, tint)], axis=2).astype(np.uint8)
    to = io.BytesIO()
    Image.fromarray(rgb).save(to, "JPEG")
    store.write(f"{folder(name)}/preview.jpg", to.getvalue())
