"""Killing parts of a render farm does not kill a job.

The processes and Redis are real; the file is compared with that of an undisturbed job.
"""

import shutil
import signal
import struct
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from services.local.redis_server import find_redis_server
from shared.jobs import claims
from shared.jobs.graph import render_name
from shared.jobs.queue import connect
from tests.support.jobs.farm import (
    SEGMENT_S,
    Running,
    alive,
    celery,
    child,
    descendants,
    find,
    running,
    speech,
    stop,
    wait,
    wait_ended,
)
from tests.support.running.ports import free_port

SEGMENTS = 3
SECOND = render_name(1)


@dataclass
class FaultyFarm:
    """A running farm with its one worker, and the frames of an undisturbed job."""

    here: Running
    process: psutil.Process
    driver: Path
    undisturbed: list[str]

    def disturbed(self) -> str:
        """Submit a job and wait for its second segment, which does not end before `release`."""
        self.here.slow.touch()
        job = self.here.submit(self.driver)
        wait(lambda: self.here.look(job) or self.here.rendering(job, 1), f"the second segment; {self.here.said()}")
        assert not self.here.look(job)
        return job

    def release(self) -> None:
        """Let the render continue at full speed."""
        self.here.slow.unlink(missing_ok=True)

    def whole(self, job: str) -> None:
        """Release the job; check that its file is complete and that at most one segment was rendered twice."""
        self.release()
        assert self.here.finish(job) == self.undisturbed
        assert self.here.again(job) <= 1, self.here.claims[job]


@pytest.fixture(scope="module")
def farm(small_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyFarm]:
    home = tmp_path_factory.mktemp("farm") / "home"
    with running(home, small_home) as here, here.process("services.local.render_farm") as process:
        driver = speech(home / "speech.wav", SEGMENTS * SEGMENT_S)
        wait(here.redis_url, f"Redis; {here.said()}")
        undisturbed = here.finish(here.submit(driver))
        assert len(undisturbed) == SEGMENTS * 20
        yield FaultyFarm(here, process, driver, undisturbed)


def test_celerys_child_killed(farm: FaultyFarm) -> None:
    job = farm.disturbed()
    child(farm.process).kill()
    farm.whole(job)
    assert farm.here.again(job) == 1, "the kill came too late to disturb anything"


def test_celerys_main_process_killed(farm: FaultyFarm) -> None:
    job = farm.disturbed()
    below = child(farm.process)
    celery(farm.process).kill()
    wait_ended([below], "the child dies with its parent")
    farm.whole(job)


def test_the_whole_worker_killed(farm: FaultyFarm) -> None:
    job = farm.disturbed()
    worker = find(farm.process, "cli.app worker")
    assert worker is not None
    below = [worker, celery(worker), child(worker)]
    worker.kill()
    wait_ended(below, "all its processes end with it")
    farm.whole(job)


def test_redis_killed(farm: FaultyFarm) -> None:
    job = farm.disturbed()
    farm.here.redis().kill()
    farm.whole(job)
    assert farm.here.again(job) == 0, "a segment at work is no business of Redis"


def test_redis_emptied(farm: FaultyFarm) -> None:
    job, waiting = farm.disturbed(), farm.here.submit(farm.driver)
    url = farm.here.redis_url()
    assert url is not None
    with connect(url) as client:
        assert client.flushall()
    farm.whole(job)
    farm.whole(waiting)
    assert farm.here.again(job) == 0


def test_a_job_handed_in_while_redis_is_away(farm: FaultyFarm) -> None:
    """Redis does not answer until the job is submitted, so a submission that waited for Redis would hang."""
    kept = farm.here.redis()
    kept.send_signal(signal.SIGSTOP)
    try:
        job = farm.here.submit(farm.driver)
        assert kept.status() == psutil.STATUS_STOPPED
    finally:
        kept.send_signal(signal.SIGCONT)
    farm.whole(job)


def _away(farm: FaultyFarm, seconds: float) -> None:
    """Stop Redis for some seconds: it accepts connections and does not answer, as on a machine that hangs."""
    job = farm.disturbed()
    kept = farm.here.redis()
    kept.send_signal(signal.SIGSTOP)
    farm.release()
    time.sleep(seconds)
    kept.send_signal(signal.SIGCONT)
    farm.whole(job)
    assert farm.here.again(job) == 0


def test_redis_gone_for_a_while(farm: FaultyFarm) -> None:
    _away(farm, 8)


@pytest.mark.slow
def test_redis_gone_for_a_minute(farm: FaultyFarm) -> None:
    _away(farm, 60)


