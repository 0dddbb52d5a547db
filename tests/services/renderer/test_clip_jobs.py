"""Jobs of a clip engine: any number of workers, progress by weights, failures, and the finished file."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from cli.jobs_watch import pace
from engines.registry import load_frame_engine
from harness.channel import wait_for
from services.renderer.job import heartbeat
from services.renderer.job.foreground import render_file
from services.renderer.job.heartbeat import STALLED_S, Heartbeat
from services.renderer.job.step import StepResult, UnitWorker
from shared.avatar.model import load_avatar
from shared.config.settings import Settings
from shared.errors import StudioError
from shared.jobs import claims, status
from shared.jobs.claims import Claim
from shared.jobs.manifest import folder, read_job_manifest
from shared.jobs.store import LocalStore
from shared.media.output_spec import OutputSpec
from shared.media.reader import VideoReader
from shared.runtime.clock import SOUND_RATE_HZ
from tests.support.engines.clip_engine import ENGINES, STEPS, UNITS, level
from tests.support.engines.job_engines import ORDERS
from tests.support.files.sound_files import wav
from tests.support.jobs.job_farm import JobFarm

FPS, FRAMES = 25, 30
PLAIN = OutputSpec(size=(160, 120), label=False)
WEIGHT = 10 * 1.02  # weight of all units, `assemble` included


@pytest.fixture
def farm(small_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JobFarm:
    orders = tmp_path / "orders"
    orders.mkdir()
    monkeypatch.setenv(ORDERS, str(orders))
    settings = Settings(home=small_home, jobs=str(tmp_path / "jobs"), engines=ENGINES)
    return JobFarm(small_home, LocalStore(tmp_path / "jobs"), settings, orders)


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("voice") / "talk.wav"
    count = FRAMES * SOUND_RATE_HZ // FPS
    path.write_bytes(wav(np.where(np.arange(count) < count // 2, 0, 8000).astype(np.int16)))
    return path


def submit(farm: JobFarm, voice: Path, output: OutputSpec = PLAIN) -> str:
    return farm.submit(voice, "clip", output=output).id


def greys(path: Path) -> list[float]:
    """Return the brightness in the middle of each frame."""
    with VideoReader(path) as reader:
        return [float(rgb[rgb.shape[0] // 2, rgb.shape[1] // 2].mean()) for _, rgb in reader]


def right(path: Path) -> None:
    """Check that every frame has its own grey and that the driver's sound is at its time."""
    expected = [(level(tick) - 16) * 255 / 219 for tick in range(FRAMES)]
    assert greys(path) == pytest.approx(expected, abs=2.5)
    with av.open(str(path)) as container:
        assert container.streams.video[0].average_rate == FPS
        sound = np.concatenate([frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)])
    assert len(sound) / SOUND_RATE_HZ == pytest.approx(FRAMES / FPS, abs=0.05)
    loud = np.flatnonzero(np.abs(sound) > 0.1)[0] / SOUND_RATE_HZ
    assert loud == pytest.approx(FRAMES / FPS / 2, abs=0.03)


def test_the_graph_is_done_in_its_order_and_makes_the_clip(farm: JobFarm, voice: Path) -> None:
    job = submit(farm, voice)
    assert read_job_manifest(farm.store, job).units == UNITS
    steps = farm.finish(job)
    assert [(step.unit, step.outcome) for step in steps] == [
        (name, "done") for name in ("a", "b", "c", "d", "assemble")
    ]
    assert [step.wake for step in steps] == [2, 0, 1, 1, 0]
    right(farm.result(job))
    said = json.loads((farm.store.root / folder(job) / "result.json").read_text(encoding="utf-8"))
    assert said["ticks"] == FRAMES and said["engine"] == "clip" and len(said["segments"]) == 1
    assert not (farm.store.root / folder(job) / "units").exists()
    assert len((farm.orders / "loads").read_text(encoding="utf-8").splitlines()) == 1, (
        "it was loaded again from unit to unit"
    )


def test_another_worker_at_every_unit_makes_the_same(farm: JobFarm, voice: Path) -> None:
    first, second = submit(farm, voice), farm.submit(voice, "clip", output=PLAIN, key="again").id
    farm.finish(first)
    while (step := farm.worker().advance(second)).outcome != "nothing":
        assert step.outcome == "done", step
    assert greys(farm.result(first)) == greys(farm.result(second))


