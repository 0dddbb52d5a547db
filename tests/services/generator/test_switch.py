"""Changing the engine on air: the old engine goes on until the new one is ready, or stays where that one fails."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.catalog import check_engine, engine_summaries
from engines.guarded import EngineFaultError
from services.generator import service
from shared.config.settings import Settings
from shared.errors import StudioError
from shared.runtime.clock import US
from shared.scene import Scene
from tests.support.engines.slow_engines import ENGINES, GATE, red
from tests.support.running.generator import GeneratorChannel


@pytest.fixture
def channel(live_home: Path, run_root: Path) -> Iterator[GeneratorChannel]:
    made = GeneratorChannel(Settings(run_root=run_root, home=live_home, engines=ENGINES))
    made.wanted = Scene(driver="browser")
    yield made
    made.close()


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file for which the slow engine waits while it opens."""
    monkeypatch.setenv(GATE, str(path := tmp_path / "may open"))
    yield path
    path.touch()


def test_an_engine_that_opens_slowly_takes_over_without_a_gap(channel: GeneratorChannel, gate: Path) -> None:
    channel.turn(lambda: len(channel.faces) >= 5)
    assert not any(red(m) for m in channel.faces)
    channel.wanted = Scene(driver="browser", engine="slow")
    channel.turn(lambda: channel.generator.loop.meter.state == "opening")
    channel.faces.clear()
    channel.turn(lambda: len(channel.faces) >= 25)  # no face would arrive if opening blocked the loop
    assert not any(red(m) for m in channel.faces), "the old engine went on"
    gate.touch()
    channel.turn(lambda: red(channel.faces[-1]))
    assert channel.generator.loop.meter.state in ("running", "idle")
    channel.faces.clear()
    channel.turn(lambda: len(channel.faces) >= 10)
    assert all(red(m) for m in channel.faces), "and it is opened once"


def test_an_engine_that_breaks_leaves_the_old_one_on_air(channel: GeneratorChannel) -> None:
    channel.turn(lambda: len(channel.faces) >= 3)
    channel.wanted = Scene(driver="browser", engine="broken")
    meter = channel.generator.loop.meter
    channel.turn(lambda: meter.note != "")
    assert meter.note == "Broken failed (RuntimeError: no kernel image); update it or choose another engine."
    channel.faces.clear()
    channel.turn(lambda: len(channel.faces) >= 5)
    channel.wanted = Scene(driver="browser", engine="mesh")
    channel.turn(lambda: meter.note == "")


def test_what_an_engine_raises_on_air_is_reported_before_the_process_ends(channel: GeneratorChannel) -> None:
    loop, told = channel.generator.loop, list[str]()
    loop.before_pulse(lambda: told.append(loop.meter.note))
    channel.wanted = Scene(driver="browser", engine="faulty")
    with pytest.raises(EngineFaultError, match="Faulty failed"):
        channel.turn(lambda: False)
    assert told[-1] == "Faulty failed (ZeroDivisionError: float division by zero); update it or choose another engine."


def test_the_last_choice_counts_even_when_the_one_before_it_breaks(channel: GeneratorChannel) -> None:
    channel.turn(lambda: len(channel.faces) >= 1)
    channel.wanted = Scene(driver="browser", engine="broken")
    channel.turn(lambda: channel.generator.loop.meter.state == "opening")
    channel.wanted = Scene(driver="browser", engine="waiting")
    channel.turn(lambda: "weights are missing" in channel.generator.loop.meter.note)


def test_weights_that_arrive_while_on_air_are_used(
    channel: GeneratorChannel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "PROBE_PERIOD_US", US // 10)
    monkeypatch.setenv("TEST_WEIGHTS", str(tmp_path / "weights"))
    meter = channel.generator.loop.meter
    channel.generator._next_look = 0
    channel.wanted = Scene(driver="browser", engine="waiting")
    channel.turn(lambda: "weights are missing" in meter.note)
    assert meter.facts["engines"]["waiting"]["unavailable"] == meter.note
    (tmp_path / "weights").touch()
    channel.turn(lambda: bool(channel.faces) and red(channel.faces[-1]))
    channel.turn(lambda: meter.facts["engines"]["waiting"]["unavailable"] == "")
    assert meter.note == ""


def test_engines_that_cannot_run_are_listed_with_the_reason(live_home: Path, tmp_path: Path) -> None:
    settings = Settings(home=live_home, engines=ENGINES)
    rows = engine_summaries(settings)
    assert next(iter(rows)) == "mesh" and set(ENGINES) <= set(rows)
    assert {key: value for key, value in rows["mesh"].items() if key != "options"} == {
        "title": "Mesh warp", "inputs": ["motion", "voice"], "modes": ["live", "offline"], "needs_image": False,
        "template_suffixes": [], "terms": "", "unavailable": "", "command": "",
    }  # fmt: skip
    assert "`studio weights pull waiting`" in str(rows["waiting"]["unavailable"])
    assert "correct the setting 'engines'" in str(rows["absent"]["unavailable"])
    check_engine(settings)
    with pytest.raises(StudioError, match="Waiting's weights are missing"):
        check_engine(settings.model_copy(update={"engine": "waiting"}))
