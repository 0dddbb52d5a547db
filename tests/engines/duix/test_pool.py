"""Several containers and several jobs.

Each container has one task and one poller, and no job waits for another one's task without need.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest

from engines.duix.data_folder import DataFolder, TaskRecord
from engines.duix.watch import Patience
from shared.errors import StudioError
from tests.support.engines.duix.material import CODE, QUICK, Cancelled, Client, PollerClock, task
from tests.support.engines.duix.service import DuixStandIn

OTHER = "7d0b8a52-93a5-4a56-8f0e-1f0f5f9d3c11"
SECONDS = 12.0


@pytest.fixture
def clock() -> PollerClock:
    return PollerClock()


@pytest.fixture
def services(tmp_path: Path, clock: PollerClock) -> Iterator[list[DuixStandIn]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(DuixStandIn(tmp_path / name, SECONDS, clock, clock.later).serving())
            for name in ("a", "b")
        ]


def make(client: Client, folder: Path, code: str = CODE) -> None:
    client.pool().video(task(folder, code), folder / f"{code}.mp4")


def left_by_a_dead_process(service: DuixStandIn, folder: Path, code: str) -> None:
    """Leave a task at a service that no process watches."""
    data = DataFolder(service.data)
    with data.locked():
        for source, name in ((task(folder).speech, "speech.wav"), (task(folder).film, "film.mp4")):
            data.put(source, f"{code}-{name}", lambda: None)
        data.write(TaskRecord(code, "sent", 1.0))
        service.submit({"audio_url": f"{code}-speech.wav", "video_url": f"{code}-film.mp4", "code": code})
        data.write(TaskRecord(code, "accepted", 1.0))


def test_a_service_that_another_process_has_is_passed_over(
    services: list[DuixStandIn], clock: PollerClock, tmp_path: Path
) -> None:
    with DataFolder(services[0].data).locked() as mine, DataFolder(services[0].data).locked() as again:
        assert mine and not again
        make(Client(services, clock), tmp_path)
    assert services[0].taken == [] and services[1].taken == [CODE]


def test_a_service_that_is_not_there_is_passed_over(
    services: list[DuixStandIn], clock: PollerClock, tmp_path: Path
) -> None:
    services[0].url = "http://127.0.0.1:9"
    make(Client(services, clock), tmp_path)
    assert services[1].taken == [CODE]


def test_a_busy_service_is_passed_over(services: list[DuixStandIn], clock: PollerClock, tmp_path: Path) -> None:
    services[0].knobs.submits = [10001] * 9
    make(Client(services, clock), tmp_path)
    assert services[1].taken == [CODE] and len(services[0].times) == 1


def test_a_service_with_a_task_of_another_job_is_passed_over(
    services: list[DuixStandIn], clock: PollerClock, tmp_path: Path
) -> None:
    left_by_a_dead_process(services[0], tmp_path, OTHER)
    make(Client(services, clock), tmp_path)
    assert services[1].taken == [CODE] and services[0].busy


def test_where_there_is_no_other_the_end_of_that_task_is_kept_for_its_job(
    services: list[DuixStandIn], clock: PollerClock, tmp_path: Path
) -> None:
    one = services[:1]
    left_by_a_dead_process(one[0], tmp_path, OTHER)
    make(Client(one, clock), tmp_path)
    assert one[0].taken == [OTHER, CODE] and one[0].ends == [OTHER, CODE]
    assert DataFolder(one[0].data).record(OTHER) == TaskRecord(OTHER, "done", 1.0, f"{OTHER}-r.mp4")
    make(Client(one, clock), tmp_path, OTHER)
    assert one[0].taken == [OTHER, CODE], "it was handed in again"


def test_a_task_stays_with_its_service(services: list[DuixStandIn], clock: PollerClock, tmp_path: Path) -> None:
    left_by_a_dead_process(services[1], tmp_path, CODE)
    make(Client(services, clock), tmp_path)
    assert services[0].taken == [] and services[1].taken == [CODE]


def test_one_that_never_came_to_the_service_holds_up_none(
    services: list[DuixStandIn], clock: PollerClock, tmp_path: Path
) -> None:
    one = services[:1]
    with (folder := DataFolder(one[0].data)).locked():
        folder.write(TaskRecord(OTHER, "sent", 1.0))
    make(Client(one, clock), tmp_path)
    assert one[0].taken == [CODE] and folder.record(OTHER) is None


def test_a_service_that_dies_with_the_task_of_another_is_a_sentence(
    services: list[DuixStandIn], clock: PollerClock, tmp_path: Path
) -> None:
    one = services[:1]
    left_by_a_dead_process(one[0], tmp_path, OTHER)
    one[0].knobs.queries = [-500] * 90
    with pytest.raises(StudioError, match=r"is working on another job's task and does not answer \(HTTP status 500\)"):
        make(Client(one, clock), tmp_path)
    assert DataFolder(one[0].data).record(OTHER) == TaskRecord(OTHER, "accepted", 1.0)


@pytest.mark.parametrize("percent", [0, 20, 80])
def test_a_unit_that_must_stop_stops_at_once_and_goes_on_later(
    services: list[DuixStandIn], clock: PollerClock, tmp_path: Path, percent: int
) -> None:
    one = services[:1]
    with pytest.raises(Cancelled):
        make(Client(one, clock, stop_at=percent), tmp_path)
    with DataFolder(one[0].data).locked() as free:
        assert free
    make(Client(one, clock), tmp_path)
    assert one[0].taken == [CODE]


def test_what_is_wished_is_looked_at_ten_times_a_second(
    services: list[DuixStandIn], clock: PollerClock, tmp_path: Path
) -> None:
    """Both while it waits for the service and while it waits for the task of another process."""
    client, looks = Client(services[:1], clock, Patience()), list[float]()
    pool = client.pool()
    pool.told = lambda percent: looks.append(clock.now)
    pool.video(task(tmp_path), tmp_path / "out.mp4")
    assert max(after - before for before, after in pairwise(looks)) <= 0.11


def test_jobs_on_two_services_are_done_side_by_side_and_once(tmp_path: Path) -> None:
    """Four threads have separate connections and locks, as workers do. No task ends before two services work."""
    both = threading.Event()

    def clock() -> float:
        return time.monotonic() if both.is_set() else 0.0

    with ExitStack() as stack:
        services = [stack.enter_context(DuixStandIn(tmp_path / name, 0.3, clock).serving()) for name in ("a", "b")]
        codes = [f"{CODE[:-1]}{number}" for number in range(4)]
        task(tmp_path)

        def look(percent: int) -> None:
            if all(each.busy for each in services):
                both.set()

        def work(code: str) -> None:
            client = Client(services, PollerClock(), QUICK)
            pool = client.pool()
            pool.clock, pool.sleep = time.monotonic, time.sleep
            pool.told = look
            pool.video(task(tmp_path, code), tmp_path / f"{code}.mp4")

        threads = [threading.Thread(target=work, args=(code,)) for code in codes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(services[0].taken + services[1].taken) == codes and all(each.taken for each in services)
        assert all(len(each.bodies) == len(each.taken) for each in services), "one was sent to a busy service"
