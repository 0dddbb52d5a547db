"""A studio's own farm starts and ends.

No job is lost between two farms. A command that waits for a job tells why it waits, or starts a farm.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from services.local import render_farm
from services.local.render_farm import FarmKeeper, OpenJobs
from shared.config.settings import Settings, load_settings
from shared.jobs import queue
from shared.jobs.queue import JobQueue
from shared.jobs.staff import farm_lock, staff_note
from shared.jobs.store import open_store
from shared.runtime.file_lock import is_locked, open_lock, try_lock
from shared.runtime.stop_signals import StopSignals
from tests.support.jobs import job_material
from tests.support.jobs.farm import wait


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """Return settings of a home whose farms are killed at the end of the test."""
    made = load_settings(home=tmp_path)
    farm_lock(tmp_path).parent.mkdir(mode=0o700)
    yield made
    for each in psutil.process_iter(["cmdline", "environ"]):
        told = each.info["environ"] or {}
        if told.get("STUDIO_HOME") == str(tmp_path) and "services.local.render_farm" in (each.info["cmdline"] or []):
            each.kill()


def started(settings: Settings) -> "subprocess.Popen[bytes]":
    """Start a farm as a submission does."""
    command = [sys.executable, "-m", "services.local.render_farm", "--until-idle", "0.1"]
    return subprocess.Popen(command, env=os.environ | {"STUDIO_HOME": str(settings.home)}, stdin=subprocess.DEVNULL)


def test_a_farm_that_may_end_looks_once_more(settings: Settings) -> None:
    store, leaving = open_store(settings.jobs_url), settings.home / render_farm.LEAVING
    assert render_farm._may_end(OpenJobs(store), leaving) and leaving.exists()
    job_material.job(store, 1)
    assert not render_farm._may_end(OpenJobs(store), leaving) and not leaving.exists()


def test_a_farm_that_ends_on_a_signal_says_so_before_it_waits_for_its_worker(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, seen = farm_lock(settings.home), list[bool]()
    lock.touch()
    monkeypatch.setattr(
        render_farm.Farm, "__exit__", lambda *_: seen.append(lock.with_name(render_farm.LEAVING).exists())
    )
    ending = StopSignals((signal.SIGUSR1,))
    os.kill(os.getpid(), signal.SIGUSR1)
    render_farm.run_farm(settings, ending, until_idle=None)
    assert seen == [True]


def test_a_farm_waits_for_one_that_is_ending_and_leaves_one_that_is_not(settings: Settings) -> None:
    path = farm_lock(settings.home)
    held = open_lock(path)
    assert try_lock(held)
    assert started(settings).wait(60) == 0, "another farm is at work"
    path.with_name(render_farm.LEAVING).touch()
    waiting = started(settings)
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(3)
    os.close(held)
    wait(lambda: not path.with_name(render_farm.LEAVING).exists(), "the lock is taken")
    waiting.kill()
    waiting.wait()


def test_who_waits_learns_why_and_has_a_farm_started_again(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render_farm, "LOOK_S", 3600.0)  # time that is given to a farm that was started just now
    lock = farm_lock(settings.home)
    assert "No worker has been running" in staff_note(settings)
    keeper = FarmKeeper(settings)
    keeper.turn()
    assert not is_locked(lock), "one that was started just now is given time"
    for _ in range(2):
        keeper._tried = float("-inf")
        keeper.turn()
        wait(lambda: is_locked(lock), "a farm")
        assert staff_note(settings) == ""
        assert keeper.process is not None
        keeper.process.kill()
        keeper.process.wait()
        wait(lambda: not is_locked(lock), "it is dead")
        assert " since " in staff_note(settings)


def test_a_redis_that_is_away_is_named(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path, redis_url="redis://127.0.0.1:9/0")
    assert "Redis does not answer" in staff_note(settings)


def test_a_redis_that_does_not_answer_is_not_asked_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each attempt costs REDIS_TIMEOUT_S, and submitting a job waits for all attempts."""
    monkeypatch.setattr(queue, "REDIS_TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.setblocking(False)
        jobs = JobQueue(load_settings(home=tmp_path, redis_url=f"redis://127.0.0.1:{silent.getsockname()[1]}/0"))
        for _ in range(3):
            assert not jobs.wake("job", "counter", "normal")
        jobs.close()
        asked = 0
        with suppress(BlockingIOError):
            while True:
                silent.accept()[0].close()
                asked += 1
    assert 1 <= asked <= 2
