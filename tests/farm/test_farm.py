"""One farm for each studio folder: beside a channel when there is a job, or by itself until there is none."""

import json
import time
from pathlib import Path

import psutil
import pytest

from services.local import render_farm
from services.local.render_farm import FarmBeside
from shared.config.settings import load_settings
from shared.jobs.store import LocalStore
from tests.support.jobs.farm import child, descendants, running, wait
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
        began = time.monotonic()
        farm.leave()
    assert time.monotonic() - began < 5, "a channel waits for its farm"
    _, alive = psutil.wait_procs(below, 10)
    assert not [each for each in alive if each.is_running() and each.status() != psutil.STATUS_ZOMBIE], "left behind"


def test_there_is_one_and_it_ends_when_there_is_nothing_to_do(tmp_path: Path) -> None:
    with (
        running(tmp_path / "home", tmp_path) as here,
        here.process("services.local.render_farm", "--until-idle", "6") as first,
    ):
        wait(here.redis_url, "Redis")
        redis = json.loads((here.home / "redis" / "redis.json").read_text(encoding="utf-8"))["pid"]
        with here.process("services.local.render_farm", "--until-idle", "6") as second:
            psutil.wait_procs([second], 30)
            assert not second.is_running() or second.status() == psutil.STATUS_ZOMBIE, "two farms in one folder"
        below = descendants(first)
        psutil.wait_procs([first], 60)
        assert not first.is_running() or first.status() == psutil.STATUS_ZOMBIE, "it goes on with nothing to do"
        assert here.redis_url() is None
        assert not [
            each
            for each in (*below, *([psutil.Process(redis)] if psutil.pid_exists(redis) else []))
            if each.is_running()
        ]
