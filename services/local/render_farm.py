"""The studio's own farm: Redis where none is named, and one worker beside it. One for each studio folder.

`python -m services.local.render_farm` runs until it is stopped, and waits while another one runs; with --until-idle
SECONDS it ends when no job has been open for so long, and at once where another one runs.
"""

import argparse
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import structlog

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
from shared.runtime.logs import set_up_logs
from shared.runtime.process import end_with, ends_with_us
from shared.runtime.restart import RestartPolicy
from shared.runtime.stop_signals import TERMINAL, StopSignals

log = structlog.get_logger()

NICE = 10  # behind a live channel on the same machine
IDLE_S = 60.0  # without an open job
LOOKERS_S = 0.5  # in which those who only look at the lock have let go of it
LEAVING = "farm.leaving"  # there while a farm ends that has said so
LOOK_S = 5.0  # between two looks for one
BESIDE_S = 0.6  # that a farm has to end after its channel has; Ctrl-C is over within two seconds
LEAVE_S = 10.0  # that a worker has to end
RESTART_S = (0.5, 1.0, 2.0, 5.0, 15.0)
OPEN: tuple[JobState, ...] = ("queued", "rendering", "assembling")


class Farm:
    """Redis and a worker, each started again when it dies. A context manager: leaving it leaves neither behind."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keeper = RedisKeeper(settings)
        self._worker: subprocess.Popen[bytes] | None = None
        self._restart = RestartPolicy(RESTART_S)

    def turn(self) -> None:
        """See to both; called several times a second, always by the same thread: they end with it."""
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
        """The worker's process id."""
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
    """Whether there is anything to do; remembers which jobs have ended, which never changes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ended: set[str] = set()

    def has_any(self) -> bool:
        """Whether some job waits for a worker or is at work. Raises StudioError when the store cannot be read."""
        for job in reversed(jobs(self._store)):
            if job in self._ended:
                continue
            try:
                state = status(self._store, job).state
            except StudioError:
                continue  # gone
            if state in OPEN:
                return True
            if state in ("done", "cancelled"):
                self._ended.add(job)
        return False


def farm_environment(settings: Settings) -> dict[str, str]:
    """Return the environment of a farm and its worker: these settings, and nothing of LiveKit."""
    named = settings.redis_url.get_secret_value() if settings.redis_url else None
    return child_environment(settings, store=True, redis_url=named)


def start_farm(settings: Settings, *, detached: bool) -> "subprocess.Popen[bytes] | None":
    """Start a farm in a process of its own.

    detached: the farm outlives this process and ends by itself when idle; otherwise it ends with the calling thread.
    Returns None where a Redis URL is set: its operator runs the workers.
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
    """Starts the studio's own farm again for as long as its caller waits for a job, where it has died or ended."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tried = time.monotonic()
        self.process: subprocess.Popen[bytes] | None = None  # the farm that was started last; it outlives us

    def turn(self) -> None:
        """Called now and then; nothing where a farm runs, or where Redis is named and workers are its operator's."""
        now = time.monotonic()
        if self._settings.redis_url or now - self._tried < LOOK_S or is_locked(farm_lock(self._settings.home)):
            return
        if self.process is not None and self.process.poll() is None:
            return  # it comes up, or waits for one that ends
        self._tried = now
        log.debug("farm_starting")
        self.process = start_farm(self._settings, detached=True)


class FarmBeside:
    """A farm beside a channel, from when there is a job for it on.

    A channel alone costs no more than a look now and then. A context manager; the rest is called by one thread, with
    which the farm ends.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._started = float("-inf")
        self._needed, self._over = threading.Event(), threading.Event()
        self._looker: threading.Thread | None = None
        self.lookers_ended = 0

    def turn(self) -> None:
        """Called several times a second once the channel is on air."""
        if not self._over.is_set() and not self._needed.is_set():
            self._keep_looking()
        ended = self._process is None or self._process.poll() is not None
        if ended and self._needed.is_set() and time.monotonic() - self._started > LOOK_S:
            self._started = time.monotonic()
            self._process = start_farm(self._settings, detached=False)

    def _keep_looking(self) -> None:
        """Start the thread that looks, and another in place of one that died."""
        if self._looker is not None and self._looker.is_alive():
            return
        if self._looker is not None:
            self.lookers_ended += 1
            log.warning("job_looker_ended", ended=self.lookers_ended)
        self._looker = threading.Thread(target=self._look, name="jobs", daemon=True)
        self._looker.start()

    def leave(self) -> None:
        """The channel ends: what is at work is handed back meanwhile."""
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
                # and with it all it started; what was at work is begun again from its segment's start
                self._process.kill()
                self._process.wait()

    def _look(self) -> None:
        """Look for open jobs, in a thread because a store may be slow."""
        open_jobs = None
        while not self._over.is_set() and not self._needed.is_set():
            try:
                open_jobs = open_jobs or OpenJobs(open_store(self._settings.jobs_url))
                if open_jobs.has_any():
                    self._needed.set()
            except StudioError as error:
                log.debug("jobs_not_read", why=str(error))
            except Exception:  # whatever lies in the store, the channel continues
                log.exception("jobs_not_read")
            self._over.wait(LOOK_S)


def main() -> int:
    """Run a farm."""
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
        # One that is about to end no longer takes jobs: what comes now is ours.
        if ending or (given.until_idle is not None and not leaving.exists()):
            return 0
    leaving.unlink(missing_ok=True)
    run_farm(settings, ending, until_idle=given.until_idle)
    return 0


def _may_end(look: OpenJobs, leaving: Path) -> bool:
    """Say that this farm ends, unless a job has come: one that comes later finds the word and waits for the lock."""
    leaving.touch()
    if look.has_any():
        leaving.unlink(missing_ok=True)
        return False
    return True


def run_farm(settings: Settings, ending: StopSignals, *, until_idle: float | None) -> None:
    """Keep a farm until a stop signal or there has been nothing to do for `until_idle` seconds."""
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
                        log.info("farm_idle")
                        return
            except StudioError as error:
                log.warning("farm_not_tended", why=str(error))
                time.sleep(1.0)
            time.sleep(0.2)
        # A job that comes from now on is the next farm's, which waits for this one to end.
        path.with_name(LEAVING).touch()


if __name__ == "__main__":
    sys.exit(main())
