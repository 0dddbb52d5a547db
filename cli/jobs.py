"""`studio jobs`: submit, list, watch and steer renders."""

import json
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from cli.options import EngineOption, HomeOption, QualityOption, given_options
from cli.voices import BurnOption, TextOption, VoiceOption, driver_file
from shared.config.settings import Settings, load_settings
from shared.errors import StudioError
from shared.jobs.manifest import Priority
from shared.jobs.staff import UNFINISHED, Staff, staff_note, with_waiting_reason
from shared.jobs.status import WantedState
from shared.jobs.store import LocalStore, Store, open_store
from shared.jobs.view import UNKNOWN_CREATED, JobState, JobView

jobs = typer.Typer(no_args_is_help=True, help="Jobs: queued renders that survive failures of their workers.")
out = Console(markup=False)

JobsJsonOption = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]
Job = Annotated[str, typer.Argument(help="A job's id.")]
INTERRUPTED = 130
AT_WORK = ("rendering", "assembling")
MOST_ROWS, QUIET = 60, ("done", "waiting")  # a clip may have thousands of units; beyond MOST_ROWS hide the QUIET ones
REDIS_WAIT_S = 15.0  # time within which the studio's own Redis has started


@jobs.command()
def submit(
    driver: Annotated[
        Path | None,
        typer.Option(help="Video whose face moves the host, sound whose voice moves it, or recorded motion (.npz)."),
    ] = None,
    text: TextOption = None,
    voice: VoiceOption = "",
    burn_captions: BurnOption = False,
    avatar: Annotated[str | None, typer.Option(help="Avatar to animate.")] = None,
    engine: Annotated[str | None, typer.Option(help="Engine to use.")] = None,
    quality: QualityOption = "",
    option: EngineOption = None,
    to: Annotated[
        Path | None, typer.Option("--out", help="File to write; by default the result stays with the job.")
    ] = None,
    priority: Annotated[Priority, typer.Option(help="Which jobs go first.")] = "normal",
    key: Annotated[
        str, typer.Option(help="Submitting again with the same key and content returns the existing job.")
    ] = "",
    codec: Annotated[str, typer.Option(help="h264, hevc, prores, or vp9 with the host cut out.")] = "h264",
    size: Annotated[
        str | None, typer.Option(help="Size of the frames, such as 1920x1080; by default the plate's.")
    ] = None,
    fps: Annotated[
        str | None, typer.Option(help="Frames a second, such as 25 or 29.97; by default the driver's.")
    ] = None,
    label: Annotated[bool | None, typer.Option("--label/--no-label", help='The "AI-generated" label.')] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the estimated cost without submitting the job.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the job has ended, as `watch` does.")] = False,
    as_json: JobsJsonOption = False,
    home: HomeOption = None,
) -> None:
    """Submit a job; it continues after this command has ended."""
    from services.renderer.job.cost import cost_lines, job_cost
    from services.renderer.job.submit import JobRequest
    from services.renderer.job.submit import submit_to_store as hand_in
    from shared.avatar.model import avatar_folder
    from shared.media.output_spec import OutputSpec, read_size

    settings = load_settings(avatar=avatar, engine=engine, label=label, home=home)
    store = open_store(settings.jobs_url)
    _make_samples(settings)
    wanted = {"codec": codec, "fps": fps, "size": read_size(size) if size else None, "label": settings.label}
    output = OutputSpec.from_dict(wanted | {"burn_captions": burn_captions})
    brought = to if wait and not isinstance(store, LocalStore) else None  # workers on other machines have no such path
    if brought is not None:
        output.check_path(brought)
    given = driver_file(driver, text, voice, settings)
    request = JobRequest(
        avatar=avatar_folder(settings.home, settings.avatar),
        driver=given.path.expanduser(),
        driver_name=given.title,
        captions=given.captions,
        engine=settings.engine,
        options=given_options(option, quality),
        priority=priority,
        key=key,
        output=output,
        out=None if brought else to,
    )
    if dry_run:
        for line in cost_lines(job_cost(request, settings)):
            out.print(line, highlight=False)
        return
    job = hand_in(store, request, settings).id
    _tell_workers(settings, store, job)
    if not wait:
        _print_words(as_json, _look(settings, store, job).as_json(), job)
        return
    if not as_json:
        out.print(f"Job {job}", highlight=False)
    code = _watched(settings, store, job, as_json)
    if brought is not None and code == 0:
        _copy_result(store, job, brought)
    raise typer.Exit(code)


