"""Settings of the conversation: addresses in one form, keys that stay with the gateway, and what is missing."""

import json
import os
from pathlib import Path

import pytest

from cli import app
from shared.config.child_environment import child_environment
from shared.config.conversation import ConversationSettings
from shared.config.settings import Settings
from shared.errors import StudioError


def test_keys_stay_with_the_gateway_and_are_in_nothing_that_is_printed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STUDIO_HOME", raising=False)
    for name in ("CHAT", "SPEECH_TO_TEXT"):
        monkeypatch.setenv(f"STUDIO_CONVERSATION_{name}_KEY", "sk-secret")
    (tmp_path / "studio.toml").write_text('[conversation]\nchat_url = "http://127.0.0.1:1/v1"\n', encoding="utf-8")
    settings = Settings.load()
    assert ConversationSettings.load().chat_url == "http://127.0.0.1:1/v1"
    assert "sk-secret" in child_environment(settings, secrets=True).values()
    assert "sk-secret" not in child_environment(settings).values() and "sk-secret" in os.environ.values()
    app.config(as_json=True, markdown=False)
    printed = capsys.readouterr().out
    assert "sk-secret" not in printed and json.loads(printed)["conversation.chat_key"]["from"] == "environment"


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("chat_url", "http://127.0.0.1:11434/v1/", "http://127.0.0.1:11434/v1"),
        ("chat_url", "https://api.openai.com/v1/chat/completions", "https://api.openai.com/v1"),
        ("speech_to_text_url", "http://[::1]:8000/v1/audio/transcriptions", "http://[::1]:8000/v1"),
    ],
)
def test_an_address_has_one_form(name: str, value: str, kept: str) -> None:
    assert getattr(ConversationSettings.load({name: value}), name) == kept


@pytest.mark.parametrize("value", ["ftp://a/v1", "127.0.0.1:8000", "http://user:password@a/v1", "http:///v1"])
def test_what_is_no_address_is_one_sentence_without_its_password(value: str) -> None:
    with pytest.raises(StudioError, match=r"Setting 'conversation\.chat_url'.*without a password") as found:
        ConversationSettings.load({"chat_url": value})
    assert "user:password" not in str(found.value)


def test_what_is_missing_is_named() -> None:
    assert "STUDIO_CONVERSATION_CHAT_URL" in ConversationSettings.load().missing()
    given = {"chat_url": "http://127.0.0.1:1/v1"}
    assert "STUDIO_CONVERSATION_SPEECH_TO_TEXT_URL" in ConversationSettings.load(given).missing()
    assert not ConversationSettings.load(given | {"speech_to_text_url": "http://127.0.0.1:1/v1"}).missing()
