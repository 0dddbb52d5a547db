"""A conversation with servers behind real HTTP and a voice that is a tone: turns, answers, interruptions, failures."""

import asyncio
from pathlib import Path

import pytest

from harness.speech_server import KEY
from harness.talk_server import QUESTION
from services.gateway.conversation import conversation as conversation_module
from services.gateway.conversation import speech_to_text
from services.gateway.conversation.chat_lines import BURST, MOST_WAITING, SECONDS_A_LINE, ChatBusyError, ChatLines
from services.gateway.conversation.conversation import FOR_VIEWERS, TalkerPresentError
from services.gateway.conversation.history import MOST_CHARACTERS, MOST_KNOWLEDGE_BYTES, MOST_LINES, History
from services.gateway.conversation.vad import TurnEnded
from services.gateway.models.conversation import TurnLatency
from shared.config.conversation import ConversationSettings
from shared.errors import StudioError
from shared.runtime.clock import US
from tests.support.conversation_stage import DELAY_US, TURN, TalkStage, until

pytestmark = pytest.mark.unit


def test_a_spoken_question_is_answered_and_its_parts_are_timed(stage: TalkStage) -> None:
    async def scenario() -> None:
        stage.join()
        stage.talk.end_turn(TURN)
        await until(lambda: stage.lines("host"))
        await stage.listening()

    stage.run(scenario)
    assert stage.lines("person") == [QUESTION] and stage.lines("host") == [stage.server.reply]
    assert stage.asked() == [[("user", QUESTION)]] and stage.server.turns == [len(TURN.pcm)]
    assert stage.states() == ["listening", "thinking", "speaking", "listening"] and not stage.errors()
    (latency,) = (m for m in stage.told if isinstance(m, TurnLatency))
    assert latency.vad_ms == 620 and latency.voice_ms >= DELAY_US // 1000
    parts = latency.vad_ms + latency.speech_to_text_ms + latency.chat_ms + latency.voice_ms
    assert latency.total_ms == parts


def test_an_answer_is_heard_while_the_rest_of_it_is_thought_of(stage: TalkStage) -> None:
    stage.server.mouth = "stall"

    async def scenario() -> None:
        stage.join()
        stage.talk.ask("And now?")
        await until(lambda: stage.heard() == "It is warm and sunny today.")
        assert not stage.lines("host") and stage.states()[-1] == "speaking"
        stage.server.release.set()
        await until(lambda: stage.lines("host") == [stage.server.reply])

    stage.run(scenario)


def test_a_person_who_speaks_stops_the_host_and_only_what_was_heard_is_kept(stage: TalkStage) -> None:
    stage.server.mouth = "stall"

    async def scenario() -> None:
        stage.join()
        stage.talk.ask("First?")
        await until(lambda: stage.heard() == "It is warm and sunny today.")
        stage.talk.begin_turn()
        assert not stage.speech.queue  # the host is silent before anything else happens
        await until(stage.server.closed.is_set)
        await until(lambda: stage.lines("host"))
        stage.server.mouth = "stream"
        stage.talk.end_turn(TURN)
        await until(lambda: len(stage.lines("host")) == 2)

    stage.run(scenario)
    heard = stage.lines("host")[0]
    assert stage.server.reply.startswith(heard.rstrip("…")) and len(heard) < len("It is warm and sunny today. There")
    assert stage.asked()[1] == [("user", "First?"), ("assistant", heard), ("user", QUESTION)]


def test_a_question_that_was_overtaken_is_answered_with_what_followed(stage: TalkStage) -> None:
    """A person who continues before the host has spoken has not finished: both parts are answered as one question."""
    stage.server.mouth = "late"

    async def scenario() -> None:
        stage.join()
        stage.talk.ask("First?")
        await until(lambda: stage.server.asked)
        stage.talk.begin_turn()
        stage.server.mouth = "stream"
        stage.talk.end_turn(TURN)
        await until(lambda: stage.lines("host"))

    stage.run(scenario)
    assert stage.asked()[-1] == [("user", f"First?\n{QUESTION}")] and stage.lines("host") == [stage.server.reply]


