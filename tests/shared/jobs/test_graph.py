"""A job's units as a graph: the default graph, graphs that are refused, and manifests of the version before."""

import json
from pathlib import Path

import pytest

from shared.errors import StudioError
from shared.jobs.graph import ASSEMBLE, FOLLOW_WEIGHTS, UnitSpec, check_units, clip_graph, kind_of, segment_graph
from shared.jobs.manifest import Manifest, read_job_manifest
from shared.jobs.progress import read_progress
from shared.jobs.status import status
from shared.jobs.store import LocalStore
from tests.support.jobs.job_material import claim, finish

DIAMOND = (UnitSpec("a"), UnitSpec("b", ("a",), 3.0), UnitSpec("c", ("a",), 4.0), UnitSpec("d", ("b", "c"), 2.0))
# A manifest as the version before wrote it: without `units`.
BEFORE = """{
  "schema_version": 1, "id": "20261129-042742-fc8d4ade", "key": "", "created": "2026-11-29T04:27:42+00:00",
  "priority": "normal", "avatar": "sample", "avatar_files": "avatars/a434f88a26373eed16a6019af5e7d608",
  "engine": "mesh", "look": {}, "driver": "sample.mp4", "driver_file": "drivers/02fecace.mp4",
  "driver_sha256": "02fecace", "heard": true, "out": "",
  "output": {"codec": "h264", "fps": null, "size": null, "label": true, "encoder": "libx264"},
  "idle_after": 0.5, "plan": {"driven": "motion", "rate": "25", "ticks": 300, "segment": 200, "chained": false},
  "versions": {"persona-studio": "0.1.0"}
}"""


@pytest.mark.parametrize("chained", [False, True])
def test_segments_are_followed_drawn_and_assembled(chained: bool) -> None:
    graph = segment_graph([20, 20, 5], "motion", chained=chained)
    assert list(graph) == [
        "follow-00000", "render-00000", "follow-00001", "render-00001", "follow-00002", "render-00002", ASSEMBLE,
    ]  # fmt: skip
    assert graph.needs("follow-00000") == () and graph.needs("follow-00002") == ("follow-00001",)
    assert graph.needs("render-00001") == ("follow-00001", *(("render-00000",) if chained else ()))
    assert graph.needs(ASSEMBLE) == graph.shown == ("render-00000", "render-00001", "render-00002")
    assert graph.dependents("follow-00000") == ["render-00000", "follow-00001"]
    assert (
        graph.units["render-00002"].weight == 5 and graph.units["follow-00002"].weight == 5 * FOLLOW_WEIGHTS["motion"]
    )


def test_a_clips_units_end_in_one_that_is_assembled() -> None:
    check_units(DIAMOND)
    graph = clip_graph(DIAMOND)
    assert list(graph) == ["a", "b", "c", "d", ASSEMBLE] and graph.shown == ("a", "b", "c", "d")
    assert graph.needs(ASSEMBLE) == ("d",) and graph.dependents("a") == ["b", "c"]
    assert graph.weight == pytest.approx(10 * 1.02)


@pytest.mark.parametrize(
    "units, words",
    [
        ([], "at least one"),
        ([UnitSpec("a"), UnitSpec("b", ("z",))], "needs 'z', which is not a unit before it"),
        ([UnitSpec("a", ("b",)), UnitSpec("b", ("a",))], "needs 'b', which is not a unit before it"),
        ([UnitSpec("a", ("a",))], "needs 'a', which is not a unit before it"),
        ([UnitSpec("a"), UnitSpec("a")], "Two units are named 'a'"),
        ([UnitSpec("../a")], "cannot name a unit"),
        ([UnitSpec("A")], "cannot name a unit"),
        ([UnitSpec("")], "cannot name a unit"),
        ([UnitSpec("a" * 41)], "cannot name a unit"),
        ([UnitSpec(ASSEMBLE)], "cannot name a unit"),
        ([UnitSpec("a", weight=0.0)], "has the weight 0"),
        ([UnitSpec("a", weight=float("nan"))], "has the weight nan"),
        ([UnitSpec("a"), UnitSpec("b")], "No unit needs 'a'"),
    ],
)
def test_what_is_no_graph_is_one_sentence(units: list[UnitSpec], words: str) -> None:
    with pytest.raises(StudioError, match=words) as caught:
        check_units(units)
    assert "\n" not in str(caught.value)


