"""A task at one service, through everything that the contract allows to happen, on a driven clock."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from engines.duix.data_folder import DataFolder, TaskRecord
from engines.duix.pool import Task
from shared.errors import StudioError
from shared.media.timeline import read_timeline
from tests.support.engines.duix.material import CODE, Client, PollerClock, task
from tests.support.engines.duix.service import DuixStandIn, Knobs


@dataclass
class PollerBench:
    """A stand-in for the service, a task for it, and the clock of both."""

    service: DuixStandIn
    task: Task
    clock: PollerClock
    out: Path

    @property
    def folder(self) -> DataFolder:
        return DataFolder(self.service.data)

    def client(self) -> Client:
        return Client([self.service], self.clock)

    def make(self) -> Path:
        """Get the video as a new process does, which knows nothing of earlier ones."""
        self.client().pool().video(self.task, self.out)
        return self.out

    def right(self) -> None:
        """Check that the video is made, of a task accepted once, and that nothing is left after the cleanup."""
        assert float(read_timeline(self.make()).duration) == pytest.approx(1.0)
        assert self.service.taken == [CODE]
        assert self.out.read_bytes() == (self.service.temp / f"{CODE}-r.mp4").read_bytes()
        self.client().pool().clean(CODE)
        self.empty()

    def empty(self) -> None:
        assert [path.name for path in self.service.temp.iterdir()] == []
        assert [path.name for path in (self.service.data / "persona-studio").iterdir()] == ["lock"]

    def fails(self, words: str) -> None:
        """Check that the task fails with one sentence, and that nothing is left of it."""
        with pytest.raises(StudioError, match=words) as caught:
            self.make()
        assert "\n" not in str(caught.value) and not self.out.exists()
        self.empty()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[PollerBench]:
    clock = PollerClock()
    service = DuixStandIn(tmp_path / "data", clock=clock, later=clock.later)
    with service.serving():
        yield PollerBench(service, task(tmp_path), clock, tmp_path / "out.mp4")


def test_a_task_is_handed_in_as_the_contract_says_and_its_progress_told(bench: PollerBench) -> None:
    client = bench.client()
    client.pool().video(bench.task, bench.out)
    assert bench.service.bodies == [
        {
            "audio_url": f"{CODE}-speech.wav", "video_url": f"{CODE}-film.mp4", "code": CODE,
            "chaofen": 0, "watermark_switch": 0, "digital_auth": 0, "pn": 1,
        }
    ]  # fmt: skip
    assert bench.service.asked == [CODE] * len(bench.service.asked) and bench.service.ends == [CODE]
    assert len(bench.service.asked) == 6, "it asks every two seconds of twelve"
    assert sorted(set(client.percents)) == [0, 5, 20, 40, 60, 80]
    bench.right()


@pytest.mark.parametrize("prefix", ["", "/", "/code/data/temp/", "\\code\\data\\temp\\"])
def test_the_result_is_found_however_its_path_is_given(bench: PollerBench, prefix: str) -> None:
    bench.service.knobs.prefix = prefix
    bench.right()


def test_a_file_that_appears_late_is_waited_for(bench: PollerBench) -> None:
    bench.service.knobs.late = 14.0
    bench.right()


def test_an_end_without_a_file_is_a_sentence(bench: PollerBench) -> None:
    bench.service.knobs.drop_result = True
    bench.fails("has finished is not in .*temp; check that the container mounts")


@pytest.mark.parametrize("status", [3, 4])
def test_a_failure_comes_in_its_words_and_a_retry_begins_again(bench: PollerBench, status: int) -> None:
    bench.service.knobs = Knobs(fail_at=20, status=status)
    bench.fails("failed: no face")
    bench.service.knobs = Knobs()
    assert bench.make().exists() and bench.service.taken == [CODE, CODE]


def test_a_task_that_stands_still_is_given_up_after_ten_minutes(bench: PollerBench) -> None:
    bench.service.knobs.hang_at, begun = 20, bench.clock.now
    bench.fails("has made no progress for 10 minutes; restart its container, then retry")
    assert 600 <= bench.clock.now - begun < 620


def test_a_video_that_grows_is_progress(bench: PollerBench) -> None:
    """The service reports whole percents, which change rarely for long speech."""
    bench.service.knobs.hang_at, begun = 20, bench.clock.now
    client, growing = bench.client(), bench.service.temp / f"{CODE}-t.mp4"
    minutes = set[int]()

    def told(percent: int) -> None:
        if (minute := int(bench.clock.now - begun) // 60) not in minutes:
            minutes.add(minute)
            growing.write_bytes(bytes(minute))

    pool = client.pool()
    pool.told = told
    with pytest.raises(StudioError, match="has not finished within 15 minutes"):
        pool.video(bench.task, bench.out)
    assert 900 <= bench.clock.now - begun < 920


@pytest.mark.parametrize("code, words", [(10002, "says 10002"), (9999, "says 9999")])
def test_an_error_to_a_query_ends_the_task(bench: PollerBench, code: int, words: str) -> None:
    bench.service.knobs.queries = [code]
    bench.fails(words)


@pytest.mark.parametrize("code", [10001, 10003])
def test_a_busy_answer_to_a_query_is_asked_again(bench: PollerBench, code: int) -> None:
    bench.service.knobs.queries = [code, code]
    bench.right()


def test_a_task_that_is_gone_with_its_video_there_is_a_success(bench: PollerBench) -> None:
    bench.service.knobs = Knobs(lose_at=60, keep_file=True)
    bench.right()


def test_a_task_that_is_gone_without_a_video_has_failed(bench: PollerBench) -> None:
    bench.service.knobs.lose_at = 60
    bench.fails("has lost the task, as after a restart; retry")
    bench.service.knobs = Knobs()
    assert bench.make().exists() and bench.service.taken == [CODE, CODE]


def test_half_a_video_of_a_task_that_is_gone_is_none(bench: PollerBench) -> None:
    bench.service.knobs = Knobs(lose_at=60, keep_file=True, cut=900)
    bench.fails("has finished cannot be read")


def test_a_task_that_is_not_known_at_first_is_asked_for_again(bench: PollerBench) -> None:
    bench.service.knobs.unknown = 3
    bench.right()


@pytest.mark.parametrize("wrong", ["garbage", -500])
def test_answers_to_queries_that_cannot_be_understood_are_asked_for_again(bench: PollerBench, wrong: int | str) -> None:
    bench.service.knobs.queries = [wrong] * 2
    bench.right()


def test_a_service_that_gives_no_answers_is_a_sentence_and_the_task_goes_on_later(bench: PollerBench) -> None:
    bench.service.knobs.queries, begun = [-500] * 100, bench.clock.now
    with pytest.raises(StudioError, match=r"does not answer \(HTTP status 500\); check that its container is running"):
        bench.make()
    assert 120 <= bench.clock.now - begun < 130
    bench.service.knobs.queries = []
    bench.right()


@pytest.mark.parametrize("wrong, times", [("garbage", 1), (-500, 2)])
def test_a_submit_without_an_answer_is_found_out_about_and_not_repeated(
    bench: PollerBench, wrong: int | str, times: int
) -> None:
    """After garbage the task was accepted; after an error it was not, which ten seconds of queries show."""
    bench.service.knobs.submits, begun = [wrong], bench.clock.now
    bench.right()
    assert len(bench.service.asked) > 6 * times - 1 and (times == 1 or bench.clock.now - begun > 22)


def test_a_task_that_was_seen_is_not_taken_for_one_that_never_came(bench: PollerBench) -> None:
    """Its submit had no answer but its queries had; when it is lost then, it is not submitted again silently."""
    bench.service.knobs = Knobs(submits=["garbage"], lose_at=60)
    bench.fails("has lost the task")
    assert bench.service.taken == [CODE]


def test_a_submit_that_is_never_answered_is_a_sentence(bench: PollerBench) -> None:
    bench.service.knobs.submits = [-500] * 50
    with pytest.raises(StudioError, match="returned an answer that could not be read"):
        bench.make()
    assert bench.folder.record(CODE) is None


def test_busy_codes_back_off(bench: PollerBench) -> None:
    bench.service.knobs.submits = [10001, 10003, 10001, 10001, 10001]
    bench.right()
    apart = [after - before for before, after in zip(bench.service.times, bench.service.times[1:], strict=False)]
    assert apart == [pytest.approx(each, abs=0.2) for each in (5, 10, 20, 30, 30)]


def test_a_service_that_stays_busy_is_a_sentence(bench: PollerBench) -> None:
    bench.service.knobs.submits, begun = [10001] * 100, bench.clock.now
    with pytest.raises(StudioError, match="is busy with something else; check that its container is running"):
        bench.make()
    assert 900 <= bench.clock.now - begun < 940 and bench.folder.record(CODE) is None


@pytest.mark.parametrize("code", [9999, 10002, 10005])
def test_a_submit_that_is_refused_is_a_sentence(bench: PollerBench, code: int) -> None:
    bench.service.knobs.submits = [code]
    bench.fails(rf"refuses the task \({code}: told to\); restart its container, then retry")


def test_a_missing_field_is_refused_as_the_contract_says(bench: PollerBench) -> None:
    assert bench.service.submit({"code": CODE})["code"] == 10002


def test_a_service_that_is_not_there_is_a_sentence(bench: PollerBench) -> None:
    bench.service.url = "http://127.0.0.1:9"  # discard: nothing listens
    with pytest.raises(StudioError, match=r"cannot be reached .*; check that its container is running"):
        bench.make()
    assert bench.service.taken == [] and bench.folder.record(CODE) is None


@pytest.mark.parametrize("name", ["{}-q.mp4", "../{}-r.mp4x", "other-r.mp4"])
def test_a_result_of_another_name_is_refused(bench: PollerBench, name: str) -> None:
    bench.service.knobs.name = name
    bench.fails("which does not belong to this task")


def test_a_result_that_leads_out_of_the_folder_is_none(bench: PollerBench) -> None:
    bench.service.knobs.drop_result = True
    bench.service.temp.mkdir(exist_ok=True)
    (bench.service.temp / f"{CODE}-r.mp4").symlink_to(bench.task.film)
    bench.fails("is not in")
    assert bench.task.film.exists()


@pytest.mark.parametrize(
    "knobs, words", [(Knobs(shorter=6), "lasts 0.8 seconds instead of 1.0"), (Knobs(cut=900), "cannot be read")]
)
def test_a_video_that_is_not_whole_is_refused(bench: PollerBench, knobs: Knobs, words: str) -> None:
    bench.service.knobs = knobs
    bench.fails(words)


def test_an_end_is_on_the_disk_before_anything_else_is_done(
    bench: PollerBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the answer that reports the end, nothing happens before its record is flushed and has its name."""
    steps = list[str]()
    bench.service.knobs.after = lambda what: steps.append("end") if bench.service.ends else None
    flush, replace = os.fsync, os.replace

    def noted_flush(file: int) -> None:
        flush(file)
        steps.append("flush")

    def noted_rename(source: Path, target: Path) -> None:
        replace(source, target)
        steps.append("rename")

    monkeypatch.setattr(os, "fsync", noted_flush)
    monkeypatch.setattr(os, "replace", noted_rename)
    bench.make()
    assert steps[steps.index("end") :][:4] == ["end", "flush", "rename", "flush"]
    assert bench.folder.record(CODE) == TaskRecord(CODE, "done", 1.0, f"{CODE}-r.mp4")


def test_an_end_that_was_told_is_not_asked_for_again(bench: PollerBench) -> None:
    bench.make()
    asked = len(bench.service.asked)
    bench.out.unlink()
    assert bench.make().exists() and len(bench.service.asked) == asked
    bench.right()


def test_what_a_job_never_came_for_goes_after_a_week(bench: PollerBench) -> None:
    old = "1" * 8
    bench.folder.temp.mkdir(exist_ok=True)
    with bench.folder.locked():
        for code in (old, "2" * 8):
            bench.folder.write(TaskRecord(code, "done", 1.0))
            (bench.folder.temp / f"{code}-r.mp4").write_bytes(b"")
    record = bench.service.data / "persona-studio" / f"{old}.json"
    os.utime(record, (record.stat().st_mtime - 8 * 86400,) * 2)
    bench.make()
    assert sorted({path.name[:8] for path in bench.service.temp.iterdir()}) == [CODE[:8], "2" * 8]


def test_a_damaged_record_is_a_sentence(bench: PollerBench) -> None:
    with bench.folder.locked():
        (bench.service.data / "persona-studio" / f"{CODE}.json").write_text("{", encoding="utf-8")
    with pytest.raises(StudioError, match="is damaged; delete it, and the job starts over"):
        bench.make()
