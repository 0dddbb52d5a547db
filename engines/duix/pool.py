"""The services as a pool.

A task is submitted to one free service, exactly once, and its video is retrieved even if processes or the service
restart meanwhile.
"""

import errno
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from engines.duix.client import (
    ACCEPTED,
    BUSY,
    NO_LOCK,
    NotSentError,
    ServiceClient,
    UnclearError,
)
from engines.duix.data_folder import ENDED, DataFolder, TaskRecord, copy_file, result_name
from engines.duix.watch import Patience, SilentError, Watch
from shared.errors import NoSpaceError, StudioError
from shared.media.timeline import read_timeline

LENGTH_SLACK_S = 0.2  # accepted difference in length between a video and its speech


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One requested video.

    code: its name at the service, [A-Za-z0-9-]. speech, film: input files. seconds: length of the speech.
    """

    code: str
    speech: Path
    film: Path
    seconds: float


@dataclass(slots=True)
class Service:
    """One container of the service, with times on the pool's clock.

    rests: time until which the service is not tried. pause: length of its last rest in seconds. since: when it first
        became unavailable, limit: for how many seconds that is tolerated, why: the reason.
    """

    url: str
    folder: DataFolder
    rests: float = 0.0
    pause: float = 0.0
    since: float | None = None
    limit: float = 0.0
    why: str = ""

    def out_of_patience(self, now: float) -> bool:
        """Whether the service has been unavailable for longer than tolerated."""
        return self.since is not None and now - self.since >= self.limit


@dataclass(slots=True)
class Pool:
    """The services, used for one task.

    told: called with the task's progress in percent, at least ten times a second; an exception that it raises ends the
        waiting. times: see `Watch`.
    """

    services: Sequence[Service]
    told: Callable[[int], None]
    times: float
    patience: Patience
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _watches: dict[str, Watch] = field(default_factory=dict)
    _progress: int = 0

    def video(self, task: Task, path: Path) -> None:
        """Have the video made and copy it to `path`; continue with a task that was submitted before.

        The files at the service remain until `clean`. Raises StudioError after removing the failed task, so a new call
        starts over.
        """
        while True:
            owner = next((each for each in self.services if each.folder.record(task.code) is not None), None)
            record = owner.folder.record(task.code) if owner is not None else None
            if owner is not None and record is not None and record.stage in ENDED:
                break
            self._advance(task, [owner] if owner is not None else self.services)
        why = record.said if record.stage == "failed" else self._fault_in_the_end(owner, record)
        if why:
            owner.folder.clean(task.code)
            raise StudioError(why)
        self._fetch(owner.folder, record, path)

    def clean(self, code: str) -> None:
        """Remove a task's files and records from all services, after its video was fetched."""
        for each in self.services:
            each.folder.clean(code)

    def _advance(self, task: Task, services: Sequence[Service]) -> None:
        """Advance the task by one step at one of these services, or wait."""
        with ExitStack() as held:
            service, other = self._free(services, task.code, held)
            if service is None:
                self._wait(self.patience.look)
                return
            with ServiceClient(service.url) as client:
                if other:
                    self._ask_for_another(service, client, other)
                    self._wait(self.patience.poll)
                    return
                record = service.folder.record(task.code) or self._submit(task, service, client)
                while record is not None and record.stage not in ENDED:
                    self._wait(self.patience.poll)
                    record = self._ask(service, client, task, record)

    def _free(self, services: Sequence[Service], code: str, held: ExitStack) -> tuple[Service | None, str]:
        """Return a service whose lock is now held, and the code of another job's unfinished task there, or "".

        A service without such a task is preferred. (None, "") if no service is available.
        """
        occupied: tuple[Service, str] | None = None
        for service in services:
            if service.rests > self.clock():
                continue
            with ExitStack() as lock:
                if not lock.enter_context(service.folder.locked()):
                    continue
                others = [each for each in service.folder.open_tasks() if each != code]
                if not others:
                    held.close()
                    held.push(lock.pop_all())
                    return service, ""
                if occupied is None:
                    occupied = service, others[0]
                    held.push(lock.pop_all())
        return occupied or (None, "")

    def _submit(self, task: Task, service: Service, client: ServiceClient) -> TaskRecord | None:
        """Submit the task; None if the service did not accept it and is paused for a while.

        Raises StudioError.
        """
        folder, record = service.folder, TaskRecord(task.code, "sent", task.seconds)
        folder.sweep()
        folder.put(task.speech, f"{task.code}-speech.wav", self._look)
        folder.put(task.film, f"{task.code}-film.mp4", self._look)
        folder.write(record)
        try:
            reply = client.submit(task.code, f"{task.code}-speech.wav", f"{task.code}-film.mp4")
        except NotSentError as error:
            self._refused(task, service, f"cannot be reached ({error})", self.patience.silence)
            return None
        except UnclearError as error:
            service.why = f"returned an answer that could not be read ({error})"
            return record  # later queries show whether the service has received the task
        if reply.code == ACCEPTED:
            record = TaskRecord(task.code, "accepted", task.seconds)
            folder.write(record)
            return record
        if reply.code in (BUSY, NO_LOCK):
            limit = max(self.patience.least, self.times * task.seconds)
            self._refused(task, service, "is busy with something else", limit)
            return None
        folder.clean(task.code)
        raise StudioError(
            f"Duix-Avatar at {service.url} refuses the task ({reply.code}: {reply.said or 'no reason'}); "
            "restart its container, then retry."
        )

    def _refused(self, task: Task, service: Service, why: str, limit: float) -> None:
        service.folder.strike(task.code)
        self._rest(service, why, limit)

    def _rest(self, service: Service, why: str, limit: float) -> None:
        """Pause a service for a while.

        Raises StudioError if all services have been unavailable for longer than tolerated.
        """
        now = self.clock()
        service.pause = min(self.patience.longest_pause, 2 * service.pause or self.patience.first_pause)
        service.rests, service.why, service.limit = now + service.pause, why, limit
        service.since = now if service.since is None else service.since
        if all(each.out_of_patience(now) for each in self.services):
            raise StudioError(
                f"Duix-Avatar at {service.url} {why}; check that its container is running and idle, then retry."
            )

    def _ask(self, service: Service, client: ServiceClient, task: Task, record: TaskRecord) -> TaskRecord | None:
        """Query the task's status; None if the service never received it and is now paused. Raises StudioError."""
        watch = self._watch(service, record)
        known = watch.step(client)
        self._progress = watch.progress
        if known is None:
            del self._watches[task.code]
            self._refused(task, service, service.why or "does not know the task", self.patience.silence)
        return known

    def _ask_for_another(self, service: Service, client: ServiceClient, code: str) -> None:
        """Query a task of a job whose worker is gone, and record its end for that job."""
        record = service.folder.record(code)
        if record is None:
            return
        try:
            if self._watch(service, record).step(client) is None:
                service.folder.strike(code)
        except SilentError as error:
            self._rest(service, f"is working on another job's task and does not answer ({error.why})", 0.0)

    def _watch(self, service: Service, record: TaskRecord) -> Watch:
        if record.code not in self._watches:
            made = Watch(service.folder, service.url, record, self.patience, self.times, self.clock)
            self._watches[record.code] = made
        return self._watches[record.code]

    def _fault_in_the_end(self, service: Service, record: TaskRecord) -> str:
        """Wait for a finished video's file; return what is wrong with it, as a sentence, or ""."""
        name = PurePosixPath(record.result.replace("\\", "/")).name
        if name != result_name(record.code):
            return (
                f"Duix-Avatar at {service.url} returned the file '{name[:80]}', which does not belong to this task; "
                "retry."
            )
        until = self.clock() + self.patience.file
        while (why := self._fault(service.folder, record)) and self.clock() < until:
            self._wait(self.patience.look)
        return f"The video that Duix-Avatar at {service.url} has finished {why}." if why else ""

    def _fetch(self, folder: DataFolder, record: TaskRecord, path: Path) -> None:
        """Copy a finished video to `path`."""
        found = folder.result(record.code)
        try:
            copy_file(found or folder.temp / result_name(record.code), path, self._look)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise NoSpaceError(f"There is no space left for {path}; free some and the job continues.") from None
            raise StudioError(f"The video in {folder.temp} cannot be copied ({error.strerror}); retry.") from None

    def _fault(self, folder: DataFolder, record: TaskRecord) -> str:
        """Return what is wrong with a finished video, as the end of a sentence; "" if nothing."""
        found = folder.result(record.code)
        if found is None:
            return f"is not in {folder.temp}; check that the container mounts {folder.path}"
        try:
            seconds = float(read_timeline(found).frames_end)
        except StudioError as error:
            return f"cannot be read ({str(error).rstrip('.')})"
        if abs(seconds - record.seconds) > LENGTH_SLACK_S:
            return f"lasts {seconds:.1f} seconds instead of {record.seconds:.1f}; retry"
        return ""

    def _look(self) -> None:
        self.told(self._progress)

    def _wait(self, seconds: float) -> None:
        """Sleep, reporting progress meanwhile, so that a cancellation is noticed."""
        until = self.clock() + seconds
        self._look()
        while (left := until - self.clock()) > 0:
            self.sleep(min(left, self.patience.look))
            self._look()
