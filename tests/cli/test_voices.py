"""`studio voices`, and texts in place of drivers."""

import json
from pathlib import Path

import pytest

from cli.app import app
from cli.voices import driver_file
from shared.config.settings import Settings
from shared.errors import StudioError


def run(*arguments: str) -> None:
    app(list(arguments), standalone_mode=False)


def test_the_voices_are_listed_with_what_helps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    run("voices")
    said = capsys.readouterr().out
    assert "espeak  unavailable  eSpeak NG" in said and "To enable it: sudo apt-get install espeak-ng" in said
    assert "No voice can speak on this machine" in said
    run("voices", "--json")
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == ["openai", "piper", "espeak"] and not any(row["chosen"] for row in rows)


def test_a_text_or_a_driver_is_given_not_both(tmp_path: Path) -> None:
    settings, page = Settings(home=tmp_path), tmp_path / "page.txt"
    assert driver_file(page, None, "", settings) == (page, "", None)
    for driver, text, voice, words in (
        (None, None, "", "Give either --driver"),
        (page, page, "", "Give either --driver"),
        (page, None, "espeak", "--voice speaks a text"),
        (None, page, "", r"page\.txt cannot be read"),
    ):
        with pytest.raises(StudioError, match=words):
            driver_file(driver, text, voice, settings)
