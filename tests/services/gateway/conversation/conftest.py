"""Fixtures of the conversation's tests: its servers, behind real HTTP, and a conversation that uses them."""

from collections.abc import Iterator

import pytest

from harness.talk_server import TalkServer, talk_server
from services.gateway.channel import text_speech
from tests.support.conversation_stage import TalkStage


@pytest.fixture(scope="module")
def shared_server() -> Iterator[TalkServer]:
    with talk_server() as made:
        yield made


@pytest.fixture
def stage(shared_server: TalkServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[TalkStage]:
    made = TalkStage(shared_server)
    monkeypatch.setattr(text_speech, "open_voice", lambda name: made.voice)
    yield made
    shared_server.release.set()
    shared_server.release.clear()
    shared_server.closed.clear()
    shared_server.heard.clear()
    shared_server.ears, shared_server.mouth = "write", "stream"
    shared_server.asked.clear()
    shared_server.turns.clear()
