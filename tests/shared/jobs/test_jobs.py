"""Jobs on disk: a claim goes to one worker only, late workers do no harm, and states are true."""

import json
import os
import threading
from pathlib import Path

import pytest

from shared.errors import StudioError
from shared.jobs import claims, status
from shared.jobs.graph import ASSEMBLE, follow_name, render_name
from shared.jobs.manifest import Manifest, Plan, folder, read_job_manifest
from shared.jobs.store import LocalStore, Store, open_store
from shared.jobs.survey import JobSurveyor

JOB = "20261121-120000-0badcafe"
RENDER = render_name(0)


def manifest(ticks: int = 600, *, chained: bool = False) -> Manifest:
    plan = Plan(driven="motion", rate="25", ticks=ticks, segment=250, chained=chained)
    return Manifest(
        id=JOB, key="", created="2026-11-21T12:00:00+00:00", priority="normal", avatar="ann", avatar_files="avatars/x",
        engine="mesh", driver="talk.mp4", driver_file="drivers/y.mp4", driver_sha256="y", heard=True, out="", output={},
        idle_after=0.5, plan=plan, versions={},
    )  # fmt: skip


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "jobs") if request.param == "local" else f"memory://{tmp_path.name}")


def handed_in(store: Store, made: Manifest) -> Manifest:
    store.create(f"{folder(made.id)}/job.json", made.model_dump_json().encode())
    return made


def finish(store: Store, unit: str) -> None:
    held = claims.claim_unit(store, JOB, unit, claims.read_unit_state(store, JOB, unit), "w")
    assert held is not None and claims.publish_unit(store, held, {"frames": 1})


