"""A real worker: the order of its queues, its metrics, Flower beside it, and the arguments that it refuses."""

import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cli.app import main
from services.local.redis_server import RedisServer
from shared.errors import StudioError
from shared.jobs.manifest import Priority
from shared.jobs.queue import PRIORITIES, queue_names
from shared.jobs.status import delete_job, set_wanted_state
from shared.jobs.workers import Workers
from tests.support.jobs.farm import FPS, SEGMENT_S, Running, child, running, speech, stop, wait
from tests.support.running.ports import free_port

ELSEWHERE = {"elsewhere": "tests.support.engines.counting_engine:Elsewhere"}


@pytest.fixture(scope="module")
def here(small_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A studio folder with its own Redis and no worker."""
    home = tmp_path_factory.mktemp("worker") / "home"
    with running(home, small_home) as here, RedisServer(home):
        yield here


def test_a_job_goes_where_its_engine_runs_and_one_that_runs_nowhere_says_so(
    here: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A machine without the engine can submit a job for a worker elsewhere.

    `list`, `show` and `watch` tell if no worker can do a job.
    """
    url = here.redis_url()
    assert url is not None
    told = {"STUDIO_REDIS_URL": url}  # named, so that no farm is started for the job that waits
    for name, value in (here.environment | told).items():
        monkeypatch.setenv(name, value)
    driver = speech(here.home / "elsewhere.wav", 1.0)

    def said(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["studio", "jobs", *arguments])
        with pytest.raises(SystemExit):
            main()
        return " ".join(capsys.readouterr().out.split())

    with pytest.raises(StudioError, match="Elsewhere needs a card"):
        here.submit(driver, engine="elsewhere")
    waiting = here.submit(driver)
    assert "No worker is running yet, so jobs wait; `studio worker` starts one" in said("show", waiting)
    with here.process("cli.app", "worker", FARM_TEST_CARD="1", STUDIO_ENGINES=json.dumps(ELSEWHERE)) as worker:
        child(worker)
        assert here.finish(here.submit(driver, engine="elsewhere"))
        sentence = "The only running worker does not serve the engine counter; run `studio worker --engines counter`"
        assert sentence in said("show", waiting) and f"1 job waits: {sentence}" in said("list")
        with subprocess.Popen(
            [sys.executable, "-m", "cli.app", "jobs", "watch", waiting],
            env=here.environment | told, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, encoding="utf-8",
        ) as watching:  # fmt: skip
            assert watching.stdout is not None
            watched = ""
            for line in watching.stdout:
                watched += line
                if sentence in line and watched.count(sentence) == 1:
                    time.sleep(2.0)  # it keeps watching, and prints nothing more
                    set_wanted_state(here.store, waiting, "cancelled")
        assert watched.count(sentence) == 1 and watched.strip().endswith("is cancelled.")
    delete_job(here.store, waiting)


@pytest.mark.parametrize("engine", ["counter", "clip"])
def test_queues_are_emptied_in_their_order(here: Running, engine: str) -> None:
    """Jobs that are submitted from the least urgent to the most urgent are finished in the opposite order.

    A job is finished before another of the same priority is begun.
    """
    driver = speech(here.home / "short.wav", 3.0)
    order: list[Priority] = ["low", "normal", "high", "low", "normal", "high"]
    jobs = [(here.submit(driver, priority, engine=engine), priority) for priority in order]
    with here.process("cli.app", "worker", "--engines", engine):
        wait(lambda: all(here.look(job) for job, _ in jobs), f"all jobs; {here.said()}")
    of = dict(jobs)
    done = sorted(of, key=lambda job: (here.home / f"jobs/jobs/{job}/result.json").stat().st_mtime_ns)
    assert [of[job] for job in done] == ["high", "high", "normal", "normal", "low", "low"]
    assert done == [job for level in PRIORITIES for job, priority in jobs if priority == level]


def test_metrics_flower_and_liveness(here: Running) -> None:
    url = here.redis_url()
    assert url is not None
    with here.process("cli.app", "worker", "--engines", "counter", "--metrics", str(port := free_port())) as worker:
        child(worker)
        job = here.submit(speech(here.home / "metrics.wav", 3.0))
        here.finish(job)

        def page() -> str:
            return get(f"http://127.0.0.1:{port}/metrics")

        def shows(row: str) -> bool:
            return row in page()

        wait(lambda: 'studio_render_unit_seconds_count{engine="counter",kind="render"} 2.0' in page(), "its segments")
        wait(lambda: "studio_jobs_worker_up{" in page(), "its liveness")
        wait(lambda: 'studio_render_frames_total{engine="counter"}' in page(), "its frames")
        for name in queue_names(["counter"]):
            empty = f'studio_jobs_queue_depth{{queue="{name}"}} 0.0'
            wait(partial(shows, empty), empty)
        found = Workers(here.queue).read_all()
        assert found is not None
        mine = next(each for each in found if each.pid == worker.pid)
        assert mine.alive and mine.engines == ("counter",)
        wait(lambda: f"{mine.name}.json" in here.store.list("workers"), "its file")
        beat = here.store.read(f"workers/{mine.name}.json")
        assert beat is not None and json.loads(beat)["pid"] == worker.pid
        flower(here, url, mine.name)
        stop(worker, signal.SIGTERM)
    left = Workers(here.queue).read_all()
    assert left is not None and mine.name not in [each.name for each in left]
    assert f"{mine.name}.json" not in here.store.list("workers")


def flower(here: Running, url: str, name: str) -> None:
    """Check that Flower, started as in deploy/, knows the worker."""
    pytest.importorskip("flower")
    port = free_port()
    told = here.environment | {"REDIS_URL": url, "FLOWER_UNAUTHENTICATED_API": "true"}
    command = [sys.executable, "-m", "celery", "-A", "services.renderer.worker.celery_app", "flower"]
    process = subprocess.Popen(
        [*command, "--address=127.0.0.1", f"--port={port}"],
        env=told, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:

        def workers() -> dict[str, Any]:
            return dict(json.loads(get(f"http://127.0.0.1:{port}/api/workers?refresh=1") or "{}"))

        def queues() -> set[str]:
            """Return the worker's queues, none while it has not answered Flower."""
            return {each["name"] for each in workers().get(f"{name}@studio", {}).get("active_queues") or ()}

        wait(lambda: queues() == set(queue_names(["counter"])), "Flower sees the worker", every=1.0)
    finally:
        process.kill()
        process.wait()


def test_a_job_in_a_bucket(s3_store: str, here: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Worker and sender share only Redis and an S3 server.

    The worker leaves in the middle of the job, and another one continues.
    """
    url = here.redis_url()
    assert url is not None
    monkeypatch.setenv("PERSONA_STUDIO_CACHE", str(tmp_path / "cache"))
    driver = speech(tmp_path / "bucket.wav", 3 * SEGMENT_S)
    with running(tmp_path / "home", here.home, jobs=s3_store, STUDIO_REDIS_URL=url) as there:
        with there.process("cli.app", "worker", "--engines", "counter") as first:
            child(first)
            there.slow.touch()
            job = there.submit(driver)
            wait(lambda: there.rendering(job, 1), "its second segment")
            stop(first, signal.SIGINT)  # its segment does not end by itself
            assert there.store.list("workers") == [], "it did not take its leave"
            there.slow.unlink()
        with there.process("cli.app", "worker", "--engines", "counter"):
            assert len(set(there.finish(job))) == 3 * SEGMENT_S * FPS
        assert there.again(job) == 1


def test_what_cannot_work_is_one_sentence(here: Running) -> None:
    for arguments, sentence in (
        (["--engines", "nonsense"], "There is no engine 'nonsense'"),
        (["--jobs", "nothing://here"], "cannot be kept"),
        (["--redis", "not an address"], "redis_url"),
    ):
        ended = subprocess.run(
            [sys.executable, "-m", "cli.app", "worker", *arguments],
            env=here.environment, capture_output=True, encoding="utf-8", timeout=120,
        )  # fmt: skip
        assert ended.returncode == 1
        assert sentence in " ".join(ended.stderr.split())
        assert "Traceback" not in ended.stderr


def get(url: str) -> str:
    """Return the page, "" while there is none."""
    try:
        with urllib.request.urlopen(url, timeout=60) as page:
            return str(page.read().decode())
    except OSError:
        return ""
