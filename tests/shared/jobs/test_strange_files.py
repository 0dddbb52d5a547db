"""Files in the jobs' store that the studio has not written: each affects no more than its own job."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from services.local.render_farm import FarmBeside, OpenJobs
from services.renderer.worker.caretaker import Caretaker
from shared.config.settings import load_settings
from shared.errors import StudioError
from shared.jobs import claims
from shared.jobs.graph import follow_name, render_name
from shared.jobs.index import JobIndex
from shared.jobs.manifest import folder
from shared.jobs.queue import JobQueue
from shared.jobs.status import delete_job, jobs, parked, result, retry_parked, status
from shared.jobs.store import LocalStore
from shared.jobs.workers import _worker
from tests.support.jobs import job_material

BINARY = b"\xff\xfe\x00\xd8"
CONTENTS = (b"", b"{", BINARY, b"[]", b"null", b'"claim"', b"1e400", b"[" * 100_000, b'{"beat": "x", "worker": 3}')
NAMES = (
    "claim-0001.sync-conflict-1.json", "claim-0001 (1).json", "claim-.json", "claim-1.json", "claim-00001.json",
    "claim-\u0661\u0662\u0663\u0664.json", "claim--001.json", "claim-0000.json", "claim-99999999999999999999.json",
    "failed-0001 copy.json", "failed-.json", "returned-x.json", "done.json.bak", "parked (2).json",
    ".claim-0001.json.swp",
    "claim-0001.json~", "failed-0001\n.json", "\udcff\udcfe.json",
)  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "jobs")


def everything_looks(store: LocalStore, home: Path) -> list[str]:
    """Read the store as the list, the caretaker and a channel's farm do; return the listed ids."""
    queue = JobQueue(load_settings(home=home))
    index = JobIndex(store, queue)
    rows = index.rows([name for name, _ in index.order()])
    swept = Caretaker(store, queue).sweep()
    OpenJobs(store).has_any()
    assert swept.open >= 1, "the whole job is cared for"
    return [row.id for row in rows]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_others_is_ignored(store: LocalStore, tmp_path: Path, name: str) -> None:
    job = job_material.job(store, 1, segments=2)
    job_material.begin(store, job, 1, at_work=1)
    before = status(store, job)
    for unit in (render_name(0), render_name(1)):
        (store.root / folder(job) / "units" / unit / name).write_bytes(b"{}")
    assert status(store, job) == before
    assert everything_looks(store, tmp_path) == [job]


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize(
    "name", ["units/render-00000/claim-0001.json", "units/render-00000/failed-0001.json", "parked.json", "wish.json",
             "result.json", "job.json", "units/render-00000/done.json", "units/render-00000/parked.json"],
)  # fmt: skip
def test_a_damaged_file_costs_its_own_job_alone(store: LocalStore, tmp_path: Path, name: str, content: bytes) -> None:
    damaged, whole = job_material.job(store, 1, segments=1), job_material.job(store, 2, segments=1)
    job_material.begin(store, damaged, 0, at_work=1)
    store.write(f"{folder(damaged)}/{name}", content)
    assert everything_looks(store, tmp_path) == [damaged, whole]
    assert status(store, whole).state == "queued"
    status(store, damaged)


@pytest.mark.parametrize(
    "facts", [{"ticks": "many"}, {"ticks": -1}, {"ticks": 2.5}, {"file": "../../etc/passwd"}, {"bytes": None}]
)
def test_a_result_that_cannot_be_one_is_none(store: LocalStore, facts: dict[str, object]) -> None:
    job = job_material.job(store, 1)
    job_material.complete(store, job)
    assert status(store, job).state == "done"
    whole = json.loads(store.read(f"{folder(job)}/result.json") or b"")
    store.write(f"{folder(job)}/result.json", json.dumps(whole | facts).encode())
    assert result(store, job) is None and status(store, job).state == "queued", "it is rendered again"


@pytest.mark.parametrize(
    "beat",
    [
        {"beat": None},
        {"beat": "1"},
        {"beat": 10**30},
        {"done": "half"},
        {"fps": "fast"},
        {"worker": ["x"]},
        {"total": -5},
    ],
)
def test_a_claim_whose_beat_is_none_expires(store: LocalStore, beat: dict[str, object]) -> None:
    job = job_material.job(store, 1, segments=1)
    job_material.begin(store, job, 0, at_work=1)
    unit = render_name(0)
    store.write(f"{folder(job)}/units/{unit}/claim-0001.json", json.dumps({"beat": 1, "worker": "w"} | beat).encode())
    assert claims.read_beat(store, job, unit, 1) is None
    now = [0.0]
    caretaker = Caretaker(store, JobQueue(load_settings(home=store.root)), lambda: now[0])
    for _ in range(8):
        swept = caretaker.sweep()
        now[0] += 5.0
    assert swept.expired == 1


