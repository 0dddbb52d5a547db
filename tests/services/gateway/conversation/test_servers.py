"""The speech-to-text and chat servers, behind real HTTP: their answers, and every way in which they fail."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import replace

import pytest

from harness.channel import PATIENCE_S
from harness.speech_server import KEY
from harness.talk_server import QUESTION, REPLY, TalkServer, talk_server
from services.gateway.conversation import chat
from services.gateway.conversation.chat import SentenceStream, _Spoken, chat_answer, chat_server
from services.gateway.conversation.speech_to_text import speech_to_text_server, transcribed
from shared.config.conversation import ConversationSettings
from shared.openai_server import OpenAIServer, ServerError

pytestmark = pytest.mark.unit

PCM = bytes(range(256)) * 125  # one second
MESSAGES = [{"role": "user", "content": "Hello?"}]


@pytest.fixture(scope="module")
def shared_server() -> Iterator[TalkServer]:
    with talk_server() as made:
        yield made


@pytest.fixture
def server(shared_server: TalkServer) -> Iterator[TalkServer]:
    yield shared_server
    shared_server.release.set()
    shared_server.release.clear()
    shared_server.closed.clear()
    shared_server.ears, shared_server.mouth = "write", "stream"
    shared_server.asked.clear()
    shared_server.turns.clear()
    shared_server.forms.clear()


def settings_of(server: TalkServer, **more: str) -> ConversationSettings:
    given = {"speech_to_text_url": server.url, "chat_url": server.url, "speech_to_text_key": KEY, "chat_key": KEY}
    return ConversationSettings.load(given | more)


def write_down(settings: ConversationSettings, patience_s: float = PATIENCE_S) -> str:
    async def scenario() -> str:
        server = replace(speech_to_text_server(settings), patience_s=patience_s)
        try:
            return await transcribed(server, settings, PCM)
        finally:
            await server.close()

    return asyncio.run(scenario())


def answer_of(settings: ConversationSettings, patience_s: float = PATIENCE_S) -> str:
    return asyncio.run(pieces_of(replace(chat_server(settings), patience_s=patience_s)))


async def pieces_of(server: OpenAIServer, until: Callable[[str], bool] = lambda text: False) -> str:
    text = ""
    try:
        async with aclosing(chat_answer(server, "some-model", MESSAGES)) as pieces:
            async for piece in pieces:
                text += piece
                if until(text):
                    break
    finally:
        await server.close()
    return text


def test_a_turn_is_written_down_from_a_wav_file_with_the_settings(server: TalkServer) -> None:
    server.question = "  What is\nthe weather \0like? "
    assert (
        write_down(settings_of(server, speech_to_text_model="own-model", language="de")) == "What is the weather like?"
    )
    server.question = QUESTION
    assert server.turns == [len(PCM)]
    form = server.forms[0].decode("latin-1")
    assert "own-model" in form and 'name="language"\r\n\r\nde' in form and 'filename="speech.wav"' in form


@pytest.mark.parametrize(
    ("ears", "words"),
    [
        ("refuse", "rejects the API key (401); set STUDIO_CONVERSATION_SPEECH_TO_TEXT_KEY."),
        ("fail", "does not write down speech (500: the key *** is of no use)"),
        ("json", "not a transcript"),
        ("html", "not a transcript"),
        ("break", "cannot be reached"),
        ("endless", "not a transcript"),
    ],
)
def test_ears_that_fail_say_so_in_a_sentence_without_the_key(server: TalkServer, ears: str, words: str) -> None:
    server.ears = ears
    with pytest.raises(ServerError) as caught:
        write_down(settings_of(server))
    assert words in str(caught.value) and KEY not in str(caught.value) and str(caught.value).endswith(".")


def test_an_answer_comes_in_pieces_with_the_question_and_the_key(server: TalkServer) -> None:
    assert answer_of(settings_of(server)) == REPLY
    assert server.asked[0]["messages"] == MESSAGES and server.asked[0]["stream"] is True
    assert server.asked[0]["model"] == "some-model" and server.asked[0]["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("mouth", ["whole", "thought", "unmarked"])
def test_a_server_that_streams_in_another_way_or_not_is_understood(server: TalkServer, mouth: str) -> None:
    server.mouth = mouth
    assert answer_of(settings_of(server)).strip() == REPLY


@pytest.mark.parametrize(
    ("mouth", "words"),
    [
        ("refuse", "rejects the API key (401); set STUDIO_CONVERSATION_CHAT_KEY."),
        ("fail", "does not answer (500: the key *** is of no use)"),
        ("html", "not a streamed chat"),
        ("garbage", "not a streamed chat"),
        ("break", "cannot be reached"),
        ("error", "failed in the middle of an answer (out of memory)"),
        ("empty", "gave no answer"),
        ("cut", "stopped in the middle of an answer"),
    ],
)
def test_a_mouth_that_fails_says_so_in_a_sentence_without_the_key(server: TalkServer, mouth: str, words: str) -> None:
    server.mouth = mouth
    with pytest.raises(ServerError) as caught:
        answer_of(settings_of(server))
    assert words in str(caught.value) and KEY not in str(caught.value) and str(caught.value).endswith(".")


@pytest.mark.parametrize("length", [1, 2, 100])
def test_marks_of_a_text_are_not_spoken(length: int) -> None:
    text = "# A *heading*\n\n  ## Another\n| C# | `F#` |\nWe are #1.\n"
    spoken = _Spoken()
    pieces = [spoken.feed(text[at : at + length]) for at in range(0, len(text), length)]
    assert "".join(pieces).split() == ["A", "heading", "Another", "C#", "F#", "We", "are", "#1."]


def test_an_answer_without_an_end_is_cut(server: TalkServer) -> None:
    server.mouth = "endless"
    assert len(answer_of(settings_of(server))) == chat.MOST_CHARACTERS
    assert server.closed.wait(PATIENCE_S)


@pytest.mark.parametrize("mode", ["late", "stall"])
def test_servers_that_send_nothing_are_given_up(server: TalkServer, mode: str) -> None:
    server.mouth = mode
    with pytest.raises(ServerError, match="did not respond in time"):
        answer_of(settings_of(server), patience_s=0.1)
    server.ears = "late"
    with pytest.raises(ServerError, match=r"did not respond in time|has not answered"):
        write_down(settings_of(server), patience_s=0.1)
    assert server.closed.wait(PATIENCE_S)


def test_servers_that_are_away_are_named(server: TalkServer) -> None:
    away = settings_of(server, speech_to_text_url="http://127.0.0.1:9/v1", chat_url="http://127.0.0.1:9/v1")
    with pytest.raises(ServerError, match=r"speech-to-text server 127.0.0.1 cannot be reached \(connection failed\)"):
        write_down(away)
    with pytest.raises(ServerError, match="check STUDIO_CONVERSATION_CHAT_URL"):
        answer_of(away)


def test_one_who_stops_reading_closes_the_connection(server: TalkServer) -> None:
    server.mouth = "stall"
    assert asyncio.run(pieces_of(chat_server(settings_of(server)), lambda text: "sunny" in text)).startswith(
        "It is warm"
    )
    assert server.closed.wait(PATIENCE_S)


@pytest.mark.parametrize("step", [1, 3, 7, 1000])
def test_sentences_are_given_out_as_soon_as_they_are_whole(step: int) -> None:
    text = "Hello Dr. Smith. It is 3.5 degrees, i.e. cold! Really? Yes.\nNo. 5 is next. And so on"
    stream, given = SentenceStream(), list[str]()
    for at in range(0, len(text), step):
        given += stream.feed(text[at : at + step])
    assert step == 1000 or given[:2] == ["Hello Dr. Smith.", "It is 3.5 degrees, i.e. cold!"]
    assert given + stream.finish() == [
        "Hello Dr. Smith.", "It is 3.5 degrees, i.e. cold!", "Really?", "Yes.", "No. 5 is next.", "And so on",
    ]  # fmt: skip


def test_the_first_sentence_is_not_held_until_the_answer_is_whole() -> None:
    stream = SentenceStream()
    assert stream.feed("It is warm.") == []
    assert stream.feed(" There is not") == ["It is warm."]


def test_a_sentence_that_may_go_on_is_held() -> None:
    stream, given = SentenceStream(), list[str]()
    for char in "Es war am 3. Mai sehr warm. Das ist gut.":
        given += stream.feed(char)
    assert given + stream.finish() == ["Es war am 3. Mai sehr warm.", "Das ist gut."]
