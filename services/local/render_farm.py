"""The studio's own render farm: a worker, and Redis unless the settings name one. There is one per studio home.

`python -m services.local.render_farm` runs until it is stopped; while another farm runs, it waits for it to end. With
--until-idle SECONDS it ends when no job has been open for so long, and immediately if another farm runs.
"""

import argparse
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from services.local.redis_server import RedisKeeper
from shared.config.child_environment import child_environment
from shared.config.settings import Settings, load_settings
from shared.errors import StudioError
from shared.jobs.redis_address import FOLDER
from shared.jobs.staff import farm_lock
from shared.jobs.status import jobs, status
from shared.jobs.store import Store, open_store
from shared.jobs.view import JobState
from shared.runtime.file_lock import is_locked, open_lock, try_lock
from shared.runtime.logs import get_logger, set_up_logs
from shared.runtime.process import end_with, ends_with_us
from shared.runtime.restart import RestartPolicy
from shared.runtime.stop_signals import TERMINAL, StopSignals

log = get_logger()

NICE = 10  # nice value, so that a live channel on the same machine has priority
IDLE_S = 60.0  # time without an open job after which a detached farm ends
LOOKERS_S = 0.5  # processes that only test the lock release it within this time
LEAVING = "farm.leaving"  # file that exists while a farm is ending and takes no more jobs
LOOK_S = 5.0  # interval of looking for open jobs
BESIDE_S = 0.6  # time for a farm to end after its channel; Ctrl-C is to take less than two seconds
LEAVE_S = 10.0  # time for a worker to end
RESTART_S = (0.5, 1.0, 2.0, 5.0, 15.0)
OPEN: tuple[JobState, ...] = ("queued", "rendering", "assembling")


class Farm:
    """Redis and a worker, each restarted when it dies. A context manager that stops both on exit."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keeper = RedisKeeper(settings)
        self._worker: subprocess.Popen[bytes] | None = None
        self._restart = RestartPolicy(RESTART_S)

    def turn(self) -> None:
        """Keep both running. Called several times a second, always by the same thread, with which the worker ends."""
        self._keeper.turn()
        if self._worker is not None and (code := self._worker.poll()) is not None:
            log.warning("worker_ended", code=code, again_in_s=self._restart.died())
            self._worker = None
        if self._worker is None and self._restart.is_due():
            command = [*ends_with_us(), sys.executable, "-m", "cli.app", "worker"]
            told = farm_environment(self._settings)
            self._worker = subprocess.Popen(command, env=told, stdin=subprocess.DEVNULL, start_new_session=True)

    @property
    def worker(self) -> int | None:
        """The worker's process id, None while it does not run."""
        return self._worker.pid if self._worker else None

    def __enter__(self) -> "Farm":
        return self

    def __exit__(self, *_: object) -> None:
        if self._worker is not None:
            self._worker.terminate()
            try:
                self._worker.wait(LEAVE_S)
            except subprocess.TimeoutExpired:
                self._worker.kill()
                self._worker.wait()
        self._keeper.__exit__()


class OpenJobs:
    """Finds out whether a store has open jobs. Jobs that have ended are remembered and not read again."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ended: set[str] = set()

    def has_any(self) -> bool:
        """Whether a job waits for a worker or is in progress. Raises StudioError when the store cannot be read."""
        for job in reversed(jobs(self._store)):
            if job in self._ended:
                continue
            try:
                state = status(self._store, job).state
            except StudioError:
                continue  # removed meanwhile
            if state in OPEN:
                return True
            if state in ("done", "cancelled"):
                self._ended.add(job)
        return False


def farm_environment(settings: Settings) -> dict[str, str]:
    """Return the environment of a farm and its worker: these settings without those of LiveKit."""
    named = settings.redis_url.get_secret_value() if settings.redis_url else None
    return child_environment(settings, store=True, redis_url=named)


def start_farm(settings: Settings, *, detached: bool) -> "subprocess.Popen[bytes] | None":
    """Start a farm in a separate process.

    detached: the farm outlives this process and ends by itself when idle; otherwise it ends with the calling thread.
    Returns None if the settings name a Redis: its operator then runs the workers.
    """
    if settings.redis_url:
        return None
    folder = settings.home / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    command = [sys.executable, "-m", "services.local.render_farm"]
    command = (
        [*command, "--until-idle", str(IDLE_S)]
        if detached
        else [*ends_with_us(), *command, "--parent", str(os.getpid())]
    )
    with (folder / "farm.log").open("ab") as file:
        return subprocess.Popen(
            command, env=farm_environment(settings), stdin=subprocess.DEVNULL, stdout=file, stderr=file,
            start_new_session=True,
        )  # fmt: skip


class FarmKeeper:
    """Restarts the studio's own farm if it has ended, while the caller waits for a job."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tried = time.monotonic()
        self.process: subprocess.Popen[bytes] | None = None  # the farm started last; it outlives this process

    def turn(self) -> None:
        """Start a farm if none runs; called repeatedly. Does nothing if the settings name a Redis."""
        now = time.monotonic()
        if self._settings.redis_url or now - self._tried < LOOK_S or is_locked(farm_lock(self._settings.home)):
            return
        if self.process is not None and self.process.poll() is None:
            return  # it is starting, or waits for another farm to end
        self._tried = now
        log.debug("farm_starting")
        self.process = start_farm(self._settings, detached=True)