def test_ctrl_c_hands_the_segment_back(farm: FaultyFarm) -> None:
    job = farm.disturbed()
    worker = find(farm.process, "cli.app worker")
    assert worker is not None
    stop(worker, signal.SIGINT)  # its segment does not end by itself
    assert (farm.here.home / f"jobs/jobs/{job}/units/render-00001/returned-0001.json").exists(), "not handed back"
    farm.whole(job)


def test_a_frozen_worker_wakes_up_too_late(farm: FaultyFarm) -> None:
    with farm.here.process("cli.app", "worker", "--engines", "counter") as other:
        child(other)
        job = farm.disturbed()
        beat = claims.read_beat(farm.here.store, job, SECOND, 1)
        assert beat is not None
        holder = beat.worker
        own = find(farm.process, "cli.app worker")
        assert own is not None
        late, another = (other, own) if f"-{other.pid}-" in holder else (own, other)
        stopped(late)
        wait(
            lambda: farm.here.look(job) or claims.read_unit_state(farm.here.store, job, SECOND).claim == 2,
            "another takes over",
        )
        # The late worker wakes up while the other renders the segment, and is the first to reach the segment's end.
        # Only its rendering process wakes up: its caretaker would give the segment to a third worker after the other's
        # lease.
        stopped(another)
        farm.release()
        awake = child(late)
        awake.send_signal(signal.SIGCONT)

        def published() -> bool:
            return claims.read_unit_state(farm.here.store, job, SECOND).done

        def noticed() -> bool:
            """Whether it noticed, at its segment's end or before, or its process was ended because it did not stop."""
            left = farm.here.logged("unit_too_late", job) or farm.here.logged("unit_not_completed", job, "lost")
            return left or not alive(awake)

        wait(lambda: published() or noticed(), f"the late one is through; {farm.here.said()}")
        assert not published(), "the late one published"
        stopped(late, signal.SIGCONT)
        stopped(another, signal.SIGCONT)
        wait(lambda: farm.here.look(job) or published(), "the segment is done", every=0.02)
        farm.whole(job)
        assert farm.here.again(job) == 1


def stopped(process: psutil.Process, number: signal.Signals = signal.SIGSTOP) -> None:
    """Stop a process and its descendants, or let them continue."""
    for each in (process, *descendants(process)):
        each.send_signal(number)


def test_two_workers_with_the_same_segment(farm: FaultyFarm) -> None:
    with farm.here.process("cli.app", "worker", "--engines", "counter") as other:
        child(other)
        job = farm.disturbed()
        expired = [(SECOND, 1)]
        farm.here.queue.wake(job, "counter", "normal", 1, expired=expired, begun=True)
        wait(lambda: claims.read_unit_state(farm.here.store, job, SECOND).claim == 2, "the other takes it too")
        farm.whole(job)
        assert farm.here.again(job) == 1


def test_a_clock_that_jumps_by_an_hour(farm: FaultyFarm, tmp_path: Path) -> None:
    library, clock = tmp_path / "clock.so", tmp_path / "clock"
    compiler, program = shutil.which("cc"), find_redis_server()
    if compiler is None or program is None:
        pytest.skip("no C compiler for a clock that can be moved")
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", library, Path(__file__).with_name("clock.c"), "-ldl"], check=True
    )
    move(clock, 0)
    faked = {"LD_PRELOAD": str(library), "MOVED_CLOCK": str(clock)}
    port = free_port()
    url, config = f"redis://127.0.0.1:{port}/0", f"bind 127.0.0.1\nport {port}\nsave ''\n"
    named = subprocess.Popen([program, "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=faked)
    assert named.stdin is not None
    named.stdin.write(config.encode())
    named.stdin.close()
    try:
        with (
            running(tmp_path / "home", farm.here.home, STUDIO_REDIS_URL=url) as here,
            here.process("cli.app", "worker", "--engines", "counter", **faked) as worker,
        ):
            child(worker)
            mine = FaultyFarm(here, worker, farm.driver, farm.undisturbed)
            with connect(url) as client:
                before = client.time()[0]
                job = mine.disturbed()
                move(clock, 3600)
                mine.release()
                assert client.time()[0] - before > 3500, "the clock did not jump"
                wait(lambda: here.look(job) or here.store.list(f"jobs/{job}/units/render-00002"), "it goes on")
                move(clock, -3600)
                mine.whole(job)
                job = here.submit(farm.driver)
                mine.whole(job)
            assert here.again(job) == 0
    finally:
        named.kill()
        named.wait()


def move(clock: Path, seconds: int) -> None:
    """Move the wall clock of the processes that use this file by so many seconds."""
    with clock.open("r+b" if clock.exists() else "wb") as file:
        file.write(struct.pack("l", seconds))
