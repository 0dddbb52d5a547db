"""How a job stands: read from its folder, and what an operator may wish of it."""

import json
from typing import Any, Literal, cast

from shared.errors import StudioError
from shared.jobs import claims
from shared.jobs.claims import ASSEMBLE, Unit, read_json
from shared.jobs.manifest import Manifest, folder, read_job_manifest
from shared.jobs.store import Store
from shared.jobs.view import JobState, JobView, SegmentStatus

WantedState = Literal["run", "paused", "cancelled"]


def jobs(store: Store) -> list[str]:
    """Every job's id, oldest first."""
    return store.list("jobs")


def read_wanted_state(store: Store, job: str) -> WantedState:
    """What the operator wishes of a job."""
    value = read_json(store, f"{folder(job)}/wish.json").get("wanted", "run")
    return cast(WantedState, value) if value in ("run", "paused", "cancelled") else "run"


def set_wanted_state(store: Store, job: str, want: WantedState) -> None:
    """Say what is wished of a job. Raises StudioError for one that has ended, or does not exist."""
    read_job_manifest(store, job)
    if result(store, job):
        raise StudioError(f"Job {job} is done already.")
    if read_wanted_state(store, job) == "cancelled" and want != "cancelled":
        raise StudioError(f"Job {job} is cancelled; submit it again.")
    store.write(f"{folder(job)}/wish.json", json.dumps({"wanted": want}).encode())


def retry_parked(store: Store, job: str) -> None:
    """Try again the segments that were parked, and those alone. Raises StudioError where there is nothing to try."""
    manifest = read_job_manifest(store, job)
    if result(store, job):
        raise StudioError(f"Job {job} is done already.")
    if read_wanted_state(store, job) == "cancelled":
        raise StudioError(f"Job {job} is cancelled; submit it again.")
    stuck = [unit for unit in claims.units(manifest.plan) if _stuck(claims.read_unit_state(store, job, unit))]
    if not stuck and parked(store, job) is None:
        raise StudioError(f"Nothing of job {job} has failed.")
    for unit in stuck:
        claims.forget_failures(store, job, unit)
    unpark(store, job)


def delete_job(store: Store, job: str) -> None:
    """Delete a job with all it made. Raises StudioError for one that is still at work."""
    read_job_manifest(store, job)
    if not result(store, job) and read_wanted_state(store, job) != "cancelled":
        raise StudioError(f"Job {job} is not finished; cancel it first.")
    # The manifest goes first: what is left of a removal that was cut short is not a job any more.
    store.remove(f"{folder(job)}/job.json")
    store.remove(folder(job))


def park(store: Store, job: str, reason: str, kind: str) -> None:
    """The whole job waits."""
    store.write(f"{folder(job)}/parked.json", json.dumps({"reason": reason, "kind": kind}).encode())


def unpark(store: Store, job: str) -> None:
    """The job goes on."""
    store.remove(f"{folder(job)}/parked.json")


def parked(store: Store, job: str) -> tuple[str, str] | None:
    """Reason and kind, None where the job does not wait."""
    facts = read_json(store, f"{folder(job)}/parked.json")
    return (str(facts.get("reason", "")), str(facts.get("kind", ""))) if facts else None


def result(store: Store, job: str) -> dict[str, Any]:
    """The sidecar of a finished job, empty before."""
    return read_json(store, f"{folder(job)}/result.json")


