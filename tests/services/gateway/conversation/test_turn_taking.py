"""Turn taking: whose question is answered when, with words over the host, interrupts, other people and chat lines."""

import pytest

from harness.talk_server import QUESTION
from services.gateway.conversation import conversation
from services.gateway.conversation.conversation import FOR_VIEWERS
from services.gateway.conversation.vad import TurnEnded
from shared.config.conversation import ConversationSettings
from shared.errors import StudioError
from shared.runtime.clock import US
from tests.support.conversation_stage import DELAY_US, TURN, TalkStage, until

pytestmark = pytest.mark.unit


def test_a_question_typed_over_the_host_comes_after_what_was_heard(stage: TalkStage) -> None:
    stage.server.mouth = "stall"

    async def scenario() -> None:
        stage.join()
        stage.talk.ask("First?")
        await until(lambda: stage.heard() == "It is warm and sunny today.")
        stage.server.mouth = "stream"
        stage.talk.ask("Second?")
        await until(lambda: len(stage.lines("host")) == 2)
        stage.talk.ask("Third?")
        await until(lambda: len(stage.lines("host")) == 3)

    stage.run(scenario)
    heard = stage.lines("host")[0]
    assert stage.server.reply.startswith(heard.rstrip("…"))
    second = [("user", "First?"), ("assistant", heard), ("user", "Second?")]
    assert stage.asked()[1:] == [second, [*second, ("assistant", stage.server.reply), ("user", "Third?")]]
    assert [(m.role, m.text) for m in stage.final_lines()][:3] == [
        ("person", "First?"), ("host", heard), ("person", "Second?"),
    ]  # fmt: skip


def test_an_interrupt_ends_the_writing_down_at_once(stage: TalkStage) -> None:
    stage.server.ears = "late"

    async def scenario() -> None:
        stage.join()
        stage.talk.end_turn(TURN)
        await until(stage.server.heard.is_set)
        stage.talk.end_turn(TURN)
        await until(lambda: stage.states()[-1] == "thinking")
        stage.talk.interrupt()
        await until(lambda: stage.states()[-1] == "listening")
        await until(stage.server.closed.is_set)
        stage.talk.ask("Hello?")
        await until(lambda: stage.lines("host"))
        stage.server.ears = "write"
        stage.talk.end_turn(TURN)
        await until(lambda: len(stage.lines("host")) == 2)

    stage.run(scenario)
    assert stage.lines("person") == ["Hello?", QUESTION] and not stage.errors() and len(stage.server.turns) == 2


def test_one_who_leaves_takes_along_what_is_not_written_down(stage: TalkStage) -> None:
    stage.server.ears = "late"

    async def scenario() -> None:
        first = stage.join()
        stage.talk.end_turn(TURN)
        await until(stage.server.heard.is_set)
        stage.following.cancel()
        stage.talk.leave(first)
        stage.told.clear()
        await until(stage.server.closed.is_set)
        stage.join()
        stage.talk.ask("Hello?")
        await until(lambda: stage.lines("host"))

    stage.run(scenario)
    assert stage.states()[0] == "listening" and stage.lines("person") == ["Hello?"] and not stage.errors()


@pytest.mark.parametrize("elsewhere", [False, True])
def test_what_was_interrupted_is_not_asked_with_the_next_question(stage: TalkStage, elsewhere: bool) -> None:
    stage.server.mouth = "late"

    async def scenario() -> None:
        stage.join()
        stage.delay_us = 3600 * US
        stage.talk.ask("First?")
        await until(lambda: stage.server.asked)
        if elsewhere:
            stage.server.release.set()
            await until(lambda: stage.speech.queue)
            stage.speech.interrupt()
        else:
            stage.talk.interrupt()
        stage.delay_us = DELAY_US
        stage.server.mouth = "stream"
        stage.talk.ask("Second?")
        await until(lambda: stage.lines("host"))

    stage.run(scenario)
    assert stage.asked()[1:] == [[("user", "Second?")]]


def test_a_question_whose_answer_failed_is_not_asked_with_the_next(stage: TalkStage) -> None:
    stage.server.mouth = "fail"

    async def scenario() -> None:
        stage.join()
        stage.talk.ask("First?")
        await until(stage.errors)
        await stage.listening()
        stage.server.mouth = "stream"
        stage.talk.ask("Second?")
        await until(lambda: stage.lines("host"))

    stage.run(scenario)
    assert stage.asked()[1:] == [[("user", "Second?")]]


@pytest.mark.parametrize("operator", [False, True])
def test_a_question_of_one_who_left_is_not_asked_with_the_next_ones(stage: TalkStage, operator: bool) -> None:
    stage.server.mouth = "late"

    async def scenario() -> None:
        first = stage.join(operator=False)
        stage.talk.ask("First?")
        await until(lambda: stage.server.asked)
        stage.following.cancel()
        stage.talk.leave(first)
        stage.join(operator=operator)
        stage.talk.begin_turn()
        stage.server.mouth = "stream"
        stage.talk.end_turn(TURN)
        await until(lambda: stage.lines("host"))

    stage.run(scenario)
    assert [each[-1] for each in stage.asked()] == [("user", "First?"), ("user", QUESTION)]


