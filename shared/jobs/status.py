"""State of a job: read from its folder, and changed for an operator."""

import json
from datetime import UTC, datetime
from typing import Any, Literal

from shared.errors import StudioError
from shared.jobs import claims
from shared.jobs.claims import UnitState
from shared.jobs.graph import ASSEMBLE, follow_name
from shared.jobs.manifest import ID, DamagedJobError, Manifest, folder, read_job_manifest
from shared.jobs.progress import UNBEGUN, JobProgress, UnitProgress, read_progress
from shared.jobs.records import FailureRecord, ResultRecord, WishRecord, read_record
from shared.jobs.store import Store
from shared.jobs.view import UNKNOWN_CREATED, JobState, JobView, SegmentState, SegmentStatus

WantedState = Literal["run", "paused", "cancelled"]


def jobs(store: Store) -> list[str]:
    """Return the ids of all jobs, sorted, which is the order of submission; other names are ignored."""
    return [name for name in store.list("jobs") if ID.fullmatch(name)]


def read_wanted_state(store: Store, job: str) -> WantedState:
    """Return the operator's wish for a job."""
    return (read_record(store, f"{folder(job)}/wish.json", WishRecord) or WishRecord()).wanted


def set_wanted_state(store: Store, job: str, want: WantedState) -> None:
    """Set the operator's wish for a job. Raises StudioError for a job that has ended or does not exist."""
    read_job_manifest(store, job)
    if result(store, job):
        raise StudioError(f"Job {job} is done already.")
    if read_wanted_state(store, job) == "cancelled" and want != "cancelled":
        raise StudioError(f"Job {job} is cancelled; submit it again.")
    store.write(f"{folder(job)}/wish.json", json.dumps({"wanted": want}).encode())


def retry_parked(store: Store, job: str) -> None:
    """Make a job's parked or damaged units available again. Raises StudioError if there are none."""
    manifest = read_job_manifest(store, job)
    if result(store, job):
        raise StudioError(f"Job {job} is done already.")
    if read_wanted_state(store, job) == "cancelled":
        raise StudioError(f"Job {job} is cancelled; submit it again.")
    damaged = [unit for unit in manifest.graph if claims.is_done_damaged(store, job, unit)]
    stuck = [unit for unit in manifest.graph if _stuck(claims.read_unit_state(store, job, unit))]
    if not stuck and not damaged and parked(store, job) is None:
        raise StudioError(f"Job {job} has no failed units.")
    for unit in damaged:
        claims.forget_done(store, job, unit)
    for unit in stuck:
        claims.forget_failures(store, job, unit)
    unpark(store, job)


def delete_job(store: Store, job: str) -> None:
    """Delete a job with all of its files. Raises StudioError for a job that is neither done nor cancelled."""
    try:
        read_job_manifest(store, job)
        if not result(store, job) and read_wanted_state(store, job) != "cancelled":
            raise StudioError(f"Job {job} is not finished; cancel it first.")
    except DamagedJobError:
        pass  # no worker can work on it
    # The manifest first: if the removal is interrupted, the rest no longer counts as a job.
    store.remove(f"{folder(job)}/job.json")
    store.remove(folder(job))


def park(store: Store, job: str, reason: str, kind: str) -> None:
    """Park the whole job."""
    store.write(f"{folder(job)}/parked.json", json.dumps({"reason": reason, "kind": kind}).encode())


def unpark(store: Store, job: str) -> None:
    """Let a parked job continue."""
    store.remove(f"{folder(job)}/parked.json")


def parked(store: Store, job: str) -> tuple[str, str] | None:
    """Return reason and kind of a parked job, None if it is not parked."""
    name = f"{folder(job)}/parked.json"
    facts = read_record(store, name, FailureRecord)
    if facts is None and store.read(name) is not None:
        facts = FailureRecord(reason="The reason why it waits can no longer be read.", kind="failed")
    return (facts.reason, facts.kind) if facts else None


def result(store: Store, job: str) -> ResultRecord | None:
    """Return the sidecar of a finished job; None if the job is not finished or the sidecar is damaged."""
    return read_record(store, f"{folder(job)}/result.json", ResultRecord)


def status(store: Store, job: str) -> JobView:
    """Return the view of a job; a damaged job counts as parked. Raises StudioError if there is no such job."""
    try:
        manifest = read_job_manifest(store, job)
    except DamagedJobError as damage:
        return _damaged(job, str(damage))
    finished = result(store, job)
    if finished:
        return _ended(manifest, finished)
    want, waits = read_wanted_state(store, job), parked(store, job)
    progress = read_progress(store, manifest)
    segments = tuple(_segment(store, manifest, progress, number) for number in range(len(manifest.graph.shown)))
    stuck = next((segment for segment in segments if segment.state == "parked"), None)
    state: JobState = "queued"
    reason = kind = ""
    if want != "run":
        state = want
    elif waits:
        state, (reason, kind) = "parked", waits
    elif progress[ASSEMBLE].state.parked:
        state, (reason, kind) = "parked", _failure(store, job, ASSEMBLE)
    elif stuck and not progress.at_work:
        state, reason = "parked", f"{stuck.title}: {stuck.reason}"
        kind = _failure(store, job, _stuck_unit(manifest, progress, stuck.number))[1]
    elif progress[ASSEMBLE].at_work:
        state = "assembling"
    elif progress.units:
        state = "rendering"
    return _view(store, manifest, state, reason, kind, progress, segments)


