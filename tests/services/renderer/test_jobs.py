"""Jobs done by workers in this process.

Their frames equal those of a single run, no unit is done twice or lost, and a failure is one sentence.
"""

import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from services.renderer.job.foreground import render_file
from services.renderer.job.open_job import JobOpener
from services.renderer.job.step import StepResult, UnitWorker
from shared.avatar.model import load_avatar
from shared.config.settings import Settings
from shared.errors import StudioError
from shared.jobs import claims, status
from shared.jobs.graph import render_name
from shared.jobs.manifest import Manifest
from shared.jobs.store import LocalStore
from shared.media.output_spec import OutputSpec
from shared.media.reader import Mp4Writer, VideoReader
from shared.runtime.clock import SOUND_RATE_HZ
from tests.support.engines.job_engines import ENGINES, ORDERS
from tests.support.files.sound_files import wav
from tests.support.jobs.job_farm import JobFarm

FRAMES, FPS, SEGMENT = 44, 25, 0.48  # 12 frames in each of three segments and 8 in the last


@pytest.fixture
def farm(small_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JobFarm:
    orders = tmp_path / "orders"
    orders.mkdir()
    monkeypatch.setenv(ORDERS, str(orders))
    settings = Settings(
        home=small_home, jobs=str(tmp_path / "jobs"), engines=ENGINES, segment_seconds=SEGMENT, idle_after=0.2
    )
    return JobFarm(small_home, LocalStore(tmp_path / "jobs"), settings, orders)


@pytest.fixture(scope="module")
def driver(small_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames of the sample driver, with sound; for half a second in the middle they show no face."""
    path = tmp_path_factory.mktemp("driver") / "talk.mp4"
    with av.open(str(small_home / "drivers" / "sample.mp4")) as source:
        frames = [f.to_ndarray(format="yuv420p") for f, _ in zip(source.decode(video=0), range(FRAMES), strict=False)]
    height, width = frames[0].shape[0] * 2 // 3, frames[0].shape[1]
    noise = np.random.default_rng(1).normal(0, 2000, FRAMES * SOUND_RATE_HZ // FPS).astype(np.int16)
    with Mp4Writer(path, width, height, Fraction(FPS), sound=True) as writer:
        for number, frame in enumerate(frames):
            shown = np.full_like(frame, 128) if 18 <= number < 30 else frame
            writer.frame(np.asarray(shown, np.uint8), index=number)
        writer.sound(noise, 0)
    return path


def frames(path: Path) -> list[str]:
    with VideoReader(path) as reader:
        return [hashlib.sha256(rgb.tobytes()).hexdigest() for _, rgb in reader]


def sound(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.concatenate([f.to_ndarray().reshape(-1) for f in container.decode(audio=0)])


@pytest.mark.parametrize("engine", ["mesh", "card", "seer", "chain"])
def test_a_job_in_segments_shows_what_one_run_shows(farm: JobFarm, driver: Path, tmp_path: Path, engine: str) -> None:
    whole = tmp_path / "whole.mp4"
    count = render_file(
        load_avatar(farm.home / "avatars" / "sample"), driver, whole, engine=engine, engines=ENGINES,
        idle_after=farm.settings.idle_after, segment_seconds=SEGMENT,
    )  # fmt: skip
    assert count == FRAMES
    job = farm.submit(driver, engine).id
    # A new worker at every step: only what is on disk is carried over.
    steps: list[StepResult] = []
    while not steps or steps[-1].outcome != "nothing":
        steps.append(farm.worker().advance(job))
    assert [step.outcome for step in steps] == ["done"] * 9 + ["nothing"]
    result = farm.result(job)
    assert frames(result) == frames(whole) and len(frames(whole)) == FRAMES
    assert np.array_equal(sound(result), sound(driver)), "sound is copied, not encoded again"
    assert status.status(farm.store, job).state == "done"
    assert not (farm.store.root / "jobs" / job / "units").exists(), "files of the units are kept"


def test_a_job_and_a_render_are_made_with_the_options_that_are_asked_for(
    farm: JobFarm, driver: Path, tmp_path: Path
) -> None:
    whole, avatar = tmp_path / "whole.mp4", load_avatar(farm.home / "avatars" / "sample")
    more = {"engines": ENGINES, "idle_after": farm.settings.idle_after, "segment_seconds": SEGMENT}
    shown = {}
    for name, options in {"pale": {"quality": "pale", "blue": "12"}, "": {}}.items():
        job = farm.submit(driver, "dyed", options=options)
        assert job.look == ({"blue": 12, "quality": "pale"} if options else {"blue": 10, "quality": "deep"})
        farm.finish(job.id)
        render_file(avatar, driver, whole, engine="dyed", options=options, **more)  # type: ignore[arg-type]
        shown[name] = frames(whole)
        assert frames(farm.result(job.id)) == shown[name]
    assert shown["pale"] != shown[""]
    with pytest.raises(StudioError, match="'quality' of Dyed card: Input should be 'deep' or 'pale'"):
        render_file(avatar, driver, whole, engine="dyed", options={"quality": "loud"}, **more)  # type: ignore[arg-type]


def test_an_engines_own_settings_go_along(farm: JobFarm, driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_DYED_BLUE", "20")
    monkeypatch.setenv("STUDIO_DYED_THREADS", "2")
    first = farm.submit(driver, "dyed")
    assert first.look == {"blue": 20, "quality": "deep"}
    monkeypatch.setenv("STUDIO_DYED_BLUE", "200")
    second = farm.submit(driver, "dyed")
    monkeypatch.delenv("STUDIO_DYED_BLUE")
    worker = farm.worker()  # one worker for both jobs, with settings of its own
    for job in (first.id, second.id):
        farm.finish(job, worker)
    one, other = (frames(farm.result(job.id)) for job in (first, second))
    assert one != other
    said = json.loads((farm.store.root / "jobs" / second.id / "result.json").read_text(encoding="utf-8"))
    assert said["look"] == {"blue": 200, "quality": "deep"}
    monkeypatch.setenv("STUDIO_DYED_BLUE", "20")
    third = farm.submit(driver, "dyed").id
    monkeypatch.setenv("STUDIO_DYED_BLUE", "90")
    farm.finish(third)
    assert frames(farm.result(third)) == one


def test_segments_are_done_in_any_order_by_any_number_of_workers(farm: JobFarm, driver: Path, tmp_path: Path) -> None:
    job = farm.submit(driver, "card").id
    steps: list[StepResult] = []

    def work(name: str) -> None:
        worker = farm.worker(name)
        while status.status(farm.store, job).state != "done":
            steps.append(worker.advance(job))

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done = sorted(step.unit for step in steps if step.outcome == "done")
    assert len(done) == len(set(done)) == 9, "something was done twice"
    reference = farm.submit(driver, "card", key="again").id
    farm.finish(reference)
    assert frames(farm.result(job)) == frames(farm.result(reference))


def test_a_worker_that_comes_when_the_job_ends_begins_nothing(
    farm: JobFarm, driver: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker begins nothing where the job ends, and its inputs are deleted, after the worker checked its state."""
    job, late = farm.submit(driver, "card").id, farm.worker("late")

    def meanwhile() -> None:
        monkeypatch.undo()
        monkeypatch.setenv(ORDERS, str(farm.orders))
        farm.finish(job)

    monkeypatch.setattr(farm.store, "room", meanwhile)
    assert late.advance(job).outcome == "nothing"
    assert status.status(farm.store, job).state == "done" and not farm.store.list(f"jobs/{job}/units")


class BegunUnits(LocalStore):
    """Records the claim with which each unit was begun."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.begun: dict[str, dict[str, Any]] = {}

    def create(self, name: str, content: bytes) -> bool:
        unit, _, file = name.rpartition("/")
        if file.startswith("claim-"):
            self.begun[unit.rpartition("/")[2]] = json.loads(content)
        return super().create(name, content)


def test_a_unit_begins_at_the_pace_of_the_one_before_of_its_kind(farm: JobFarm, driver: Path) -> None:
    """The remaining time is therefore known before the unit has reported anything.

    The pace of another job is not used.
    """
    farm.store = store = BegunUnits(farm.store.root)
    worker = farm.worker()
    for key in ("one", "two"):
        steps = farm.finish(farm.submit(driver, "card", key=key).id, worker)
        assert [step.outcome for step in steps] == ["done"] * 9
        told = [name for name in store.begun if "pace" in store.begun[name]]
        assert set(told) == set(store.begun) - {"follow-00000", "render-00000", "assemble"}
        assert all(store.begun[name]["pace"] > 0 for name in told)


def test_a_voice_in_segments_is_what_one_run_makes(farm: JobFarm, tmp_path: Path) -> None:
    from tests.support.files.voice_material import silence, sound_of, voiced

    voice, whole = tmp_path / "speech.wav", tmp_path / "whole.mp4"
    samples = sound_of([silence(0.3), voiced("a", 0.4), silence(0.2), voiced("i", 0.3), silence(0.21)])
    voice.write_bytes(wav(samples))
    avatar = load_avatar(farm.home / "avatars" / "sample")
    count = render_file(avatar, voice, whole, segment_seconds=SEGMENT, idle_after=farm.settings.idle_after)
    assert abs(count / FPS - len(samples) / SOUND_RATE_HZ) <= 1 / FPS
    job = farm.submit(voice).id
    assert all(step.outcome == "done" for step in farm.finish(job))
    assert frames(farm.result(job)) == frames(whole) and len(frames(whole)) == count


def test_the_result_is_delivered_with_all_it_takes_to_repeat_it(farm: JobFarm, driver: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "host.mp4"
    out.parent.mkdir()
    captions = tmp_path / "speech.vtt"
    captions.write_bytes(b"WEBVTT\n")
    job = farm.submit(driver, "card", out=out, output=OutputSpec(size=(320, 240)), captions=captions).id
    captions.unlink()  # the job has its own copy
    farm.finish(job)
    assert sorted(p.name for p in out.parent.iterdir()) == ["host.mp4", "host.mp4.json", "host.vtt"]
    assert out.with_suffix(".vtt").read_bytes() == b"WEBVTT\n"
    assert status.status(farm.store, job).captions == "result.vtt"
    sidecar = json.loads((out.parent / "host.mp4.json").read_text(encoding="utf-8"))
    assert sidecar["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest() and "AI-generated" in sidecar["statement"]
    assert sidecar["driver"]["sha256"] == hashlib.sha256(driver.read_bytes()).hexdigest()
    assert sidecar["engine"] == "card" and sidecar["ticks"] == FRAMES and sidecar["output"]["size"] == [320, 240]
    with VideoReader(out) as reader:
        assert (reader.width, reader.height) == (320, 240)


def test_a_segment_that_always_fails_is_parked_and_the_others_finish(farm: JobFarm, driver: Path) -> None:
    job = farm.submit(driver, "card").id
    farm.order("fail", "15")
    failed = [step for step in farm.finish(job) if step.outcome == "failed"]
    assert [step.unit for step in failed] == ["render-00001"] * claims.ATTEMPTS and failed[0].wake == 1
    assert failed[-1].wake == 0
    seen = status.status(farm.store, job)
    assert seen.state == "parked" and "Segment 2" in seen.reason and "told to fail at tick 15" in seen.reason
    assert [segment.state for segment in seen.segments] == ["done", "parked", "done", "done"]
    (farm.orders / "fail").unlink()
    status.retry_parked(farm.store, job)
    assert [step.unit for step in farm.finish(job)] == ["render-00001", "assemble"]
    assert len(frames(farm.result(job))) == FRAMES


@pytest.mark.parametrize("fits", [True, False])
def test_memory_that_runs_out_is_tried_smaller_once_and_then_parked(farm: JobFarm, driver: Path, fits: bool) -> None:
    job = farm.submit(driver, "card").id
    farm.order("memory", "15")
    if fits:
        farm.order("small-fits")
    steps = [step for step in farm.finish(job) if step.unit == "render-00001"]
    assert [step.outcome for step in steps] == (["failed", "done"] if fits else ["failed", "failed"])
    seen = status.status(farm.store, job)
    assert (seen.state, seen.kind) == (("done", "") if fits else ("parked", "memory"))
    assert fits or "too little memory" in seen.reason


def test_a_driver_without_a_face_is_parked_with_that_sentence(farm: JobFarm, tmp_path: Path) -> None:
    path = tmp_path / "wall.mp4"
    with Mp4Writer(path, 320, 240, Fraction(FPS), sound=False) as writer:
        for number in range(10):
            writer.frame(np.full((360, 320), 128, np.uint8), index=number)
    job = farm.submit(path, "card").id
    farm.finish(job)
    seen = status.status(farm.store, job)
    assert seen.state == "parked" and "No face was found in wall.mp4" in seen.reason


def test_a_cancelled_job_stops_at_once_and_frees_what_it_held(farm: JobFarm, driver: Path) -> None:
    job = farm.submit(driver, "card").id
    farm.order("sleep", "1")  # for each frame, so that the job is cancelled before it is done
    worker = farm.worker()
    with farm.meanwhile(job, render_name(0), lambda: status.set_wanted_state(farm.store, job, "cancelled")):
        steps = farm.finish(job, worker)
    assert steps[-1].outcome == "cancelled" and worker.opener._last is None
    assert status.status(farm.store, job).state == "cancelled"
    assert farm.worker().advance(job).outcome == "nothing"


def test_a_worker_that_leaves_hands_its_segment_back(farm: JobFarm, driver: Path) -> None:
    job = farm.submit(driver, "card").id
    farm.order("sleep", "0.5")
    leaving = threading.Event()
    worker = farm.worker()
    worker.leaving = leaving.is_set
    assert worker.advance(job).unit == "follow-00000"
    with farm.meanwhile(job, render_name(0), leaving.set):
        step = worker.advance(job)
    assert (step.outcome, step.unit, step.wake) == ("handed back", "render-00000", 1)
    (farm.orders / "sleep").unlink()
    assert [s.unit for s in farm.finish(job)][:1] == ["render-00000"]
    assert status.status(farm.store, job).state == "done"


def test_two_workers_with_the_same_segment_and_the_late_one_changes_nothing(farm: JobFarm, driver: Path) -> None:
    job = farm.submit(driver, "card").id
    fast = farm.worker("fast")
    assert fast.advance(job).unit == "follow-00000"

    class Frozen(UnitWorker):
        """Has made its segment; before it publishes it, another worker makes and publishes the same segment."""

        __slots__ = ()

        def _published(self, manifest: Manifest, claim: claims.Claim, facts: dict[str, object]) -> StepResult:
            step = fast.advance(job, {("render-00000", 1)})
            assert (step.outcome, step.unit) == ("done", "render-00000")
            return super()._published(manifest, claim, facts)

    late = Frozen(farm.store, JobOpener(farm.store, farm.settings), "late")
    assert late.advance(job).outcome == "lost"
    assert claims.completion_record(farm.store, job, render_name(0)).claim == 2
    farm.finish(job)
    assert len(frames(farm.result(job))) == FRAMES


def test_a_job_of_the_version_before_goes_on_where_it_was(farm: JobFarm, driver: Path) -> None:
    """A manifest without units is resumed; finished units are recognised by the folder names of that version."""
    job, reference = farm.submit(driver, "card").id, farm.submit(driver, "card", key="again").id
    for _ in range(3):
        assert farm.worker().advance(job).outcome == "done"
    path = farm.store.root / "jobs" / job / "job.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    del manifest["units"]
    path.write_text(json.dumps(manifest), encoding="utf-8")
    assert sorted(path.name for path in path.with_name("units").iterdir()) == [
        "follow-00000", "follow-00001", "render-00000",
    ]  # fmt: skip
    seen = status.status(farm.store, job)
    assert [segment.state for segment in seen.segments] == ["done", "waiting", "waiting", "waiting"]
    assert len(farm.finish(job)) == 6, "what was done is done again"
    farm.finish(reference)
    assert frames(farm.result(job)) == frames(farm.result(reference))


def test_the_same_key_is_the_same_job(farm: JobFarm, driver: Path) -> None:
    first = farm.submit(driver, key="tonight")
    assert farm.submit(driver, key="tonight").id == first.id and status.jobs(farm.store) == [first.id]
    with pytest.raises(StudioError, match="used for another job"):
        farm.submit(driver, "card", key="tonight")


def test_what_can_be_known_is_reported_when_a_job_is_submitted(farm: JobFarm, driver: Path, tmp_path: Path) -> None:
    empty, text, voice = tmp_path / "empty.mp4", tmp_path / "text.mp4", tmp_path / "voice.wav"
    empty.write_bytes(b"")
    text.write_bytes(b"hello" * 999)
    voice.write_bytes(wav(np.zeros(SOUND_RATE_HZ, np.int16)))
    nothing = tmp_path / "nothing.wav"
    nothing.write_bytes(wav(np.zeros(0, np.int16)))
    cases: list[tuple[dict[str, object], str]] = [
        ({"driver": empty}, "empty"),
        ({"driver": text}, "text.mp4"),
        ({"driver": tmp_path / "gone.mp4"}, "no file"),
        ({"driver": nothing}, r"nothing\.wav"),
        ({"driver": voice, "engine": "card"}, "moved by a face on video"),
        ({"driver": driver, "engine": "nonsense"}, "no engine"),
        (
            {"driver": driver, "engine": "dyed", "options": {"quality": "best"}},
            r"should be 'deep' or 'pale' \(got 'best'\)",
        ),
        (
            {"driver": driver, "engine": "dyed", "options": {"blue": "much"}},
            "Option 'blue' of Dyed card: .* valid integer",
        ),
        ({"driver": driver, "engine": "dyed", "options": {"bleu": 3}}, "no option 'bleu'; it has blue, quality"),
        ({"driver": driver, "engine": "dyed", "options": {"threads": 3}}, "no option 'threads'"),
        ({"driver": driver, "engine": "card", "options": {"blue": 3}}, "Test card has no options; leave out 'blue'"),
        ({"driver": driver, "out": tmp_path / "no" / "out.mp4"}, "cannot be written"),
        ({"driver": driver, "out": tmp_path / "out.mov"}, r"should end in \.mp4"),
        ({"driver": driver, "key": "k" * 300}, "at most"),
    ]
    for asked, words in cases:
        with pytest.raises(StudioError, match=words) as caught:
            farm.submit(**asked)  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)
    assert status.jobs(farm.store) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    import subprocess

    path = tmp_path / "disk"
    path.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs", path], capture_output=True)
    if made.returncode:
        pytest.skip("this user may not mount a small disk")
    yield path
    subprocess.run(["umount", "-l", path], check=True)


def test_a_full_disk_parks_the_job_and_room_lets_it_go_on(
    farm: JobFarm, driver: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    farm.store = LocalStore(small_disk / "jobs")
    farm.settings = farm.settings.model_copy(update={"jobs": str(small_disk / "jobs")})
    job = farm.submit(driver, "card").id
    assert farm.worker().advance(job).outcome == "done"
    monkeypatch.setattr(
        "services.renderer.job.step.MIN_FREE_BYTES", 0
    )  # so that no check notices it beforehand, but the write fails
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(1 << 16)):
                pass
        except OSError:
            pass
    step = farm.worker().advance(job)
    assert step.outcome in ("no_space", "nothing") and "space" in step.reason
    filler.unlink()
    monkeypatch.undo()
    monkeypatch.setenv(ORDERS, str(farm.orders))
    status.unpark(farm.store, job)
    expired = {("render-00000", 1), ("follow-00001", 1)}  # claims that could not even be ended on the full disk
    steps = [farm.worker().advance(job, expired) for _ in range(12)]
    assert status.status(farm.store, job).state == "done", steps
    assert len(frames(farm.result(job))) == FRAMES


def test_render_onto_a_full_disk_is_one_sentence_and_leaves_nothing(
    farm: JobFarm, driver: Path, small_disk: Path
) -> None:
    avatar, filler = load_avatar(farm.home / "avatars" / "sample"), small_disk / "filler"
    with filler.open("wb") as file:
        file.write(bytes(shutil.disk_usage(small_disk).free - (96 << 10)))
    out = small_disk / "out.mp4"
    with pytest.raises(StudioError, match=r"There is no space left for .*/disk/out\.mp4; free some and render"):
        render_file(avatar, driver, out, engine="card", engines=ENGINES)
    assert [path.name for path in small_disk.iterdir()] == ["filler"]
    with filler.open("r+b") as file:
        file.truncate(60 << 20)  # less than a job asks for, but enough for this render
    assert render_file(avatar, driver, out, engine="card", engines=ENGINES) == FRAMES


def test_too_little_room_is_noticed_before_anything_is_begun(farm: JobFarm, driver: Path, small_disk: Path) -> None:
    farm.store = LocalStore(small_disk / "jobs")
    job = farm.submit(driver, "card").id
    (small_disk / "filler").write_bytes(bytes(50 << 20))
    assert farm.worker().advance(job).outcome == "nothing"
    seen = status.status(farm.store, job)
    assert (seen.state, seen.kind) == ("parked", "no_space") and "MB are free" in seen.reason