@jobs.command("list")
def list_jobs(
    state: Annotated[JobState | None, typer.Option(help="Only jobs in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="List at most this many jobs.")] = 50,
    as_json: JobsJsonOption = False,
    home: HomeOption = None,
) -> None:
    """List the jobs, newest first."""
    from cli.jobs_watch import SIGNS, time_left
    from shared.jobs.index import JobIndex, summaries
    from shared.jobs.queue import JobQueue

    settings = load_settings(home=home)
    store = open_store(settings.jobs_url)
    index = JobIndex(store, JobQueue(settings))
    # The index may be out of date: read unfinished jobs again, first those in progress, then the newest.
    unfinished = [(each not in AT_WORK, name) for name, each in reversed(index.order()) if each in UNFINISHED]
    for _, name in sorted(unfinished, key=lambda pair: pair[0])[:limit]:
        index.refresh(name)
    with Staff(settings) as staff:
        workers = staff.read_all()
    rows = [with_waiting_reason(row, workers) for row in summaries(settings, store, limit, (state,) if state else None)]
    if as_json:
        print(json.dumps([row.as_json() for row in rows]))
        return
    if any(row.state in UNFINISHED for row in rows) and (note := staff_note(settings)):
        out.print(note, markup=False, highlight=False, soft_wrap=True)
    table = Table(box=None)
    for name in ("job", "state", "done", "left", "driver", "avatar", "submitted"):
        table.add_column(name, no_wrap=True, min_width=23 if name == "job" else None)
    for row in rows:
        made = datetime.fromisoformat(row.created).astimezone().strftime("%d %b %H:%M") if _is_dated(row) else ""
        table.add_row(
            row.id, f"{SIGNS[row.state]} {row.state}", f"{row.percent:.0f} %", time_left(row.eta), row.driver,
            row.avatar, made,
        )  # fmt: skip
    waiting = Counter(row.reason for row in rows if row.state in UNFINISHED and row.reason)
    out.print(
        table
        if rows
        else "No job is in this state."
        if state
        else "There are no jobs; submit one with `studio jobs submit`."
    )
    for reason, count in waiting.items():
        jobs_wait = f"{count} jobs wait" if count > 1 else "1 job waits"
        out.print(f"{jobs_wait}: {reason}", markup=False, highlight=False, soft_wrap=True)
    for row in rows:
        if row.state == "parked" and row.reason:
            out.print(f"{row.id}: {row.reason}", markup=False, highlight=False, soft_wrap=True)


@jobs.command()
def show(job: Job, as_json: JobsJsonOption = False, home: HomeOption = None) -> None:
    """Show a job: its progress, its segments and where its result is."""
    from cli.jobs_watch import SIGNS, pace, place

    settings = load_settings(home=home)
    store = open_store(settings.jobs_url)
    found = _look(settings, store, job)
    waits_for = found.reason or (staff_note(settings) if found.state in UNFINISHED else "")
    if as_json:
        print(json.dumps(found.as_json() | {"reason": waits_for, "file": place(store, found)}))
        return
    amount = found.steps if found.steps and not found.done else f"{found.done} of {found.ticks} frames"
    rows = {
        "job": found.id, "state": f"{SIGNS[found.state]} {found.state}", "reason": waits_for,
        "done": f"{found.percent:.0f} %, {amount}", "pace": pace(found),
        "driver": found.driver, "avatar": found.avatar, "engine": found.engine, "priority": found.priority,
        "submitted": found.created if _is_dated(found) else "", "result": place(store, found),
        "note": " ".join(found.notes),
    }  # fmt: skip
    for name, value in rows.items():
        if value:
            out.print(f"{name:<10} {value}", markup=False, highlight=False, soft_wrap=True)
    of_units = any(each.unit for each in found.segments)
    what, measure = ("unit", "steps") if of_units else ("segment", "frames")
    table = Table(what, "state", "attempts", measure, "reason", box=None)
    shown = [
        each for each in found.segments if len(found.segments) <= MOST_ROWS or each.reason or each.state not in QUIET
    ]
    for each in shown:
        frames = f"{each.done}/{each.ticks}"
        name = each.words or each.unit or str(each.number + 1)
        table.add_row(name, each.state, str(each.attempts), frames, each.reason)
    if shown:
        out.print(table)
    if len(shown) < len(found.segments):
        out.print(
            f"{len(found.segments) - len(shown)} more are done or waiting; --json lists them all.", highlight=False
        )


@jobs.command()
def cancel(job: Job, as_json: JobsJsonOption = False, home: HomeOption = None) -> None:
    """Cancel a job; its rendering stops within two seconds."""
    _steer(job, "cancelled", as_json, home)


@jobs.command()
def pause(job: Job, as_json: JobsJsonOption = False, home: HomeOption = None) -> None:
    """Pause a job until it is resumed."""
    _steer(job, "paused", as_json, home)


@jobs.command()
def resume(job: Job, as_json: JobsJsonOption = False, home: HomeOption = None) -> None:
    """Continue a paused job."""
    _steer(job, "run", as_json, home)


@jobs.command()
def retry(job: Job, as_json: JobsJsonOption = False, home: HomeOption = None) -> None:
    """Retry the failed segments of a parked job; finished segments are kept."""
    _steer(job, "retry", as_json, home)


@jobs.command()
def watch(job: Job, as_json: JobsJsonOption = False, home: HomeOption = None) -> None:
    """Follow a job to its end. Exit code: 0 done, 3 parked, 4 cancelled. --json: one object per line at each change."""
    settings = load_settings(home=home)
    raise typer.Exit(_watched(settings, open_store(settings.jobs_url), job, as_json))


@jobs.command()
def rm(job: Job, as_json: JobsJsonOption = False, home: HomeOption = None) -> None:
    """Delete a finished or cancelled job with all its files."""
    from shared.jobs.index import JobIndex
    from shared.jobs.queue import JobQueue
    from shared.jobs.status import delete_job

    settings = load_settings(home=home)
    store = open_store(settings.jobs_url)
    delete_job(store, job)
    JobIndex(store, JobQueue(settings)).drop([job])
    _print_words(as_json, {"id": job, "removed": True}, f"Job {job} is removed.")


@jobs.command()
def recover(as_json: JobsJsonOption = False, home: HomeOption = None) -> None:
    """Rebuild the queue from the jobs on disk, as after a loss of Redis's data. Workers do this by themselves, too."""
    from services.local.render_farm import start_farm
    from services.renderer.worker.caretaker import Caretaker
    from shared.jobs.index import JobIndex
    from shared.jobs.queue import JobQueue

    settings = load_settings(home=home)
    store, queue = open_store(settings.jobs_url), JobQueue(settings)
    start_farm(settings, detached=True)
    until = time.monotonic() + REDIS_WAIT_S
    while queue.depths([settings.engine]) is None:
        if time.monotonic() > until:
            raise StudioError("Redis does not answer; check REDIS_URL. The jobs are safe on disk and wait for it.")
        time.sleep(0.2)
    JobIndex(store, queue).order()
    swept = Caretaker(store, queue).sweep()
    facts = {"open": swept.open, "sent": swept.sent, "unparked": swept.unparked}
    _print_words(as_json, facts, f"{swept.open} unfinished jobs; {swept.sent} messages sent to the workers.")


def _steer(job: str, how: WantedState | Literal["retry"], as_json: bool, home: Path | None) -> None:
    from shared.jobs import status

    settings = load_settings(home=home)
    store = open_store(settings.jobs_url)
    if how == "retry":
        status.retry_parked(store, job)
    else:
        status.set_wanted_state(store, job, how)
    if how in ("retry", "run"):
        _tell_workers(settings, store, job)
    found = _look(settings, store, job)
    _print_words(as_json, found.as_json(), f"Job {job} is {found.state}.")


def _tell_workers(settings: Settings, store: Store, job: str) -> None:
    """Announce work to the workers; start the studio's own worker if none is running."""
    from services.local.render_farm import start_farm
    from shared.jobs.index import JobIndex
    from shared.jobs.manifest import read_job_manifest
    from shared.jobs.queue import JobQueue

    start_farm(settings, detached=True)
    queue, manifest = JobQueue(settings), read_job_manifest(store, job)
    JobIndex(store, queue).refresh(job)
    if not queue.wake(job, manifest.engine, manifest.priority, len(manifest.graph.shown)) and queue.trouble:
        Console(stderr=True, markup=False).print(queue.trouble, markup=False, highlight=False, soft_wrap=True)


def _make_samples(settings: Settings) -> None:
    """Build the sample avatars if the settings name one and it does not exist yet."""
    from cli.progress import progress_bar, stages
    from services.local.samples import ensure_samples
    from shared.avatar.model import list_avatars

    if settings.avatar in ("sample", "sample-video") and settings.avatar not in list_avatars(settings.home):
        with progress_bar() as bar:
            ensure_samples(settings.home, stages(bar))


def _watched(settings: Settings, store: Store, job: str, as_json: bool) -> int:
    from cli.jobs_watch import watch_job as follow
    from services.local.render_farm import FarmKeeper

    try:
        with Staff(settings) as staff:
            return follow(store, job, out, as_json, staff.explained, FarmKeeper(settings).turn)
    except KeyboardInterrupt:
        _print_words(
            as_json, {"id": job, "watched": False}, f"The job continues; `studio jobs watch {job}` shows it again."
        )
        return INTERRUPTED


def _copy_result(store: Store, job: str, to: Path) -> None:
    """Copy a finished job's result from a remote store to `to`. Raises StudioError when it no longer exists."""
    from services.renderer.job.assemble_unit import deliver
    from shared.jobs.manifest import folder
    from shared.jobs.status import result

    if (made := result(store, job)) is None:
        raise StudioError(f"The result of job {job} is gone; submit the job again.")
    captions = store.read(f"{folder(job)}/{made.captions}") if made.captions else None
    deliver(store.fetch(f"{folder(job)}/{made.file}"), made.model_dump_json(indent=2).encode(), to, captions)


def _is_dated(job: JobView) -> bool:
    return job.created != UNKNOWN_CREATED


def _look(settings: Settings, store: Store, job: str) -> JobView:
    from shared.jobs.status import status

    with Staff(settings) as staff:
        return staff.explained(status(store, job))


def _print_words(as_json: bool, words: dict[str, Any], sentence: str) -> None:
    if as_json:
        print(json.dumps(words))
    else:
        out.print(sentence, markup=False, highlight=False, soft_wrap=True)
