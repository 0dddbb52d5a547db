"""`studio engines`: a row for each engine, whatever is wrong with it."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cli import app
from engines.api import Unavailable
from engines.mesh.engine import INFO, MeshEngine
from engines.registry import names


class AbsentEngine(MeshEngine):
    """An engine that cannot run on this machine and says what helps."""

    info = replace(INFO, name="absent", title="Absent [beta]", inputs=frozenset({"motion", "voice", "template"}))

    def probe(self) -> Unavailable:
        return Unavailable("Absent needs a service that does not answer.", "absent serve")


class BrokenProbe(MeshEngine):
    """An engine whose probe raises."""

    info = replace(INFO, name="broken", title="Broken")

    def probe(self) -> None:
        raise RuntimeError("[no] kernel image")


class Mistaken(MeshEngine):
    """An engine that names a weights manifest that does not exist."""

    info = replace(INFO, name="mistaken", title="Mistaken")
    weights_manifest = Path("/nowhere/mistaken.toml")


Said = Callable[..., str]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Said:
    """Run `studio` in this process, with these engines added; return what it prints."""
    (tmp_path / "leaving_engine.py").write_text("raise SystemExit('at once')", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    engines = {kind.info.name: f"{__name__}:{kind.__name__}" for kind in (AbsentEngine, BrokenProbe, Mistaken)}
    engines |= {"leaving": "leaving_engine:Engine", "missing": "nowhere.at_all:Engine"}
    monkeypatch.setenv("STUDIO_ENGINES", json.dumps(engines))
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["studio", *arguments])
        with pytest.raises(SystemExit) as ended:
            app.main()
        assert not ended.value.code
        return capsys.readouterr().out

    return run


def test_every_engine_is_a_row_with_what_there_is_to_know(said: Said) -> None:
    rows = {row.pop("name"): row for row in json.loads(said("engines", "--json"))}
    assert next(iter(rows)) == "mesh" and {*names(), "absent", "broken", "mistaken", "leaving", "missing"} == set(rows)
    assert rows["mesh"].pop("options")["properties"]["source"]["enum"] == ["auto", "portrait", "body"]
    assert rows["mesh"] == {
        "title": "Mesh warp", "inputs": ["motion", "voice"], "modes": ["live", "offline"], "needs_image": False,
        "template_suffixes": [], "terms": "", "unavailable": "", "command": "",
    }  # fmt: skip
    assert rows["liveportrait"]["inputs"] == ["motion", "template"]
    assert rows["liveportrait"]["template_suffixes"] == [".npz", ".pkl"]
    assert "MIT" in rows["liveportrait"]["terms"] and "academic research only" in rows["personalive"]["terms"]
    assert rows["absent"]["command"] == "absent serve"
    for name, why in {
        "broken": "Engine 'broken' cannot be inspected (RuntimeError: [no] kernel image)",
        "mistaken": "Mistaken's list of weights, /nowhere/mistaken.toml, cannot be read",
        "leaving": "Engine 'leaving' cannot be loaded from leaving_engine:Engine (SystemExit: at once)",
        "missing": "Engine 'missing' cannot be loaded from nowhere.at_all:Engine",
    }.items():
        assert rows[name]["unavailable"].startswith(why), rows[name]


def test_the_list_says_it_for_people_and_cuts_nothing_off(said: Said) -> None:
    """On a terminal of 80 columns nothing is cut off; words are separated by line ends at most."""
    table = " ".join(said("engines").split())
    assert "…" not in table
    for words in (
        "mesh", "available", "a face or a voice", "live, offline", "Absent [beta]",
        "a face, a voice or recorded motion",
        "Absent needs a service that does not answer.", "To enable it: absent serve", "[no] kernel image",
    ):  # fmt: skip
        assert words in table, table


def test_weights_are_listed_without_the_engines_that_cannot_be_loaded(said: Said) -> None:
    listed = {row["engine"] for row in json.loads(said("weights", "list", "--json"))}
    assert {"mesh", "liveportrait", "absent", "broken"} <= listed and not {"mistaken", "leaving", "missing"} & listed
