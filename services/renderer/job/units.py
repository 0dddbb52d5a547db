"""What it is to do a unit: follow a segment's driver, render the segment, assemble the file."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from compositing.cutout import Cutout
from engines.api import Driving, RoiFrame
from services.renderer.encode.segment import SegmentWriter, verify_segment
from services.renderer.job.heartbeat import Heartbeat
from services.renderer.job.open_job import JobOpener, OpenJob
from services.renderer.pipeline.draw import draw_frames
from services.renderer.pipeline.driver import (
    NO_FACE,
    FaceRecord,
    recorded_ticks,
    template_driven_faces,
    tracked,
    voice_driven_faces,
    write_samples,
)
from shared.errors import StudioError
from shared.jobs.claims import Claim, Unit, made_file_name
from shared.jobs.manifest import folder
from shared.jobs.store import Store
from shared.runtime.arrays import from_bytes, pack_part, to_bytes, unpack_part

STATE, SAMPLES = ".npz", ".s16"
PREVIEW_PERIOD_FRAMES = 50  # frames between two previews
PREVIEW_WIDTH_PX = 480
UnitFacts = dict[str, Any]


def follow_unit(store: Store, opener: JobOpener, opened: OpenJob, claim: Claim, heart: Heartbeat) -> UnitFacts:
    """Track the driver through a segment and bring the engine's state to its end, without drawing."""
    if opened.manifest.plan.driven == "voice":
        return _follow_voice(store, opened, claim, heart)
    if opened.template is not None:
        return _follow_template(store, opened, claim, heart)
    index, (start, stop) = claim.unit.index, opened.manifest.plan.span(claim.unit.index)
    before = _state(store, opened, Unit("follow", index - 1))
    follower = opener.follower
    follower.restart()
    if index:
        follower.restore(unpack_part("follower", before))
    follower.join(opened.before(start))
    record = FaceRecord()
    ticks = record.noting(tracked(follower, opened.ticks(start, stop)))
    opened.run.restore(before)
    if _moves(opened):
        opened.run.session.draws = False
        for number, _ in enumerate(opened.run.motion(ticks), 1):
            heart.report_progress(number, stop - start)
    else:
        for number, tick in enumerate(ticks, 1):
            opened.run.note(tick)
            heart.report_progress(number, stop - start)
    faces = int(before.get("faces", np.array(0))) + record.faces
    if index + 1 == opened.manifest.plan.segments and not faces:
        raise StudioError(NO_FACE.format(opened.manifest.driver))
    after = pack_part("record", record.save()) | pack_part("follower", follower.save()) | {"faces": np.array(faces)}
    _keep(store, claim, STATE, to_bytes(opened.run.save() | after))
    return {"frames": stop - start, "faces": record.faces}


def _follow_voice(store: Store, opened: OpenJob, claim: Claim, heart: Heartbeat) -> UnitFacts:
    index = claim.unit.index
    if index == 0:
        scratch = store.scratch(claim.file(SAMPLES))
        heard = write_samples(opened.driver, scratch)
        store.move_in(scratch, claim.file(SAMPLES))
        samples = store.fetch(claim.file(SAMPLES))
    else:
        samples = store.fetch(made_file_name(store, claim.job, Unit("follow", 0), SAMPLES))
        heard = samples.stat().st_size // 2
    opened.run.restore(_state(store, opened, Unit("follow", index - 1)))
    if _moves(opened):
        opened.run.session.draws = False
        for number, _ in enumerate(voice_driven_faces(opened.run, opened.manifest.plan, samples, index), 1):
            heart.report_progress(number, opened.manifest.plan.segment)
    _keep(store, claim, STATE, to_bytes(opened.run.save()))
    return {"samples": heard}


def _follow_template(store: Store, opened: OpenJob, claim: Claim, heart: Heartbeat) -> UnitFacts:
    index, plan = claim.unit.index, opened.manifest.plan
    opened.run.restore(_state(store, opened, Unit("follow", index - 1)))
    if _moves(opened):
        opened.run.session.draws = False
        for number, _ in enumerate(opened.run.motion(_played(opened, index)), 1):
            heart.report_progress(number, plan.segment)
    _keep(store, claim, STATE, to_bytes(opened.run.save()))
    return {}