def test_units_that_do_the_same_are_of_one_kind() -> None:
    assert [kind_of(name) for name in ("render-00012", "denoise-3", "denoise-003-0012", "load-audio", ASSEMBLE)] == [
        "render", "denoise", "denoise", "load-audio", ASSEMBLE,
    ]  # fmt: skip


def test_a_manifest_of_the_version_before_is_read() -> None:
    old = Manifest.model_validate_json(BEFORE)
    assert old.units == () and len(old.graph.shown) == 2
    assert Manifest.model_validate_json(old.model_dump_json()) == old


def test_a_manifest_whose_units_are_no_names_is_refused(store: LocalStore) -> None:
    for names in (["../../x"], ["a", "a"]):
        units = [{"name": name, "needs": [], "weight": 1.0} for name in names]
        text = json.dumps(json.loads(BEFORE) | {"units": units})
        store.write("jobs/20261129-042742-fc8d4ade/job.json", text.encode())
        with pytest.raises(StudioError, match="another version"):
            read_job_manifest(store, "20261129-042742-fc8d4ade")


def test_what_is_done_goes_by_weight(store: LocalStore) -> None:
    made = Manifest.model_validate_json(json.dumps(json.loads(BEFORE) | {"units": []})).model_copy(
        update={"units": DIAMOND}
    )
    store.write(f"jobs/{made.id}/job.json", made.model_dump_json().encode())
    assert read_progress(store, made).share == 0.0
    finish(store, made.id, "a")
    finish(store, made.id, "b")
    held = claim(store, made.id, "c")
    assert read_progress(store, made).share == pytest.approx(4 / 10.2) and read_progress(store, made).share_rate == 0.0
    store.write(f"jobs/{made.id}/units/c/claim-{held.number:04d}.json", b'{"beat": 0, "pace": 0.5}')
    assert read_progress(store, made).share_rate == pytest.approx(0.5 / 10.2), "as its worker did the unit before"
    store.write(
        f"jobs/{made.id}/units/c/claim-{held.number:04d}.json", b'{"beat": 1, "done": 30, "total": 40, "fps": 2}'
    )
    progress = read_progress(store, made)
    assert progress.share == pytest.approx(7 / 10.2)
    assert progress.share_rate == pytest.approx(4 * 2 / 40 / 10.2) and progress.at_work


class CountedStore(LocalStore):
    """A store that counts how often a folder is listed."""

    listed = 0

    def list(self, folder: str) -> list[str]:
        self.listed += 1
        return super().list(folder)


def test_a_look_at_a_long_clip_reads_no_more_than_its_front(tmp_path: Path) -> None:
    """The status of a clip reads only the units in progress: an hour's clip has 70,000 units.

    Units of earlier steps are known to be done because units that need them are, and the manifest is parsed once.
    """
    steps, windows, done = 40, 5, 30
    units = tuple(
        UnitSpec(f"w-{step}-{window}", tuple(f"w-{step - 1}-{beside}" for beside in range(windows)) if step else ())
        for step in range(steps)
        for window in range(windows)
    )
    last = UnitSpec("clip", tuple(unit.name for unit in units[-windows:]))
    made = Manifest.model_validate_json(BEFORE).model_copy(update={"units": (*units, last)})
    store = CountedStore(tmp_path)
    store.write(f"jobs/{made.id}/job.json", made.model_dump_json().encode())
    for unit in units[: done * windows]:
        finish(store, made.id, unit.name)
    claim(store, made.id, units[done * windows].name)
    store.listed = 0
    seen = status(store, made.id)
    assert store.listed <= windows + 5
    assert seen.steps == "150 of 201 units; w-30-0" and seen.strip(201) == "d" * 150 + "r" + "w" * 50
    assert read_job_manifest(store, made.id) is read_job_manifest(store, made.id)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)