def test_a_cough_before_the_answer_does_not_lose_the_question(stage: TalkStage) -> None:
    stage.server.mouth = "late"

    async def scenario() -> None:
        stage.join()
        stage.talk.ask("First?")
        await until(lambda: stage.server.asked)
        stage.talk.begin_turn()
        stage.server.mouth = "stream"
        stage.talk.end_turn(TurnEnded(b"", 600))
        await until(lambda: stage.lines("host"))

    stage.run(scenario)
    assert stage.asked() == [[("user", "First?")]] * 2


def test_what_stops_the_speech_elsewhere_stops_the_answer(stage: TalkStage) -> None:
    stage.server.mouth = "stall"

    async def scenario() -> None:
        stage.join()
        stage.talk.ask("First?")
        await until(lambda: stage.heard())
        stage.speech.interrupt()
        await until(stage.server.closed.is_set)
        await stage.listening()
        assert len(stage.server.asked) == 1

    stage.run(scenario)


def test_a_viewer_stops_the_answer_and_nothing_else(stage: TalkStage) -> None:
    async def scenario() -> None:
        stage.delay_us = 3600 * US  # no utterance ends during the test
        talker = stage.join(operator=False)
        script, _ = await stage.texts.add("One two three four five six seven eight nine ten.")
        stage.talk.ask("First?")
        await until(lambda: len(stage.speech.queue) == 2)
        stage.talk.begin_turn()
        assert [each.id for each in stage.speech.queue] == [script.id]
        stage.talk.leave(talker)
        stage.join(operator=True)
        stage.talk.begin_turn()
        assert not stage.speech.queue

    stage.run(scenario)


@pytest.mark.parametrize(
    ("ears", "mouth", "words"),
    [
        ("refuse", "stream", "rejects the API key"),
        ("fail", "stream", "does not write down speech"),
        ("html", "stream", "not a transcript"),
        ("write", "refuse", "rejects the API key"),
        ("write", "garbage", "not a streamed chat"),
        ("write", "error", "failed in the middle"),
        ("write", "empty", "gave no answer"),
    ],
)
def test_a_server_that_fails_is_one_sentence_and_the_host_listens_again(
    stage: TalkStage, ears: str, mouth: str, words: str
) -> None:
    stage.server.ears, stage.server.mouth = ears, mouth

    async def scenario() -> None:
        talker = stage.join()
        stage.talk.end_turn(TURN)
        await until(stage.errors)
        await stage.listening()
        assert words in stage.errors()[0] and len(stage.errors()) == 1
        if mouth == "error":
            assert stage.lines("host") == ["It is warm and sunny today."]  # the part received before the error
        stage.server.ears, stage.server.mouth = "write", "stream"
        stage.talk.ask("Again?")
        await until(lambda: stage.server.reply in stage.lines("host"))
        stage.following.cancel()
        stage.talk.leave(talker)
        stage.told.clear()
        stage.server.ears, stage.server.mouth = ears, mouth
        stage.join(operator=False)
        stage.talk.end_turn(TURN)
        await until(stage.errors)
        assert stage.errors()[0] == FOR_VIEWERS  # only the operator may see names of servers

    stage.run(scenario)
    assert sum(words in event.text for event in stage.log.events()) == 2 and KEY not in str(stage.log.events())


def test_a_voice_or_an_engine_that_cannot_is_one_sentence(stage: TalkStage) -> None:
    async def scenario() -> None:
        stage.join()
        stage.voice.fails = True
        stage.talk.ask("First?")
        await until(stage.errors)
        await stage.listening()
        stage.voice.fails, stage.refused = False, "The engine is not driven by a voice; choose mesh first."
        stage.talk.ask("Second?")
        await until(lambda: len(stage.errors()) == 2)
        await stage.listening()
        stage.talk.ask("…")

    stage.run(scenario)
    assert "lost its voice" in stage.errors()[0] and "choose mesh" in stage.errors()[1]