def test_units_are_done_once_by_any_number_of_workers(farm: JobFarm, voice: Path) -> None:
    job = submit(farm, voice)
    for held in ("check-b", "check-c"):
        farm.order(held)
    steps: list[StepResult] = []
    at_once: set[tuple[str, ...]] = set()

    def work(name: str) -> None:
        worker = farm.worker(name)
        while not status.result(farm.store, job):
            at_once.add(
                tuple(unit for unit, _ in worker.board.survey(farm.store, read_job_manifest(farm.store, job)).open)
            )
            steps.append(worker.advance(job))

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(3)]
    for thread in threads:
        thread.start()
    try:
        wait_for(lambda: ("b", "c") in at_once, what="what needs the same is done side by side")
    finally:
        for held in ("check-b", "check-c"):
            (farm.orders / held).unlink()
    for thread in threads:
        thread.join()
    done = [step.unit for step in steps if step.outcome == "done"]
    assert sorted(done) == ["a", "assemble", "b", "c", "d"] and done[0] == "a" and done[-2:] == ["d", "assemble"]
    right(farm.result(job))


def test_render_makes_what_a_job_makes(farm: JobFarm, voice: Path, tmp_path: Path) -> None:
    out, seen = tmp_path / "out.mp4", list[tuple[int, int]]()
    avatar = load_avatar(farm.home / "avatars" / "sample")
    count = render_file(
        avatar, voice, out, engine="clip", engines=ENGINES, output=PLAIN, progress=lambda *told: seen.append(told)
    )
    assert count == FRAMES and seen == sorted(seen) and seen[-1] == (FRAMES, FRAMES)
    right(out)
    job = submit(farm, voice)
    farm.finish(job)
    assert greys(farm.result(job)) == greys(out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["jobs", "orders", "out.mp4"]


def test_the_file_has_the_size_the_rate_and_the_label_that_are_asked_for(farm: JobFarm, voice: Path) -> None:
    farm.order("size", "80 80")
    output = OutputSpec(size=(320, 180), fps=Fraction(50), label=True)
    job = submit(farm, voice, output)
    farm.finish(job)
    with VideoReader(farm.result(job)) as reader:
        frames = [rgb for _, rgb in reader]
        assert (reader.width, reader.height) == (320, 180) and reader.fps == 50
    assert len(frames) == 2 * FRAMES
    assert frames[9][:, :60].max() < 20 and frames[9][80:100, 140:180].min() > 40, "shown whole, with bars beside it"
    corner = frames[9][140:175, 75:160].astype(int)
    assert corner.max() - corner.min() > 60, "the label is missing"


def test_progress_and_what_is_left_go_by_weight(farm: JobFarm, voice: Path) -> None:
    job = submit(farm, voice)
    farm.worker().advance(job)
    seen = status.status(farm.store, job)
    assert seen.percent == pytest.approx(100 / WEIGHT)
    assert [(each.unit, each.state) for each in seen.segments] == [
        ("a", "done"), ("b", "waiting"), ("c", "waiting"), ("d", "waiting"),
    ]  # fmt: skip
    for unit, done in (("b", 5), ("c", 10)):
        state = claims.read_unit_state(farm.store, job, unit)
        held = claims.claim_unit(farm.store, job, unit, state, "w")
        assert held is not None
        claims.write_beat(farm.store, held, 1, "w", {"done": done, "total": STEPS, "fps": 2.0})
    seen = status.status(farm.store, job)
    share, rate = (1 + 3 / 4 + 4 / 2) / WEIGHT, (3 + 4) * 2 / STEPS / WEIGHT
    assert seen.state == "rendering" and seen.percent == pytest.approx(100 * share)
    assert seen.eta == pytest.approx((1 - share) / rate) and seen.strip(4) == "drrw"
    assert (seen.ticks, seen.done, seen.fps) == (FRAMES, 0, 0.0), "steps were taken for frames"
    assert seen.steps == f"1 of 4 units; b at step 5 of {STEPS}, c at step 10 of {STEPS}"
    assert pace(seen).startswith("1 of 4 units; b at step 5")
    assert [(each.done, each.ticks) for each in seen.segments[1:3]] == [(5, STEPS), (10, STEPS)]


def test_a_unit_that_gets_on_is_seen_to(farm: JobFarm, voice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = submit(farm, voice)
    monkeypatch.setattr(heartbeat, "LOOK_S", 0.02)
    monkeypatch.setattr(heartbeat, "BEAT_S", 0.02)
    farm.order("sleep-a", "0.5")
    thread = threading.Thread(target=farm.worker().advance, args=(job,))
    thread.start()
    shares = set[float]()
    while thread.is_alive():
        shares.add(status.status(farm.store, job).share)
        if len(shares) > 2:
            (farm.orders / "sleep-a").unlink(missing_ok=True)
        time.sleep(0.01)
    assert len(shares) > 2 and max(shares) <= 1 / WEIGHT, "what the unit said was not seen while it was at it"
    assert status.status(farm.store, job).preview


def test_a_unit_that_always_fails_is_parked_and_tried_again_alone(farm: JobFarm, voice: Path) -> None:
    job = submit(farm, voice)
    farm.order("fail-b", "the server\nis away")
    steps = farm.finish(job)
    assert [step.unit for step in steps if step.outcome == "failed"] == ["b"] * claims.ATTEMPTS
    assert [step.unit for step in steps if step.outcome == "done"] == ["a", "c"], "what does not need it goes on"
    seen = status.status(farm.store, job)
    assert (seen.state, seen.kind, seen.reason) == ("parked", "failed", "Unit b: RuntimeError: the server is away")
    assert seen.failing is not None and (seen.failing.unit, seen.failing.attempts) == ("b", 3)
    (farm.orders / "fail-b").unlink()
    status.retry_parked(farm.store, job)
    assert [step.unit for step in farm.finish(job)] == ["b", "d", "assemble"]
    right(farm.result(job))


def test_a_failure_calls_the_driver_as_its_sender_does(farm: JobFarm, voice: Path) -> None:
    job = submit(farm, voice)
    stored = Path(read_job_manifest(farm.store, job).driver_file).name
    farm.order("fail-a", f"{stored} breaks off")
    assert farm.worker().advance(job).reason == "RuntimeError: talk.wav breaks off" and stored != "talk.wav"


def test_memory_that_runs_out_is_tried_with_less(farm: JobFarm, voice: Path) -> None:
    job = submit(farm, voice)
    farm.order("memory-c")
    assert [step.outcome for step in farm.finish(job) if step.unit == "c"] == ["failed", "done"]
    right(farm.result(job))


def test_cancelling_reaches_a_unit_that_asks(farm: JobFarm, voice: Path) -> None:
    job = submit(farm, voice)
    farm.order("check-a")
    died = threading.Event()
    worker = farm.worker()
    worker.die = died.set
    with farm.meanwhile(job, "a", lambda: status.set_wanted_state(farm.store, job, "cancelled")):
        step = worker.advance(job)
    assert (step.outcome, step.unit) == ("cancelled", "a") and not died.is_set()
    assert (2 + heartbeat.PATIENCE_LOOKS) * heartbeat.LOOK_S <= 2.0, "within two seconds, by force at the latest"
    assert not claims.read_unit_state(farm.store, job, "a").open and worker.opener._last is None
    assert list((farm.store.root / folder(job) / "units" / "a").glob("**/.part*")) == [], "its scratch folder is left"


def test_what_makes_no_progress_is_ended_with_its_reason(
    farm: JobFarm, voice: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A unit that only asks whether it must stop makes no progress, and is ended with that reason."""
    monkeypatch.setattr(heartbeat, "STALLED_S", 1.0)
    job = submit(farm, voice)
    farm.order("check-a")
    worker = farm.worker()
    # Instead of ending the process, let the unit continue, too late.
    worker.die = lambda: (farm.orders / "check-a").unlink(missing_ok=True)
    assert worker.advance(job).outcome == "done"
    (failed,) = claims.failures(farm.store, job, "a")
    assert "no progress" in failed.reason and failed.kind == "failed"


def test_progress_keeps_a_unit_alive_without_a_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(heartbeat, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(heartbeat, "LOOK_S", 0.02)
    store, died = LocalStore(tmp_path), threading.Event()
    store.write("jobs/j/job.json", b"{}")
    held = claims.claim_unit(store, "j", "a", claims.read_unit_state(store, "j", "a"), "w")
    assert held == Claim("j", "a", 1)
    with Heartbeat(store, held, "w", die=died.set) as heart:

        def beat() -> int:
            said = claims.read_beat(store, "j", "a", 1)
            return said.beat if said else 0

        for _ in range(5):
            seen = beat()
            now[0] += STALLED_S - 1
            heart.report_progress(0, 100)  # as a unit that waits in a queue which still moves
            wait_for(lambda seen=seen: beat() > seen, what="a look")  # type: ignore[misc]
        assert not died.is_set()
        now[0] += STALLED_S + 1
        assert died.wait(60)


def test_a_kill_in_the_middle_of_publishing_costs_nothing_that_is_done(farm: JobFarm, voice: Path) -> None:
    """Files that an earlier claim left in its folder are not part of the result of a later claim."""
    job = submit(farm, voice)
    farm.worker().advance(job)
    left = farm.store.root / folder(job) / "units" / "b" / "0001"
    left.mkdir(parents=True)
    claims.claim_unit(farm.store, job, "b", claims.read_unit_state(farm.store, job, "b"), "dead")
    (left / "levels.npy").write_bytes(b"half")
    step = farm.worker().advance(job, {("b", 1)})
    assert (step.unit, step.outcome) == ("b", "done") and claims.completion_record(farm.store, job, "b").claim == 2
    farm.finish(job)
    right(farm.result(job))


@pytest.mark.parametrize(
    "order, content, words",
    [
        ("name", "film.mp4", "Grey clip left no clip.mp4 in unit d"),
        ("short", "2", "made 0.1 seconds instead of 1.2"),
        ("fail-c", "no route to host", "RuntimeError: no route to host"),
        ("read-b", "", "Unit b reads c without declaring it"),
    ],
)
def test_what_an_engine_does_wrong_is_one_sentence_of_render(
    farm: JobFarm, voice: Path, tmp_path: Path, order: str, content: str, words: str
) -> None:
    farm.order(order, content)
    avatar = load_avatar(farm.home / "avatars" / "sample")
    with pytest.raises(StudioError, match=words) as caught:
        render_file(avatar, voice, tmp_path / "out.mp4", engine="clip", engines=ENGINES, output=PLAIN)
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["orders"]


def test_ctrl_c_ends_render_and_leaves_nothing(farm: JobFarm, live_home: Path, voice: Path, tmp_path: Path) -> None:
    farm.order("check-a")
    out = tmp_path / "out"
    out.mkdir()
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "cli.app",
        "render",
        "--home",
        live_home,
        "--engine",
        "clip",
        "--driver",
        voice,
    ]
    process = subprocess.Popen(
        [*command, "--out", out / "out.mp4"], env=os.environ | {"STUDIO_ENGINES": json.dumps(ENGINES)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
    )  # fmt: skip
    wait_for(lambda: list(out.glob(".studio-render-*/jobs/*/units/a")), 60, "its first unit")
    process.send_signal(signal.SIGTERM)  # ends the command as Ctrl-C does
    _, complained = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in complained
    assert list(out.iterdir()) == []


def test_memory_that_runs_out_is_tried_with_less_by_render_too(farm: JobFarm, voice: Path, tmp_path: Path) -> None:
    farm.order("memory-b")
    avatar = load_avatar(farm.home / "avatars" / "sample")
    render_file(avatar, voice, tmp_path / "out.mp4", engine="clip", engines=ENGINES, output=PLAIN)
    right(tmp_path / "out.mp4")


def test_what_cannot_be_is_refused_when_it_is_handed_in(farm: JobFarm, voice: Path) -> None:
    with pytest.raises(StudioError, match="cannot be cut out; choose another codec than vp9"):
        submit(farm, voice, OutputSpec(codec="vp9"))
    farm.order("stray")
    with pytest.raises(StudioError, match="No unit needs 'd'"):
        submit(farm, voice)
    with pytest.raises(StudioError, match="Grey clip only makes whole clips and cannot run live"):
        load_frame_engine("clip", ENGINES)
    assert status.jobs(farm.store) == []


def test_an_engine_that_has_changed_its_kind_is_one_sentence(farm: JobFarm, voice: Path) -> None:
    job = submit(farm, voice)
    farm.settings = farm.settings.model_copy(update={"engines": {"clip": "tests.support.engines.job_engines:Card"}})
    worker: UnitWorker = farm.worker()
    assert "differs from the one that the job was made with" in worker.advance(job).reason
