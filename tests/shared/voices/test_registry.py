"""Voices are found by entry points and tried in one order; a voice that cannot speak says what helps."""

import os
from collections.abc import AsyncGenerator, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from persona_studio.voice import Spoken, StudioError, Unavailable, Voice
from shared.config.child_environment import child_environment
from shared.config.settings import VOICE_GROUP, Settings
from shared.voices import registry
from shared.voices.registry import load_voice, open_voice, settings_of_voices, voice_summaries


class GuestVoice(Voice):
    """A voice of another package."""

    name = "guest"
    title = "Guest"

    async def speak(self, text: str) -> AsyncGenerator[Spoken, None]:
        yield Spoken(bytes(320), 16_000)


class AbsentVoice(GuestVoice):
    """A voice that cannot speak on this machine."""

    name = "absent"
    title = "Absent"

    def probe(self) -> Unavailable:
        return Unavailable("Absent has no mouth; give it one.", "absent mouth")


class BrokenVoice(GuestVoice):
    """A voice whose probe raises."""

    name = "broken"
    title = "Broken"

    def probe(self) -> None:
        raise RuntimeError("no tongue")


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Simulate a machine without speech programs, with voices of another package beside the project's own."""
    monkeypatch.setenv("PATH", str(tmp_path))
    ours = [("openai", "OpenAIVoice"), ("piper", "PiperVoice"), ("espeak", "EspeakVoice")]
    points = [EntryPoint(name, f"shared.voices.{name}:{kind}", VOICE_GROUP) for name, kind in ours]
    for kind in (GuestVoice, AbsentVoice, BrokenVoice):
        points.append(EntryPoint(kind.name, f"{__name__}:{kind.__name__}", VOICE_GROUP))
    points.append(EntryPoint("stray", "os:getcwd", VOICE_GROUP))
    points.append(EntryPoint("gone", "no_such_package:Voice", VOICE_GROUP))
    monkeypatch.setattr(registry, "_points", lambda: points)
    yield


def test_every_voice_has_a_row_and_the_first_that_can_speak_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = voice_summaries("")
    names = [row.name for row in rows]
    assert names == ["openai", "piper", "absent", "broken", "gone", "guest", "stray", "espeak"]
    assert [row.name for row in rows if row.chosen] == ["guest"] and open_voice("").name == "guest"
    about = {row.name: row for row in rows}
    assert (about["absent"].unavailable, about["absent"].command) == (
        "Absent has no mouth; give it one.",
        "absent mouth",
    )
    assert "RuntimeError: no tongue" in about["broken"].unavailable and about["espeak"].command
    assert "not a Voice of that name" in about["stray"].unavailable and "no_such_package" in about["gone"].unavailable
    monkeypatch.setenv("STUDIO_VOICE_OPENAI_URL", "http://127.0.0.1:9/v1")
    assert open_voice("").name == "openai" and open_voice("guest").name == "guest"
    assert [row.name for row in voice_summaries("guest") if row.chosen] == ["guest"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("none", "There is no voice 'none'"),
        ("absent", "give it one"),
        ("espeak", "not installed"),
        ("stray", "cannot be loaded"),
    ],
)
def test_a_voice_that_cannot_speak_is_refused_in_a_sentence(name: str, words: str) -> None:
    with pytest.raises(StudioError, match=words):
        open_voice(name)


def test_without_any_voice_one_sentence_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        registry, "_points", lambda: [EntryPoint("espeak", "shared.voices.espeak:EspeakVoice", VOICE_GROUP)]
    )
    with pytest.raises(
        StudioError, match=r"No voice can speak on this machine.*apt-get install espeak-ng.*STUDIO_VOICE_OPENAI_URL"
    ):
        open_voice("")
    monkeypatch.setattr(registry, "_points", list)
    with pytest.raises(StudioError, match="run `make setup`, as after every update"):
        load_voice("espeak")


def test_settings_of_voices_are_read_and_their_secrets_stay_with_the_gateway(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STUDIO_VOICE_OPENAI_KEY", "sk-secret")
    (tmp_path / "studio.toml").write_text('voice = "espeak"\n[voice_espeak]\nvoice = "de"\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STUDIO_HOME", raising=False)
    settings = Settings.load()
    assert settings.voice == "espeak"
    monkeypatch.setattr(
        registry, "_points", lambda: [EntryPoint("espeak", "shared.voices.espeak:EspeakVoice", VOICE_GROUP)]
    )
    assert [own.model_dump() for own in settings_of_voices()] == [{"voice": "de", "speed": 165}]
    assert child_environment(settings, secrets=True)["STUDIO_VOICE_OPENAI_KEY"] == "sk-secret"
    assert "STUDIO_VOICE_OPENAI_KEY" not in child_environment(settings) and "STUDIO_VOICE_OPENAI_KEY" in os.environ