def test_a_noise_of_the_next_viewer_asks_nothing(stage: TalkStage) -> None:
    stage.server.mouth = "late"

    async def scenario() -> None:
        first = stage.join(operator=False)
        stage.talk.ask("First?")
        await until(lambda: stage.server.asked)
        stage.talk.leave(first)
        stage.join(operator=False)
        stage.talk.begin_turn()
        stage.talk.end_turn(TurnEnded(b"", 600))
        await stage.listening()

    stage.run(scenario)
    assert len(stage.asked()) == 1


def test_a_viewer_does_not_read_that_another_was_not_answered(stage: TalkStage) -> None:
    stage.server.mouth = "late"

    async def scenario() -> None:
        first = stage.join(operator=False)
        stage.talk.ask("First?")
        await until(lambda: stage.server.asked)
        stage.following.cancel()
        stage.talk.leave(first)
        stage.told.clear()
        stage.join(operator=False)
        stage.server.reply = ""
        stage.server.release.set()
        await stage.listening()
        assert not stage.errors()
        stage.talk.ask("Second?")
        await until(stage.errors)

    given = stage.server.reply
    try:
        stage.run(scenario)
    finally:
        stage.server.reply = given
    assert stage.errors() == [FOR_VIEWERS]


def test_a_chat_line_is_asked_without_the_talkers_question(stage: TalkStage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "QUIET_S", 0.0)
    stage.server.mouth = "fail"

    async def scenario() -> None:
        stage.join()
        stage.talk.ask("First?")
        await until(stage.errors)
        await stage.listening()
        stage.server.mouth = "stream"
        stage.talk.add_chat_line(ConversationSettings.load(stage.given), "Ada", "One?")
        await until(lambda: stage.lines("host"))

    stage.run(scenario)
    assert stage.asked()[1:] == [[("user", "Ada: One?")]]


def test_chat_lines_are_answered_one_after_the_other_when_no_one_talks(
    stage: TalkStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "QUIET_S", 0.05)

    async def scenario() -> None:
        settings = ConversationSettings.load(stage.given)
        stage.join()
        stage.server.ears = "late"
        stage.talk.end_turn(TURN)
        await until(lambda: stage.server.turns)
        assert [stage.talk.add_chat_line(settings, "Ada", text) for text in ("One?", "Two?")] == [0, 1]
        stage.server.release.set()
        await until(lambda: len(stage.lines("host")) == 3)
        with pytest.raises(StudioError, match="write a question"):
            stage.talk.add_chat_line(settings, "Ada", "…")

    stage.run(scenario)
    assert stage.lines("person") == [QUESTION, "Ada: One?", "Ada: Two?"]
    assert [each[-1] for each in stage.asked()] == [("user", text) for text in (QUESTION, "Ada: One?", "Ada: Two?")]


def test_a_chat_line_waits_while_a_person_talks(stage: TalkStage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "QUIET_S", 3600.0)

    async def scenario() -> None:
        settings = ConversationSettings.load(stage.given)
        talker = stage.join()
        stage.talk.ask("First?")
        await until(lambda: stage.lines("host"))
        await stage.listening()
        stage.talk.add_chat_line(settings, "Ada", "One?")
        stage.talk.ask("Second?")
        await until(lambda: len(stage.lines("host")) == 2)
        await stage.listening()
        assert stage.lines("person") == ["First?", "Second?"]
        stage.talk.leave(talker)
        await until(lambda: len(stage.server.asked) == 3)

    stage.run(scenario)
    assert stage.asked()[2][-1] == ("user", "Ada: One?")


def test_a_chat_line_is_answered_at_once_before_a_talker_has_said_anything(stage: TalkStage) -> None:
    async def scenario() -> None:
        stage.join()
        stage.talk.add_chat_line(ConversationSettings.load(stage.given), "Ada", "One?")
        await until(lambda: stage.lines("host"))

    stage.run(scenario)
    assert stage.lines("person") == ["Ada: One?"]


def test_an_answer_that_breaks_off_is_spoken_and_the_operator_reads_so(stage: TalkStage) -> None:
    stage.server.mouth = "cut"

    async def scenario() -> None:
        stage.join()
        stage.talk.ask("First?")
        await until(lambda: stage.lines("host"))
        await stage.listening()

    stage.run(scenario)
    assert stage.lines("host") == ["It is warm and sunny today. There is not"]
    (error,) = stage.errors()
    assert "stopped in the middle of an answer" in error and error in [each.text for each in stage.log.events()]