class FarmBeside:
    """Starts a farm next to a live channel as soon as there is an open job.

    Without jobs its only cost is to look for one every LOOK_S. A context manager, used by a single thread, with which
    the farm ends. lookers_ended: how often the thread that looks for jobs has died.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._started = float("-inf")
        self._needed, self._over = threading.Event(), threading.Event()
        self._looker: threading.Thread | None = None
        self.lookers_ended = 0

    def turn(self) -> None:
        """Look for jobs and keep a needed farm running; called several times a second once the channel is on air."""
        if not self._over.is_set() and not self._needed.is_set():
            self._keep_looking()
        ended = self._process is None or self._process.poll() is not None
        if ended and self._needed.is_set() and time.monotonic() - self._started > LOOK_S:
            self._started = time.monotonic()
            self._process = start_farm(self._settings, detached=False)

    def _keep_looking(self) -> None:
        """Start the thread that looks for jobs, or replace it if it has died."""
        if self._looker is not None and self._looker.is_alive():
            return
        if self._looker is not None:
            self.lookers_ended += 1
            log.warning("job_search_thread_ended", times=self.lookers_ended)
        self._looker = threading.Thread(target=self._look, name="jobs", daemon=True)
        self._looker.start()

    def leave(self) -> None:
        """Ask the farm to end, because the channel ends; its units in progress are returned to the queue."""
        self._over.set()
        if self._process is not None:
            self._process.terminate()

    def __enter__(self) -> "FarmBeside":
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()
        if self._process is not None:
            try:
                self._process.wait(BESIDE_S)
            except subprocess.TimeoutExpired:
                # Its child processes end with it; the segment in progress is rendered again from its start.
                self._process.kill()
                self._process.wait()

    def _look(self) -> None:
        """Look for open jobs until there is one; in a thread, because a store may be slow."""
        open_jobs = None
        while not self._over.is_set() and not self._needed.is_set():
            try:
                open_jobs = open_jobs or OpenJobs(open_store(self._settings.jobs_url))
                if open_jobs.has_any():
                    self._needed.set()
            except StudioError as error:
                log.debug("jobs_not_read", why=str(error))
            except Exception:  # nothing in the store may stop the channel
                log.exception("jobs_not_read")
            self._over.wait(LOOK_S)


def main() -> int:
    """Run a farm as the command line asks; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m services.local.render_farm")
    parser.add_argument("--until-idle", type=float)
    parser.add_argument("--parent", type=int)
    given = parser.parse_args()
    if given.parent:
        end_with(given.parent)
    ending = StopSignals(TERMINAL)
    os.nice(NICE)
    settings = load_settings()
    set_up_logs("farm", settings.log_level)
    folder = settings.home / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = farm_lock(settings.home)
    lock = open_lock(path)
    leaving = path.with_name(LEAVING)
    while not try_lock(lock, LOOKERS_S):
        # A farm that is about to end takes no more jobs, so this one waits for its lock.
        if ending or (given.until_idle is not None and not leaving.exists()):
            return 0
    leaving.unlink(missing_ok=True)
    run_farm(settings, ending, until_idle=given.until_idle)
    return 0


def _may_end(look: OpenJobs, leaving: Path) -> bool:
    """Announce the end of this farm in the file `leaving`, and return whether it may end.

    It may not if a job has arrived meanwhile. A farm that is started later finds the file and waits for the lock.
    """
    leaving.touch()
    if look.has_any():
        leaving.unlink(missing_ok=True)
        return False
    return True


def run_farm(settings: Settings, ending: StopSignals, *, until_idle: float | None) -> None:
    """Run a farm until a stop signal, or until there has been no open job for `until_idle` seconds."""
    look = OpenJobs(open_store(settings.jobs_url))
    busy = looked = time.monotonic()
    path = farm_lock(settings.home)
    os.utime(path)
    with Farm(settings) as farm:
        log.info("farm_running", home=str(settings.home))
        while not ending:
            try:
                farm.turn()
                now = time.monotonic()
                if now - looked >= LOOK_S:
                    looked = now
                    os.utime(path)
                    if until_idle is None:
                        continue
                    busy = now if look.has_any() else busy
                    if now - busy >= until_idle and _may_end(look, path.with_name(LEAVING)):
                        log.info("farm_ended", idle_s=until_idle)
                        return
            except StudioError as error:
                log.warning("farm_turn_failed", why=str(error))
                time.sleep(1.0)
            time.sleep(0.2)
        # Jobs that arrive from now on are for the next farm, which waits for this one to end.
        path.with_name(LEAVING).touch()


if __name__ == "__main__":
    sys.exit(main())
