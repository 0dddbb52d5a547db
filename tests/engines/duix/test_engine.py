"""The engine in the studio.

Off until it may run, found by both names, and its renders labelled, marked and delivered.
"""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from engines.catalog import engine_summaries
from engines.clip import Clip
from engines.duix.engine import DuixEngine
from engines.registry import canonical_name, load, load_frame_engine
from persona_studio.engine.testing import EngineConformance
from services.renderer.job.foreground import render_file
from shared.avatar.model import Avatar, load_avatar
from shared.config.settings import Settings
from shared.errors import StudioError
from shared.jobs.store import LocalStore
from shared.media.output_spec import OutputSpec
from shared.media.reader import VideoReader
from tests.support.engines.duix.material import ENGINES, QuickDuix, small_avatar, task
from tests.support.engines.duix.service import DuixStandIn
from tests.support.jobs.job_farm import JobFarm

REAL = {"duix": "engines.duix.engine:DuixEngine"}


def told(monkeypatch: pytest.MonkeyPatch, values: Mapping[str, object], engine: str = "DUIX") -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"STUDIO_{engine}_{name.upper()}", value if isinstance(value, str) else json.dumps(value))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuixStandIn]:
    stand_in = DuixStandIn(tmp_path_factory.mktemp("service") / "data", seconds=0.3)
    with stand_in.serving() as service, pytest.MonkeyPatch.context() as patch:
        services = [{"url": service.url, "data": str(service.data)}]
        told(patch, {"services": services, "licence_accepted": "true"}, "QUICKDUIX")
        yield service


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    small_avatar(home / "avatars" / "sample")
    return home


@pytest.fixture
def avatar(home: Path) -> Avatar:
    return load_avatar(home / "avatars" / "sample")


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    return task(tmp_path).speech


@pytest.mark.usefixtures("service")
class TestRules(EngineConformance):
    engine = QuickDuix

    @staticmethod
    def avatar() -> Avatar:
        return small_avatar(Path(tempfile.mkdtemp(prefix="studio-duix-")) / "sample")


