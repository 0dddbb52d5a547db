"""A worker killed at a clip engine's unit costs only that unit; cancelling stops a unit, by force if needed."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from shared.jobs import claims
from shared.jobs.status import read_wanted_state, set_wanted_state, status
from tests.support.jobs.farm import Running, alive, child, running, speech, wait, wait_ended


@dataclass
class ClipFarm:
    """Two workers, the folder of their orders, and the frames of an undisturbed job."""

    here: Running
    workers: list[psutil.Process]
    orders: Path
    driver: Path
    undisturbed: list[str]

    def begun(self, unit: str, **orders: str) -> str:
        """Submit a job with these orders, and wait until its unit is at work."""
        for name, content in orders.items():
            (self.orders / name.replace("_", "-")).write_text(content, encoding="utf-8")
        job = self.here.submit(self.driver, engine="clip")
        wait(lambda: self.here.at_work(job, unit), f"unit {unit}; {self.here.said()}")
        return job

    def whole(self, job: str, again: dict[str, int]) -> None:
        """Check that the job ends with the right file. again: number of starts of each unit that did not start once."""
        assert self.here.finish(job) == self.undisturbed
        begun = [name for name, _ in self.here.claims[job]]
        assert {name: begun.count(name) for name in set(begun) if begun.count(name) != 1} == again

    def cancel(self, job: str, unit: str) -> None:
        """Cancel the job and wait until the unit has ended."""
        set_wanted_state(self.here.store, job, "cancelled")
        wait(lambda: not self.here.at_work(job, unit), "its end", every=0.02)


@pytest.fixture(scope="module")
def module_farm(small_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClipFarm]:
    home, orders = tmp_path_factory.mktemp("clips") / "home", tmp_path_factory.mktemp("orders")
    with (
        running(home, small_home, FARM_TEST_ORDERS=str(orders)) as here,
        here.process("services.local.render_farm") as farm,
    ):
        driver = speech(home / "speech.wav", 3.0)
        wait(here.redis_url, f"Redis; {here.said()}")
        with here.process("cli.app", "worker", "--engines", "clip") as other:
            undisturbed = here.finish(here.submit(driver, engine="clip"))
            assert len(set(undisturbed)) == 30
            workers = [farm, other]
            for each in workers:
                child(each)
            yield ClipFarm(here, workers, orders, driver, undisturbed)


@pytest.fixture
def farm(module_farm: ClipFarm) -> Iterator[ClipFarm]:
    yield module_farm
    for order in module_farm.orders.iterdir():
        order.unlink()


@pytest.mark.parametrize("unit", ["a", "b", "c", "d"])
def test_a_worker_killed_in_the_middle_costs_one_unit(farm: ClipFarm, unit: str) -> None:
    job = farm.begun(unit, **{f"check_{unit}": ""})  # the unit stops halfway
    farm.here.process_at(job, unit, farm.workers).kill()
    (farm.orders / f"check-{unit}").unlink()
    farm.whole(job, {unit: 2})


def test_a_unit_whose_process_ends_each_time_is_parked(farm: ClipFarm) -> None:
    job = farm.begun("b", die_b="")
    wait(lambda: status(farm.here.store, job).state == "parked", f"parked; {farm.here.said()}")
    seen = status(farm.here.store, job)
    assert seen.reason == "Unit b: The worker died each time it worked on this; its log may say why."
    assert claims.read_unit_state(farm.here.store, job, "b").claim == claims.DEATHS + 1
    set_wanted_state(farm.here.store, job, "cancelled")


def test_cancelling_reaches_a_unit_that_asks_and_its_process_lives_on(farm: ClipFarm) -> None:
    job = farm.begun("a", check_a="")
    process = farm.here.process_at(job, "a", farm.workers)
    farm.cancel(job, "a")
    assert farm.here.store.list(f"jobs/{job}/units/a")[-1] == "returned-0001.json"
    (farm.orders / "check-a").unlink()
    farm.whole(farm.here.submit(farm.driver, engine="clip"), {})
    assert alive(process), "the process ended with the unit"


def test_cancelling_ends_a_unit_that_hears_nothing_with_its_process(farm: ClipFarm) -> None:
    job = farm.begun("a", deaf_a="")
    process = farm.here.process_at(job, "a", farm.workers)
    farm.cancel(job, "a")
    wait_ended([process], "the process ends")
    (farm.orders / "deaf-a").unlink()
    farm.whole(farm.here.submit(farm.driver, engine="clip"), {})
    assert read_wanted_state(farm.here.store, job) == "cancelled"