def test_a_truncated_manifest_is_listed_and_can_be_removed(store: LocalStore) -> None:
    job = job_material.job(store, 1)
    raw = store.read(f"{folder(job)}/job.json") or b""
    store.write(f"{folder(job)}/job.json", raw[: len(raw) // 2])
    seen = status(store, job)
    assert (seen.state, seen.kind) == ("parked", "damaged") and "studio jobs rm" in seen.reason
    with pytest.raises(StudioError, match="damaged job"):
        retry_parked(store, job)
    delete_job(store, job)
    assert jobs(store) == []


def test_what_a_deletion_left_is_listed_and_can_be_removed(store: LocalStore) -> None:
    job = job_material.job(store, 1)
    job_material.begin(store, job, 1)
    store.remove(f"{folder(job)}/job.json")
    assert status(store, job).kind == "damaged"
    delete_job(store, job)
    assert jobs(store) == []


def test_an_emptied_record_is_named_and_made_again(store: LocalStore) -> None:
    job = job_material.job(store, 1, segments=2)
    job_material.begin(store, job, 1)
    store.write(f"{folder(job)}/units/{follow_name(0)}/done.json", b"")
    with pytest.raises(StudioError, match=f"studio jobs retry {job}"):
        claims.completion_record(store, job, follow_name(0))
    retry_parked(store, job)
    state = claims.read_unit_state(store, job, follow_name(0))
    assert not state.done and not state.open and state.claim == 1, "its number is not given out twice"


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.mkdir(), lambda path: path.symlink_to("loop"), lambda path: path.symlink_to(path.name),
        lambda path: path.symlink_to("/dev/null"), lambda path: path.write_text("{}", encoding="utf-8"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["job.json", "units", "result.json", "wish.json"])
def test_a_folder_a_link_or_a_file_in_the_wrong_place(
    store: LocalStore, tmp_path: Path, name: str, make: Callable[[Path], None]
) -> None:
    whole, strange = job_material.job(store, 1), job_material.job(store, 2)
    store.remove(f"{folder(strange)}/{name}")
    make(store.root / folder(strange) / name)
    assert whole in everything_looks(store, tmp_path)


@pytest.mark.parametrize(
    "name", ["Thumbs.db", "20260504-120001-000001 (1)", "\udcff", "x" * 200, "20260504-120001-00000f"]
)
def test_what_is_no_job_is_not_listed(store: LocalStore, tmp_path: Path, name: str) -> None:
    job = job_material.job(store, 1)
    (store.root / "jobs" / name).write_bytes(b"{}")
    assert everything_looks(store, tmp_path) == [job]


def test_a_copy_of_a_job_is_not_worked_at(store: LocalStore, tmp_path: Path) -> None:
    job = job_material.job(store, 1)
    store.write("jobs/20260504-120001-copied/job.json", store.read(f"{folder(job)}/job.json") or b"")
    assert status(store, "20260504-120001-copied").kind == "damaged"
    assert job in everything_looks(store, tmp_path)


def test_a_thread_that_looks_for_jobs_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ends(_: FarmBeside) -> None:
        return

    monkeypatch.setattr(FarmBeside, "_look", ends)
    beside = FarmBeside(load_settings(home=tmp_path))
    for _ in range(3):
        beside.turn()
        assert beside._looker is not None
        beside._looker.join()
    assert beside.lookers_ended == 2


@pytest.mark.parametrize(
    "row", [b"", b"[]", BINARY, b'{"name": "w"}', b'{"name": "w", "beat": "x", "host": "h", "pid": 1, "engines": []}']
)
def test_a_worker_that_says_nonsense_is_ignored(row: bytes) -> None:
    assert _worker(row) is None


def test_a_reason_that_can_no_longer_be_read_still_parks(store: LocalStore) -> None:
    job = job_material.job(store, 1)
    store.write(f"{folder(job)}/parked.json", b"")
    waits = parked(store, job)
    assert waits is not None and waits[1] == "failed"