def test_it_is_off_until_licence_and_services_are_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each missing requirement is named in turn, in one sentence; the service itself is not asked."""

    def said() -> str:
        row = engine_summaries(Settings(home=tmp_path, engines=REAL))["duix"]
        assert row["title"] == "Duix-Avatar" and row["modes"] == ["offline"] and row["inputs"] == ["voice"]
        assert "non-commercial" in str(row["terms"])
        return str(row["unavailable"])

    assert "is off until you have read its licences and accept them: set duix.licence_accepted = true" in said()
    told(monkeypatch, {"licence_accepted": "true"})
    assert "needs a service that you run yourself" in said()
    folder = tmp_path / "data"
    told(monkeypatch, {"services": [{"url": "http://127.0.0.1:9", "data": str(folder)}]})
    assert f"The data folder {folder} of the Duix-Avatar service http://127.0.0.1:9 is not there here" in said()
    folder.mkdir()
    assert said() == ""
    if os.geteuid():  # root may write anywhere
        folder.chmod(0o500)
        assert "cannot be written" in said()


@pytest.mark.parametrize(
    "services, words",
    [
        ([{"url": "ftp://a", "data": "/x"}], "an address looks like http://127.0.0.1:8383"),
        ([{"url": "http://a:1/easy", "data": "/x"}], "with nothing after the port"),
        ([{"url": "http://a:1"}], "services.0.data"),
        ([{"url": "http://a:1", "data": "/x"}, {"url": "http://b:1", "data": "/x"}], "two services have the same data"),
        ([{"url": "http://a:1", "data": "/x"}, {"url": "http://a:1/", "data": "/y"}], "two services have the same url"),
    ],
)
def test_wrong_settings_are_a_sentence(
    monkeypatch: pytest.MonkeyPatch, services: list[dict[str, str]], words: str
) -> None:
    told(monkeypatch, {"services": services})
    with pytest.raises(StudioError, match=words) as caught:
        DuixEngine().probe()
    assert "\n" not in str(caught.value)


def test_it_is_found_by_its_former_name() -> None:
    assert load("heygem", REAL).info.name == "duix" == canonical_name("heygem", REAL)
    assert canonical_name("mesh", REAL) == "mesh" and canonical_name("nothing", REAL) == "nothing"
    with pytest.raises(StudioError, match="Duix-Avatar only makes whole clips and cannot run live"):
        load_frame_engine("heygem", REAL)
    with pytest.raises(StudioError, match="There is no engine 'nothing'"):
        load("nothing", REAL)


def test_speech_that_no_file_holds_is_refused(avatar: Avatar, speech: Path) -> None:
    rate, ticks = Fraction(25), 25 * 43_201
    clip = Clip(avatar=avatar, driver=speech, driven="voice", rate=rate, ticks=ticks, size=(96, 64))
    with pytest.raises(StudioError, match="at most 12 hours; cut it into parts"):
        DuixEngine().units(clip)


def test_a_render_is_labelled_marked_and_carries_the_attribution(
    service: DuixStandIn, avatar: Avatar, speech: Path, tmp_path: Path
) -> None:
    """As every other render it has the requested size and the driver's sound, and also the words of its licence."""
    made = {}
    for label in (True, False):
        out = tmp_path / f"{label}.mp4"
        output = OutputSpec(size=(320, 180), label=label)
        assert render_file(avatar, speech, out, engine="quickgem", engines=ENGINES, output=output) == 25
        with VideoReader(out) as video:
            made[label] = [rgb.copy() for _, rgb in video]
        with av.open(str(out)) as file:
            assert "attribution: Built with DUIX.COM" in file.metadata["description"]
            assert "engine: quickduix" in file.metadata["description"] and "AI-generated" in file.metadata["comment"]
            sound = np.concatenate([frame.to_ndarray().reshape(-1) for frame in file.decode(audio=0)])
        assert np.abs(sound).max() > 0.2 and made[label][0].shape == (180, 320, 3)
    apart = np.abs(made[True][9].astype(int) - made[False][9]).max(axis=2)
    assert apart[100:].max() > 60 > 20 > apart[:100].max(), "the label is drawn, and nothing else"
    assert len(service.taken) == len(set(service.taken)) and not list(service.temp.iterdir())


def test_a_job_goes_from_worker_to_worker_and_is_handed_in_once(
    service: DuixStandIn, home: Path, speech: Path, tmp_path: Path
) -> None:
    settings = Settings(home=home, jobs=str(tmp_path / "jobs"), engines=ENGINES)
    farm, before = JobFarm(home, LocalStore(tmp_path / "jobs"), settings, tmp_path), len(service.taken)
    job = farm.submit(speech, "quickgem", output=OutputSpec(label=False))
    assert job.engine == "quickduix"
    steps = []
    while (step := farm.worker().advance(job.id)).outcome != "nothing":
        steps.append((step.unit, step.outcome))
    assert steps == [(name, "done") for name in ("film", "video", "clip", "assemble")]
    assert len(service.taken) == before + 1 and not list(service.temp.iterdir())
    sidecar = json.loads((farm.store.root / "jobs" / job.id / "result.json").read_text(encoding="utf-8"))
    assert sidecar["attribution"] == "Built with DUIX.COM" and sidecar["statement"].startswith("AI-generated")
    with VideoReader(farm.result(job.id)) as video:
        assert len([pts for pts, _ in video]) == 25


def test_a_job_that_fails_is_tried_again_and_then_parked(
    service: DuixStandIn, home: Path, speech: Path, tmp_path: Path
) -> None:
    settings = Settings(home=home, jobs=str(tmp_path / "jobs"), engines=ENGINES)
    farm = JobFarm(home, LocalStore(tmp_path / "jobs"), settings, tmp_path)
    job = farm.submit(speech, "quickduix").id
    service.knobs.fail_at = 0
    steps = farm.finish(job)
    service.knobs.fail_at = None
    assert [step.outcome for step in steps] == ["done", *["failed"] * 3] and "failed: no face" in steps[-1].reason
    assert not list(service.temp.iterdir())