def test_of_many_that_create_one_succeeds(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    for name in (f"x/{n}" for n in range(20)):
        won: list[int] = []
        gate = threading.Barrier(8)

        def race(number: int, name: str = name, won: list[int] = won, gate: threading.Barrier = gate) -> None:
            gate.wait()
            if store.create(name, str(number).encode()):
                won.append(number)

        threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1 and store.read(name) == str(won[0]).encode()
    assert not list(tmp_path.glob("x/.*")), "something half-written is left"


def test_a_store_does_what_it_says(store: Store, tmp_path: Path) -> None:
    assert store.read("a/b") is None and store.list("a") == []
    store.write("a/b", b"one")
    store.write("a/b", b"two")
    assert store.create("a/c", b"three") and not store.create("a/c", b"four")
    assert store.read("a/b") == b"two" and store.read("a/c") == b"three" and store.list("a") == ["b", "c"]
    source = tmp_path / "source"
    source.write_bytes(b"five")
    store.put(source, "a/d")
    assert store.fetch("a/d").read_bytes() == b"five" and source.exists()
    store.move_in(source, "a/e")
    assert store.read("a/e") == b"five" and not source.exists()
    with pytest.raises(StudioError, match="missing"):
        store.fetch("a/nothing")
    store.remove("a/b")
    store.remove("a")
    store.remove("a")
    assert store.list("a") == []
    for name in ("../x", "/etc/passwd", "a/../../x"):
        with pytest.raises(ValueError):
            store.read(name)


@pytest.mark.parametrize("other", ["removes", "writes"])
def test_a_folder_is_removed_in_which_another_is_at_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    store = LocalStore(tmp_path)
    for name in ("j/job.json", "j/units/a/claim-0001.json", "j/units/a/done.json"):
        store.write(name, b"{}")
    unlink, begun = os.unlink, list[str]()

    def watched(path: str, *, dir_fd: int | None = None) -> None:
        begun.append(path)
        if len(begun) == 1 and other == "writes":
            tmp_path.joinpath("j/late").touch()
        unlink(path, dir_fd=dir_fd)
        if len(begun) == 1 and other == "removes":
            unlink(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", watched)
    store.remove("j")
    assert store.list("") == [] and "done.json" in begun


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    store = open_store(str(tmp_path / "file"))
    with pytest.raises(StudioError, match="check the jobs folder"):
        store.write("jobs/x", b"")


def test_a_unit_is_claimed_once_and_again_only_when_it_is_free(store: Store) -> None:
    seen = claims.read_unit_state(store, JOB, RENDER)
    first = claims.claim_unit(store, JOB, RENDER, seen, "one")
    assert first is not None and first.number == 1
    assert claims.claim_unit(store, JOB, RENDER, seen, "two") is None, "two workers hold the same claim"
    board, made = JobSurveyor(), handed_in(store, manifest(200))
    finish(store, follow_name(0))
    assert board.survey(store, made).ready == [] and board.survey(store, made).open == [(RENDER, 1)]
    ((unit, state),) = board.survey(store, made, {(RENDER, 1)}).ready
    second = claims.claim_unit(store, JOB, unit, state, "two")
    assert second is not None and second.number == 2
    assert board.survey(store, made, {(RENDER, 1)}).ready == [], "what has expired long ago frees nothing"


def test_a_worker_that_comes_late_publishes_nothing(store: Store) -> None:
    first = claims.claim_unit(store, JOB, RENDER, claims.read_unit_state(store, JOB, RENDER), "frozen")
    second = claims.claim_unit(store, JOB, RENDER, claims.read_unit_state(store, JOB, RENDER), "awake")
    assert first and second
    assert not claims.write_beat(store, first, 5, "frozen", {}) and claims.write_beat(store, second, 1, "awake", {})
    assert not claims.publish_unit(store, first, {"frames": 1}), "the fencing token was not looked at"
    assert claims.publish_unit(store, second, {"frames": 1})
    assert not claims.publish_unit(store, second, {"frames": 2})
    assert claims.completion_record(store, JOB, RENDER).claim == 2
    assert first.file(".mp4") != second.file(".mp4"), "the late one would overwrite"


def test_three_failures_park_a_unit_and_retry_frees_it_alone(store: Store) -> None:
    made, board = handed_in(store, manifest(500)), JobSurveyor()
    finish(store, follow_name(0))
    finish(store, follow_name(1))
    finish(store, render_name(1))
    for attempt in range(claims.ATTEMPTS):
        ((unit, state),) = board.survey(store, made).ready
        held = claims.claim_unit(store, JOB, unit, state, "w")
        assert held is not None and held.number == attempt + 1
        claims.record_failure(store, held, f"it broke {attempt}", "failed")
    assert board.survey(store, made).ready == []
    seen = status.status(store, JOB)
    assert seen.state == "parked" and seen.kind == "failed" and "Segment 1: it broke 2" in seen.reason
    assert [s.state for s in seen.segments] == ["parked", "done"] and seen.done == 250
    status.retry_parked(store, JOB)
    ((unit, state),) = board.survey(store, made).ready
    assert unit == RENDER and state.claim == 3
    with pytest.raises(StudioError, match="has no failed units"):
        status.retry_parked(store, JOB)
    held = claims.claim_unit(store, JOB, unit, state, "w")
    assert held is not None and held.number == 4 and claims.publish_unit(store, held, {"frames": 1})


def test_memory_that_runs_out_is_tried_once_more(store: Store) -> None:
    for _ in range(2):
        state = claims.read_unit_state(store, JOB, RENDER)
        assert not state.parked
        held = claims.claim_unit(store, JOB, RENDER, state, "w")
        assert held is not None
        claims.record_failure(store, held, "too little memory", "memory")
    assert claims.read_unit_state(store, JOB, RENDER).parked


def test_a_worker_that_dies_each_time_is_given_up_on(store: Store) -> None:
    for number in range(claims.DEATHS + 1):
        state = claims.read_unit_state(store, JOB, RENDER)
        assert not state.parked, f"after {number} claims"
        assert claims.claim_unit(store, JOB, RENDER, state, "w")
    assert claims.read_unit_state(store, JOB, RENDER).parked


def test_what_is_handed_back_costs_nothing(store: Store) -> None:
    for _ in range(20):
        held = claims.claim_unit(store, JOB, RENDER, claims.read_unit_state(store, JOB, RENDER), "w")
        assert held is not None
        claims.give_back(store, held)
    state = claims.read_unit_state(store, JOB, RENDER)
    assert not state.parked and not state.open and state.failures == state.deaths == 0


@pytest.mark.parametrize("chained", [False, True])
def test_units_become_ready_in_their_order(store: Store, chained: bool) -> None:
    made, board = handed_in(store, manifest(500, chained=chained)), JobSurveyor()

    def ready() -> list[str]:
        return [unit for unit, _ in board.survey(store, made).ready]

    assert ready() == ["follow-00000"]
    finish(store, follow_name(0))
    assert board.unlocked(store, made, follow_name(0)) == [render_name(0), follow_name(1)]
    finish(store, follow_name(1))
    assert ready() == (["render-00000"] if chained else ["render-00000", "render-00001"])
    finish(store, render_name(0))
    assert ready() == ["render-00001"]
    finish(store, render_name(1))
    assert ready() == [ASSEMBLE] and board.unlocked(store, made, render_name(1)) == [ASSEMBLE]


def test_states_tell_how_a_job_stands(store: Store) -> None:
    made = handed_in(store, manifest(500))
    assert status.jobs(store) == [JOB] and status.status(store, JOB).state == "queued"
    finish(store, follow_name(0))
    held = claims.claim_unit(store, JOB, RENDER, claims.read_unit_state(store, JOB, RENDER), "w")
    assert held is not None
    claims.write_beat(store, held, 1, "w", {"done": 125, "total": 250, "fps": 25.0})
    seen = status.status(store, JOB)
    assert (seen.state, seen.done, seen.fps) == ("rendering", 125, 25.0)
    whole = made.graph.weight  # in frames: following counts half, and assembling the file comes last
    assert whole == 500 * 1.5 * 1.02
    assert seen.percent == pytest.approx(100 * 250 / whole) and seen.eta == pytest.approx((whole - 250) / 25.0)
    status.set_wanted_state(store, JOB, "paused")
    assert status.status(store, JOB).state == "paused" and status.status(store, JOB).eta is None
    status.set_wanted_state(store, JOB, "run")
    status.park(store, JOB, "the disk is full", "no_space")
    assert (status.status(store, JOB).state, status.status(store, JOB).kind) == ("parked", "no_space")
    status.unpark(store, JOB)
    with pytest.raises(StudioError, match="cancel it first"):
        status.delete_job(store, JOB)
    status.set_wanted_state(store, JOB, "cancelled")
    with pytest.raises(StudioError, match="cancelled"):
        status.set_wanted_state(store, JOB, "run")
    assert status.status(store, JOB).state == "cancelled"
    status.delete_job(store, JOB)
    assert status.jobs(store) == []
    with pytest.raises(StudioError, match="no job"):
        status.status(store, JOB)


def test_a_finished_job_is_done_whatever_else_lies_there(store: Store) -> None:
    handed_in(store, manifest(500))
    sidecar = {"file": "result.mp4", "bytes": 12, "ticks": 500}
    store.create(f"{folder(JOB)}/result.json", json.dumps(sidecar).encode())
    seen = status.status(store, JOB)
    assert (seen.state, seen.percent, seen.result, seen.bytes) == ("done", 100.0, "result.mp4", 12)
    with pytest.raises(StudioError, match="done already"):
        status.set_wanted_state(store, JOB, "cancelled")
    with pytest.raises(StudioError, match="done already"):
        status.retry_parked(store, JOB)


def test_a_damaged_manifest_is_one_sentence(store: Store) -> None:
    store.write(f"{folder(JOB)}/job.json", b'{"id": 1}')
    with pytest.raises(StudioError, match="another version"):
        read_job_manifest(store, JOB)
