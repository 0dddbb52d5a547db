"""docs/settings.md equals what `studio config --markdown` prints."""

import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from cli import app
from shared.config.settings import VOICE_GROUP
from shared.voices import registry

ROOT = Path(__file__).parents[2]


@pytest.mark.unit
def test_the_settings_page_is_the_one_that_the_command_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    voices = tuple(EntryPoint(name, place, VOICE_GROUP) for name, place in declared[VOICE_GROUP].items())
    monkeypatch.setattr(registry, "_points", lambda: voices)  # installed entry points may be older than the checkout
    monkeypatch.chdir(tmp_path)  # without a studio.toml
    monkeypatch.setenv("STUDIO_PORT", "9999")  # the page holds defaults, not values
    monkeypatch.setattr(sys, "argv", ["studio", "config", "--markdown"])
    with pytest.raises(SystemExit):
        app.main()
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out == page, "stale: run `studio config --markdown > docs/settings.md`"
