"""The units of a frame engine's segment: `follow_unit` tracks its driver, `render_unit` draws and encodes it."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compositing.cutout import Cutout
from engines.api import Driving, RoiFrame
from services.renderer.encode.segment import SegmentWriter, verify_segment
from services.renderer.job.heartbeat import Heartbeat
from services.renderer.job.open_job import JobOpener, OpenFrames
from services.renderer.job.preview import JobPreview
from services.renderer.pipeline.calmest import calmest_face
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
from shared.jobs.claims import Claim, made_file_name
from shared.jobs.graph import follow_name, render_name
from shared.jobs.store import Store
from shared.runtime.arrays import from_bytes, pack_part, to_bytes, unpack_part
from shared.runtime.files import file_sha256

STATE, SAMPLES = ".npz", ".s16"
UnitFacts = dict[str, Any]


def follow_unit(
    store: Store, opener: JobOpener, opened: OpenFrames, claim: Claim, index: int, heart: Heartbeat
) -> UnitFacts:
    """Track the driver through a segment and advance the engine's state to the segment's end, without drawing.

    Returns the unit's facts. Raises StudioError if the last segment is reached without any face in the driver.
    """
    if opened.manifest.plan.driven == "voice":
        return _follow_voice(store, opened, claim, index, heart)
    if opened.template is not None:
        return _follow_template(store, opened, claim, index, heart)
    start, stop = opened.manifest.plan.span(index)
    before = _state(store, opened, follow_name, index - 1)
    follower = opener.follower
    follower.restart()
    if index:
        follower.restore(unpack_part("follower", before))
    elif (calm := calmest_face(opened.ticks, opened.manifest.plan.ticks)) is not None:
        follower.choose_neutral(calm)
    follower.join(opened.before(start))
    record, lost = FaceRecord(), list[int]()
    ticks = record.noting(tracked(follower, opened.ticks(start, stop, lost)))
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
    return {"frames": stop - start, "faces": record.faces, "lost": len(lost)}


def _follow_voice(store: Store, opened: OpenFrames, claim: Claim, index: int, heart: Heartbeat) -> UnitFacts:
    if index == 0:
        scratch = store.scratch(claim.file(SAMPLES))
        heard = write_samples(opened.driver, scratch)
        store.move_in(scratch, claim.file(SAMPLES))
        samples = store.fetch(claim.file(SAMPLES))
    else:
        samples = store.fetch(made_file_name(store, claim.job, follow_name(0), SAMPLES))
        heard = samples.stat().st_size // 2
    opened.run.restore(_state(store, opened, follow_name, index - 1))
    if _moves(opened):
        opened.run.session.draws = False
        for number, _ in enumerate(voice_driven_faces(opened.run, opened.manifest.plan, samples, index), 1):
            heart.report_progress(number, opened.manifest.plan.segment)
    _keep(store, claim, STATE, to_bytes(opened.run.save()))
    return {"samples": heard}


def _follow_template(store: Store, opened: OpenFrames, claim: Claim, index: int, heart: Heartbeat) -> UnitFacts:
    plan = opened.manifest.plan
    opened.run.restore(_state(store, opened, follow_name, index - 1))
    if _moves(opened):
        opened.run.session.draws = False
        for number, _ in enumerate(opened.run.motion(_played(opened, index)), 1):
            heart.report_progress(number, plan.segment)
    _keep(store, claim, STATE, to_bytes(opened.run.save()))
    return {}


def _played(opened: OpenFrames, index: int) -> Iterator[Driving]:
    assert opened.template is not None
    return template_driven_faces(opened.template, opened.manifest.plan.fps, *opened.manifest.plan.span(index))


def render_unit(
    store: Store, opener: JobOpener, opened: OpenFrames, claim: Claim, index: int, heart: Heartbeat
) -> UnitFacts:
    """Draw a segment and encode it; returns the unit's facts."""
    plan = opened.manifest.plan
    start, stop = plan.span(index)
    run = opened.run
    run.session.draws = True
    run.restore(_state(store, opened, render_name if plan.chained else follow_name, index - 1))
    last = index + 1 == plan.segments
    scratch = store.scratch(claim.file(opened.output.suffix))
    preview = JobPreview(store, claim.job)

    def told(number: int, frame: NDArray[np.uint8]) -> None:
        heart.report_progress(number, stop - start)
        preview.show(number, frame)

    try:
        plate = opened.avatar.plate
        with SegmentWriter(scratch, plate.width, plate.height, plan.fps, opened.output) as writer:
            frames, label = _frames(store, opened, index), opened.output.label
            cutout = Cutout(opened.avatar) if opened.output.alpha else None
            captions = opened.burnt_captions((plate.width, plate.height), start)
            count = draw_frames(frames, opened.composer, writer, label, told, cutout, captions)
        verify_segment(scratch, count)
        digest = file_sha256(scratch)
        size = scratch.stat().st_size
        store.move_in(scratch, claim.file(opened.output.suffix))
    finally:
        scratch.unlink(missing_ok=True)
    if plan.chained and not last:
        _keep(store, claim, STATE, to_bytes(run.save()))
    return {"frames": count, "sha256": digest, "bytes": size}


def _frames(store: Store, opened: OpenFrames, index: int) -> Iterator[RoiFrame | int]:
    plan, job = opened.manifest.plan, opened.manifest.id
    if plan.driven == "voice":
        samples = store.fetch(made_file_name(store, job, follow_name(0), SAMPLES))
        yield from voice_driven_faces(opened.run, plan, samples, index)
        return
    if plan.driven == "template":
        ticks = _played(opened, index)
    else:
        faces = from_bytes(_read(store, made_file_name(store, job, follow_name(index), STATE)))
        frames = opened.ticks(*plan.span(index)) if opened.info.needs_image else None
        ticks = recorded_ticks(unpack_part("record", faces), frames)
    yield from opened.run.motion(ticks)
    if index + 1 == plan.segments:
        yield from opened.run.flush()


def _moves(opened: OpenFrames) -> bool:
    """Whether the follow units advance the engine's state, so that segments can be drawn in any order."""
    return opened.info.depends_on == "motion" and not opened.manifest.plan.chained


def _state(
    store: Store, opened: OpenFrames, name_of: Callable[[int], str], index: int
) -> dict[str, NDArray[np.generic]]:
    """Return the state that unit `index` left for the next unit of its kind; for index -1 that of the opened engine."""
    if index < 0:
        return opened.pristine
    name = made_file_name(store, opened.manifest.id, name_of(index), STATE)
    return opened.pristine | from_bytes(_read(store, name))


def _keep(store: Store, claim: Claim, suffix: str, content: bytes) -> None:
    store.write(claim.file(suffix), content)


def _read(store: Store, name: str) -> bytes:
    content = store.read(name)
    if content is None:
        raise StudioError(f"{name} is missing in the jobs folder; submit the job again.")
    return content