def test_a_server_that_is_too_slow_holds_two_turns_and_no_more(stage: TalkStage) -> None:
    stage.server.ears = "late"

    async def scenario() -> None:
        stage.join()
        stage.talk.end_turn(TURN)
        await until(lambda: stage.server.turns)
        for _ in range(conversation_module.MOST_TURNS + 1):
            stage.talk.end_turn(TURN)
        await until(stage.errors)
        assert "cannot keep up" in stage.errors()[0]
        stage.server.release.set()
        await until(lambda: stage.lines("host"))
        assert len(stage.lines("person")) == 1 + conversation_module.MOST_TURNS
        assert [each[-1] for each in stage.asked()] == [("user", "\n".join(stage.lines("person")))]

    stage.run(scenario)


def test_ears_that_answer_late_are_given_up(stage: TalkStage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech_to_text, "PATIENCE_S", 0.1)
    stage.server.ears = "late"

    async def scenario() -> None:
        stage.join()
        stage.talk.end_turn(TURN)
        await until(stage.errors)
        await stage.listening()

    stage.run(scenario)


def test_one_person_talks_at_a_time(stage: TalkStage) -> None:
    async def scenario() -> None:
        first = stage.join(operator=False)
        with pytest.raises(TalkerPresentError, match="Another person is talking"):
            stage.join()
        stage.talk.leave(first)
        stage.join()

    stage.run(scenario)


def test_a_viewer_does_not_hear_what_another_asked(stage: TalkStage) -> None:
    async def scenario() -> None:
        first = stage.join(operator=False)
        stage.talk.ask("My name is Anna.")
        await until(lambda: stage.lines("host"))
        stage.talk.leave(first)
        stage.join(operator=False)
        stage.talk.ask("What is my name?")
        await until(lambda: len(stage.asked()) == 2)

    stage.run(scenario)
    assert stage.asked()[1] == [("user", "What is my name?")]


def test_chat_lines_are_limited_by_time_and_by_number() -> None:
    clock = [100.0]
    lines = ChatLines(lambda: clock[0])
    for number in range(BURST):
        assert lines.add("", str(number)) == number
    with pytest.raises(ChatBusyError, match="too fast") as caught:
        lines.add("", "more")
    assert caught.value.retry_after_s == SECONDS_A_LINE
    for number in range(BURST, MOST_WAITING):
        clock[0] += SECONDS_A_LINE
        assert lines.add("", str(number)) == number
    clock[0] += 60
    with pytest.raises(ChatBusyError, match="wait for the host"):
        lines.add("", "more")
    assert lines.next() == "0" and lines.add("", "more") == MOST_WAITING - 1


def test_what_the_host_knows_goes_with_every_question_and_is_bounded(tmp_path: Path) -> None:
    file = tmp_path / "facts.md"
    settings = ConversationSettings.load({"system_prompt": "Be kind.", "knowledge": file})
    history = History()
    with pytest.raises(StudioError, match="No such file"):
        asyncio.run(history.messages(settings))
    for data, words in (
        (b"x" * (MOST_KNOWLEDGE_BYTES + 1), "more than 32 KB"),
        (b"\xff\xfe", "UTF-8"),
        (b"a\0", "not a text file"),
    ):
        file.write_bytes(data)
        with pytest.raises(StudioError, match=words):
            asyncio.run(history.messages(settings))
    file.write_text("\ufeffThe bridge opens at nine.\n", encoding="utf-8")
    system = asyncio.run(history.messages(settings))[0]
    assert system["role"] == "system" and system["content"].startswith("Be kind.")
    assert system["content"].endswith("\n\nThe bridge opens at nine.")


def test_the_history_is_bounded_and_begins_with_a_question() -> None:
    settings = ConversationSettings.load({"system_prompt": ""})
    history = History()
    for number in range(MOST_LINES):
        history.add_person(f"question {number}")
        history.add_host(f"answer {number}")
    lines = asyncio.run(history.messages(settings))
    assert len(lines) == MOST_LINES and lines[-1]["content"] == f"answer {MOST_LINES - 1}"
    for _ in range(10):
        history.add_person("a" * 4000)
        history.add_host("b" * 4000)
    lines = asyncio.run(history.messages(settings))
    assert lines[0]["role"] == "user" and sum(len(each["content"]) for each in lines) <= MOST_CHARACTERS
