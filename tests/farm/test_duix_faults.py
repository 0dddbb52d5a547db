"""Duix-Avatar on a farm: a worker that is killed or cancelled during a task does not make the service do it twice."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from engines.duix.data_folder import DataFolder
from shared.jobs.status import set_wanted_state
from tests.support.engines.duix.material import ENGINES, small_avatar
from tests.support.engines.duix.service import DuixStandIn, Knobs
from tests.support.jobs.farm import Running, alive, running, speech, wait


@dataclass
class DuixFarm:
    """Two workers and a service."""

    here: Running
    workers: list[psutil.Process]
    service: DuixStandIn
    driver: Path


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuixFarm]:
    home, avatars = tmp_path_factory.mktemp("duix") / "home", tmp_path_factory.mktemp("avatars")
    small_avatar(avatars / "avatars" / "sample")
    with DuixStandIn(home.parent / "data", seconds=1.0).serving() as service:
        named = {
            "STUDIO_ENGINES": json.dumps(ENGINES),
            "STUDIO_QUICKDUIX_SERVICES": json.dumps([{"url": service.url, "data": str(service.data)}]),
            "STUDIO_QUICKDUIX_LICENCE_ACCEPTED": "true",
        }
        with pytest.MonkeyPatch.context() as patch, running(home, avatars, **named) as here:
            for name, value in named.items():
                patch.setenv(name, value)
            here.settings = here.settings.model_copy(update={"engines": ENGINES})
            with here.process("services.local.render_farm") as first:
                wait(here.redis_url, f"Redis; {here.said()}")
                with here.process("cli.app", "worker", "--engines", "quickgem,rareduix") as second:
                    yield DuixFarm(here, [first, second], service, speech(home / "speech.wav", 1.0))


@pytest.mark.parametrize("moment", ["submit", "query"])
def test_a_worker_killed_at_the_task_of_a_service_hands_it_in_once(farm: DuixFarm, moment: str) -> None:
    """The kill comes after the service accepted the task and before the worker knows, or in the middle of the task."""
    killed = list[int]()

    def after(what: str) -> None:
        if what == moment and not killed:
            holder = farm.here.process_at(job, "video", farm.workers)
            killed.append(holder.pid)
            holder.kill()

    taken = len(farm.service.taken)
    farm.service.knobs = Knobs(before=lambda what: wait(lambda: job, "the job's name"), after=after)
    job = ""
    job = farm.here.submit(farm.driver, engine="quickduix")
    assert len(farm.here.finish(job)) == 10
    assert len(killed) == 1 and len(farm.service.taken) == taken + 1
    assert [name for name, number in farm.here.claims[job] if number > 1] == ["video"]
    assert not list(farm.service.temp.iterdir())


def test_cancelling_reaches_a_worker_that_waits_for_a_service(farm: DuixFarm) -> None:
    """The process stays alive, and the next job is not submitted before the service is free."""
    farm.service.knobs, folder = Knobs(hang_at=60), DataFolder(farm.service.data)
    taken = len(farm.service.taken)
    job = farm.here.submit(farm.driver, engine="rareduix")

    def waits() -> bool:
        """Whether the worker has the service's answer, after which it asks nothing for an hour."""
        records = [folder.record(code) for code in farm.service.taken[taken:]]
        return bool(records) and records[0] is not None and records[0].stage == "accepted"

    wait(waits, f"the task; {farm.here.said()}")
    process = farm.here.process_at(job, "video", farm.workers)
    set_wanted_state(farm.here.store, job, "cancelled")
    wait(lambda: not farm.here.at_work(job, "video"), "its end", every=0.02)
    assert farm.here.store.list(f"jobs/{job}/units/video")[-1] == "returned-0001.json"
    next_job, asked = farm.here.submit(farm.driver, engine="quickduix"), len(farm.service.asked)
    wait(lambda: len(farm.service.asked) > asked, f"the next asks after the task before; {farm.here.said()}")
    farm.service.knobs = Knobs()
    farm.here.finish(next_job)
    assert alive(process), "the process ended with the unit"
    assert (
        len(farm.service.bodies) == len(farm.service.taken) == taken + 2
        and farm.service.ends[-2:] == farm.service.taken[-2:]
    )