def _damaged(job: str, reason: str) -> JobView:
    return JobView(
        id=job, avatar="", engine="", driver="", priority="normal", created=_created(job), state="parked",
        reason=reason,
        kind="damaged", ticks=0, done=0, share=0.0, fps=0.0, eta=None, segments=(), preview=False, result="", bytes=0,
    )  # fmt: skip


def _created(job: str) -> str:
    """A job's time of submission, by its id; UNKNOWN_CREATED for an id that does not contain it."""
    try:
        return datetime.strptime(job[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC).isoformat(timespec="seconds")
    except ValueError:
        return UNKNOWN_CREATED


def _ended(manifest: Manifest, finished: ResultRecord) -> JobView:
    done = finished.ticks
    return JobView(
        **_facts(manifest), state="done", reason="", kind="", ticks=max(manifest.plan.ticks, done), done=done,
        share=1.0,
        fps=0.0, eta=None, segments=(), preview=True, result=finished.file, bytes=finished.bytes,
        captions=finished.captions,
        notes=tuple(finished.notes),
    )  # fmt: skip


def _view(
    store: Store,
    manifest: Manifest,
    state: JobState,
    reason: str,
    kind: str,
    progress: JobProgress,
    segments: tuple[SegmentStatus, ...],
) -> JobView:
    ticks, rate = manifest.plan.ticks, progress.share_rate if state == "rendering" else 0.0
    if manifest.units:  # a clip engine's steps are not frames; frames exist only once the clip is written
        done, fps = progress[ASSEMBLE].done, 0.0
    else:
        drawn = [progress[name] for name in manifest.graph.shown]
        done, fps = sum(segment.done for segment in segments), sum(unit.rate for unit in drawn if unit.at_work)
    return JobView(
        **_facts(manifest), state=state, reason=reason, kind=kind, ticks=max(ticks, done), done=done,
        share=progress.share,
        fps=fps if rate else 0.0, eta=(1.0 - progress.share) / rate if rate else None, segments=segments,
        preview="preview.jpg" in store.list(folder(manifest.id)), result="", bytes=0, notes=manifest.notes,
    )  # fmt: skip


def _facts(manifest: Manifest) -> dict[str, Any]:
    """The fields of a view that come from the manifest."""
    names = ("id", "avatar", "engine", "driver", "priority", "created")
    return {name: getattr(manifest, name) for name in names}


def _segment(store: Store, manifest: Manifest, progress: JobProgress, number: int) -> SegmentStatus:
    """Status of a segment of a frame engine's job, or of a unit of a clip engine's."""
    name = manifest.graph.shown[number]
    titled = manifest.graph.units[name].title
    unit, before = progress[name], UnitProgress()
    if manifest.units and (unit is UNBEGUN or unit.settled):  # nearly all units of a long clip
        return SegmentStatus(number, "done" if unit.settled else "waiting", unit.state.claim, 0, 0, "", name, titled)
    if manifest.units:
        called, ticks, done = name, unit.total, unit.done
    else:
        start, stop = manifest.plan.span(number)
        called, ticks, before = "", stop - start, progress[follow_name(number)]
        done = ticks if unit.state.done else min(ticks, unit.done)
    stuck = _stuck_unit(manifest, progress, number)
    state: SegmentState = "waiting"
    if unit.state.done:
        state = "done"
    elif stuck:
        state, done = "parked", 0
    elif unit.at_work:
        state = "rendering"
    elif before.at_work:
        state = "following"
    failed = stuck or (name if unit.state.failures and not unit.state.done else "")
    reason = _failure(store, manifest.id, failed)[0] if failed else ""
    attempts = progress[stuck or name].state.claim
    return SegmentStatus(number, state, attempts, ticks, done, reason, called, titled)


def _stuck_unit(manifest: Manifest, progress: JobProgress, number: int) -> str:
    """The name of the parked unit that blocks a segment, "" if none does."""
    names = [manifest.graph.shown[number], *(() if manifest.units else (follow_name(number),))]
    return next((name for name in names if _stuck(progress[name].state)), "")


def _stuck(state: UnitState) -> bool:
    return state.parked and not state.done


def _failure(store: Store, job: str, unit: str) -> tuple[str, str]:
    """Reason and kind of a unit's last failure."""
    failed = claims.failures(store, job, unit)
    if failed:
        return failed[-1].reason, failed[-1].kind
    return "The worker died each time it worked on this; its log may say why.", "failed"
