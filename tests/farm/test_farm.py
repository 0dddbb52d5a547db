"""One farm for each studio folder: beside a channel while there is a job, or alone until there is none."""

import time
from pathlib import Path

import psutil
import pytest

from services.local import render_farm
from services.local.render_farm import FarmBeside
from shared.config.settings import load_settings
from shared.jobs.status import set_wanted_state
from shared.jobs.store import LocalStore
from tests.support.jobs import job_material
from tests.support.jobs.farm import alive, child, descendants, running, wait, wait_ended
from tests.support.jobs.stored_job import job


def test_beside_a_channel_it_runs_when_there_is_a_job_and_ends_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render_farm, "LOOK_S", 0.3)
    settings = load_settings(home=tmp_path)
    me = psutil.Process()
    before = set(me.children())
    with FarmBeside(settings) as farm:
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            farm.turn()
            time.sleep(0.1)
        assert not set(me.children()) - before, "a channel without jobs pays for a farm"
        job(LocalStore(tmp_path / "jobs"))

        def started() -> bool:
            farm.turn()
            return bool(set(me.children()) - before)

        wait(started, "the farm starts")
        process = (set(me.children()) - before).pop()
        child(process)
        below = [process, *descendants(process)]
        assert len(below) >= 5, [each.cmdline() for each in below]  # farm, Redis, worker, Celery and its child
        process.suspend()  # it never ends by itself, so a channel that waited for its farm would hang
        farm.leave()
    wait_ended(below, "nothing is left behind")


def test_there_is_one_and_it_ends_when_there_is_nothing_to_do(tmp_path: Path) -> None:
    with running(tmp_path / "home", tmp_path) as here:
        waiting = job_material.job(here.store, 1, engine="elsewhere")  # a job that no worker here can do
        with here.process("services.local.render_farm", "--until-idle", "0.1") as first:
            wait(here.redis_url, "Redis")
            with here.process("services.local.render_farm", "--until-idle", "0.1") as second:
                wait_ended([second], "a second farm leaves the folder to the first")
            assert alive(first), "it ended with a job to do"
            below = [*descendants(first), here.redis()]
            set_wanted_state(here.store, waiting, "cancelled")
            wait_ended([first], "it ends with nothing to do")
            assert here.redis_url() is None
            wait_ended(below, "nothing is left behind")
