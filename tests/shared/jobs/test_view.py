"""A job's view: the JSON that scripts read keeps its names and values, and the index returns what was stored."""

import json
from pathlib import Path
from typing import Any

import pytest

from shared.jobs.status import status
from shared.jobs.store import LocalStore, Store
from shared.jobs.view import JobView, SegmentState, strip
from tests.support.jobs import job_material as material

FIELDS = {
    "id": "20260504-120001-000001", "state": "rendering", "reason": "", "kind": "", "avatar": "sample",
    "engine": "mesh",
    "driver": "interview.mp4", "priority": "normal", "created": "2026-05-04T12:00:01+00:00", "ticks": 2000, "done": 750,
    "fps": 46.8, "eta": 36.004273504273506,
}  # fmt: skip
LAST = {"preview": True, "result": "", "bytes": 0, "captions": "", "notes": [], "percent": 44.9, "steps": ""}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return LocalStore(tmp_path)


@pytest.fixture
def view(store: Store) -> JobView:
    """View of a job with two segments done, two in progress and one that failed permanently."""
    name = material.job(store, 1)
    material.begin(store, name, 2, 2)
    material.fail(store, name, 4, "No face.")
    return status(store, name)


def segment(number: int, state: str, attempts: int = 0, done: int = 0, reason: str = "") -> dict[str, Any]:
    return {
        "number": number, "state": state, "attempts": attempts, "ticks": 250, "done": done, "reason": reason,
        "unit": "", "words": "",
    }  # fmt: skip


def test_json_of_the_command_line_keeps_its_names_values_and_order(view: JobView) -> None:
    segments = [
        segment(0, "done", 1, 250),
        segment(1, "done", 1, 250),
        segment(2, "rendering", 1, 120),
        segment(3, "rendering", 1, 130),
        segment(4, "parked", 3, 0, "No face."),
        *(segment(number, "waiting") for number in (5, 6, 7)),
    ]
    assert json.dumps(view.as_json()) == json.dumps(FIELDS | {"segments": segments} | LAST)


def test_a_finished_job_has_its_file_and_no_segments(store: Store) -> None:
    name = material.job(store, 1)
    material.complete(store, name, b"film")
    ended = {"state": "done", "done": 2000, "fps": 0.0, "eta": None, "segments": []}
    last = {
        "preview": True,
        "result": "result.mp4",
        "bytes": 4,
        "captions": "",
        "notes": [],
        "percent": 100.0,
        "steps": "",
    }
    assert json.dumps(status(store, name).as_json()) == json.dumps(FIELDS | ended | last)


def test_the_index_gives_back_all_but_the_segments(view: JobView) -> None:
    kept = json.loads(view.as_row())
    assert [name for name in kept if name != "share"] == [*FIELDS, "preview", "result", "bytes", "captions", "notes"]
    assert JobView.from_row(view.as_row()) == view.model_copy(update={"segments": ()})


@pytest.mark.parametrize("row", ['{"id": "a"}', "[]", "not json"])
def test_a_row_of_another_version_is_refused(row: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        JobView.from_row(row)


def test_a_row_with_a_field_of_another_version_is_refused(view: JobView) -> None:
    with pytest.raises(ValueError, match="colour"):
        JobView.from_row(json.dumps(json.loads(view.as_row()) | {"colour": "red"}))


def test_the_percentage_is_exact_until_it_is_written_down(view: JobView) -> None:
    nearly = view.model_copy(update={"share": 1999 / 2000})
    assert nearly.percent == 99.9 and nearly.model_copy(update={"state": "done"}).percent == 100.0
    part = view.model_copy(update={"share": 0.4946})
    assert part.percent == 49.46 and part.as_json()["percent"] == 49.5


def test_a_parked_segment_hinders_before_one_that_is_tried_again(store: Store) -> None:
    name = material.job(store, 1)
    material.begin(store, name, 0)
    material.fail(store, name, 2, "Once.", times=1)
    seen = status(store, name).failing
    assert seen is not None and (seen.number, seen.reason) == (2, "Once.")
    material.fail(store, name, 4, "For good.")
    seen = status(store, name).failing
    assert seen is not None and (seen.number, seen.attempts, seen.reason) == (4, 3, "For good.")


def test_a_cell_of_the_strip_stands_for_several_segments() -> None:
    states: list[SegmentState] = ["done", "done", "done", "waiting", "rendering", "waiting", "done", "parked"]
    assert strip(states, 8) == "dddwrwdf"
    assert strip(states, 4) == "drrf", "done and waiting together are at work; one that failed shows"
    assert strip([], 4) == ""