def _played(opened: OpenJob, index: int) -> Iterator[Driving]:
    assert opened.template is not None
    return template_driven_faces(opened.template, opened.manifest.plan.fps, *opened.manifest.plan.span(index))


def render_unit(store: Store, opener: JobOpener, opened: OpenJob, claim: Claim, heart: Heartbeat) -> UnitFacts:
    """Draw a segment and encode it."""
    plan, index = opened.manifest.plan, claim.unit.index
    start, stop = plan.span(index)
    run = opened.run
    run.session.draws = True
    source = "render" if plan.chained else "follow"
    run.restore(_state(store, opened, Unit(source, index - 1)))
    last = index + 1 == plan.segments
    scratch = store.scratch(claim.file(opened.output.suffix))
    preview = JobPreview(store, f"{folder(claim.job)}/preview.jpg")

    def told(number: int, frame: NDArray[np.uint8]) -> None:
        heart.report_progress(number, stop - start)
        preview.show(number, frame)

    try:
        plate = opened.avatar.plate
        with SegmentWriter(scratch, plate.width, plate.height, plan.fps, opened.output) as writer:
            frames, label = _frames(store, opened, claim, last), opened.output.label
            cutout = Cutout(opened.avatar) if opened.output.alpha else None
            count = draw_frames(frames, opened.composer, writer, label, told, cutout)
        verify_segment(scratch, count)
        digest = file_sha256(scratch)
        size = scratch.stat().st_size
        store.move_in(scratch, claim.file(opened.output.suffix))
    finally:
        scratch.unlink(missing_ok=True)
    if plan.chained and not last:
        _keep(store, claim, STATE, to_bytes(run.save()))
    return {"frames": count, "sha256": digest, "bytes": size}


def _frames(store: Store, opened: OpenJob, claim: Claim, last: bool) -> Iterator[RoiFrame | int]:
    plan, index = opened.manifest.plan, claim.unit.index
    if plan.driven == "voice":
        samples = store.fetch(made_file_name(store, claim.job, Unit("follow", 0), SAMPLES))
        yield from voice_driven_faces(opened.run, plan, samples, index)
        return
    if plan.driven == "template":
        ticks = _played(opened, index)
    else:
        faces = from_bytes(_read(store, made_file_name(store, claim.job, Unit("follow", index), STATE)))
        frames = opened.ticks(*plan.span(index)) if opened.info.needs_image else None
        ticks = recorded_ticks(unpack_part("record", faces), frames)
    yield from opened.run.motion(ticks)
    if last:
        yield from opened.run.flush()


class JobPreview:
    """A small frame of what was made last, for those who watch."""

    def __init__(self, store: Store, name: str) -> None:
        self._store, self._name = store, name

    def show(self, number: int, frame: NDArray[np.uint8]) -> None:
        """frame: I420. Kept once in a while."""
        if number % PREVIEW_PERIOD_FRAMES != 1:
            return
        self._store.write(self._name, jpeg(frame))


def jpeg(frame: NDArray[np.uint8]) -> bytes:
    """An I420 frame as a JPEG of PREVIEW_WIDTH_PX."""
    import cv2

    rgb = cv2.cvtColor(frame, cv2.COLOR_YUV2RGB_I420)
    scale = min(1.0, PREVIEW_WIDTH_PX / rgb.shape[1])
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(small), quality=80))


def file_sha256(path: Path) -> str:
    """Of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _moves(opened: OpenJob) -> bool:
    """Whether following brings the engine's state along."""
    return opened.info.depends_on == "motion" and not opened.manifest.plan.chained


def _state(store: Store, opened: OpenJob, unit: Unit) -> dict[str, NDArray[np.generic]]:
    """What a unit left for the next of its kind; before the first, the engine as it was opened."""
    if unit.index < 0:
        return opened.pristine
    return opened.pristine | from_bytes(_read(store, made_file_name(store, opened.manifest.id, unit, STATE)))


def _keep(store: Store, claim: Claim, suffix: str, content: bytes) -> None:
    store.write(claim.file(suffix), content)


def _read(store: Store, name: str) -> bytes:
    content = store.read(name)
    if content is None:
        raise StudioError(f"{name} is missing in the jobs folder; submit the job again.")
    return content