def status(store: Store, job: str) -> JobView:
    """How a job stands. Raises StudioError where there is none."""
    manifest = read_job_manifest(store, job)
    finished = result(store, job)
    if finished:
        return _made(manifest, "done", (), done=int(finished["ticks"]), finished=finished, preview=True)
    want, waits = read_wanted_state(store, job), parked(store, job)
    segments, fps, kind = _segments(store, manifest)
    done = sum(segment.done for segment in segments)
    preview = "preview.jpg" in store.list(folder(job))
    stuck = next((segment for segment in segments if segment.state == "parked"), None)
    last = claims.read_unit_state(store, job, Unit(ASSEMBLE))
    state: JobState = "queued"
    reason = ""
    if want != "run":
        state = want
    elif waits:
        state, (reason, kind) = "parked", waits
    elif last.parked:
        state, reason = "parked", _reason(store, job, Unit(ASSEMBLE))
        kind = "failed"
    elif stuck and not fps:
        state, reason = "parked", f"Segment {stuck.number + 1}: {stuck.reason}"
    elif last.open:
        state = "assembling"
    elif store.list(f"{folder(job)}/units"):
        state = "rendering"
    rate = fps if state == "rendering" else 0.0
    return _made(
        manifest,
        state,
        segments,
        done=done,
        fps=rate,
        reason=reason,
        kind=kind if state == "parked" else "",
        preview=preview,
    )


def _made(
    manifest: Manifest,
    state: JobState,
    segments: tuple[SegmentStatus, ...],
    *,
    done: int,
    fps: float = 0.0,
    reason: str = "",
    kind: str = "",
    preview: bool = False,
    finished: dict[str, Any] | None = None,
) -> JobView:
    return JobView(
        id=manifest.id,
        state=state,
        reason=reason,
        kind=kind,
        avatar=manifest.avatar,
        engine=manifest.engine,
        driver=manifest.driver,
        priority=manifest.priority,
        created=manifest.created,
        ticks=max(manifest.plan.ticks, done),
        done=done,
        fps=fps,
        eta=max(0.0, manifest.plan.ticks - done) / fps if fps else None,
        segments=segments,
        preview=preview,
        result=str(finished["file"]) if finished else "",
        bytes=int(finished["bytes"]) if finished else 0,
    )


def _segments(store: Store, manifest: Manifest) -> tuple[tuple[SegmentStatus, ...], float, str]:
    """The segments, the frames a second of those at work, the kind of the first that is parked."""
    found, rate, kind = [], 0.0, ""
    there = set(store.list(f"{folder(manifest.id)}/units"))
    for index in range(manifest.plan.segments):
        render, follow = Unit("render", index), Unit("follow", index)
        segment, fps, why = _segment(store, manifest, render, follow, there)
        found.append(segment)
        rate += fps
        kind = kind or why
    return tuple(found), rate, kind


def _segment(
    store: Store, manifest: Manifest, render: Unit, follow: Unit, there: set[str]
) -> tuple[SegmentStatus, float, str]:
    start, stop = manifest.plan.span(render.index)
    job, ticks = manifest.id, stop - start
    if follow.name not in there:
        return SegmentStatus(render.index, "waiting", 0, ticks, 0, ""), 0.0, ""
    state = (
        claims.read_unit_state(store, job, render)
        if render.name in there
        else claims.UnitState(0, False, 0, 0, False, False)
    )
    if state.done:
        return SegmentStatus(render.index, "done", state.claim, ticks, ticks, ""), 0.0, ""
    before = claims.read_unit_state(store, job, follow)
    for unit, each in ((render, state), (follow, before)):
        if each.parked:
            why = claims.failures(store, job, unit)
            reason = _reason(store, job, unit)
            return (
                SegmentStatus(render.index, "parked", each.claim, ticks, 0, reason),
                0.0,
                str(why[-1].get("kind", "failed") if why else "failed"),
            )
    reason = _reason(store, job, render) if state.failures else ""
    if state.open:
        facts = claims.read_beat(store, job, render, state.claim)
        done, fps = min(ticks, int(facts.get("done", 0))), float(facts.get("fps", 0.0))
        return SegmentStatus(render.index, "rendering", state.claim, ticks, done, reason), fps, ""
    word: Literal["following", "waiting"] = "following" if before.open and not before.done else "waiting"
    return SegmentStatus(render.index, word, state.claim, ticks, 0, reason), 0.0, ""


def _stuck(state: claims.UnitState) -> bool:
    return state.parked and not state.done


def _reason(store: Store, job: str, unit: Unit) -> str:
    failed = claims.failures(store, job, unit)
    if failed:
        return str(failed[-1].get("reason", ""))
    return "The worker died each time it was at this; its log may say why."
