"""The OpenAI speech API over real HTTP: streamed as it arrives, stopped immediately, each failure one sentence."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import aclosing

import numpy as np
import pytest

from harness.speech_server import KEY, SpeechServer, speech, speech_server
from shared.errors import StudioError
from shared.media.pcm import PcmDecoder
from shared.runtime.clock import SOUND_RATE_HZ
from shared.voices import openai
from shared.voices import speech as speech_module
from shared.voices.api import VoiceError
from shared.voices.openai import OpenAIVoice
from shared.voices.speech import SpokenPart, spoken_sentence
from shared.voices.voice_thread import VoiceThread

TEXT = "Twenty characters. Y"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[SpeechServer]:
    with speech_server() as made:
        monkeypatch.setenv("STUDIO_VOICE_OPENAI_URL", made.url)
        monkeypatch.setenv("STUDIO_VOICE_OPENAI_KEY", KEY)
        monkeypatch.setenv("STUDIO_VOICE_OPENAI_MODEL", "small")
        monkeypatch.setenv("STUDIO_VOICE_OPENAI_VOICE", "nova")
        yield made


async def parts_of(text: str) -> list[SpokenPart]:
    async with aclosing(spoken_sentence(OpenAIVoice(), text)) as parts:
        return [part async for part in parts]


def resampled(pcm: bytes, rate: int) -> int:
    decoder = PcmDecoder(rate, "s16")
    return len(decoder.feed(pcm)) + len(decoder.flush())


@pytest.mark.parametrize("mode", ["stream", "wav"])
def test_the_server_is_asked_for_pcm_and_its_sound_comes_whole(server: SpeechServer, mode: str) -> None:
    server.mode = mode
    parts = asyncio.run(parts_of(TEXT))
    assert len(parts) > 3
    sound = np.concatenate([part.samples for part in parts])
    assert abs(len(sound) - resampled(speech(TEXT), 24_000)) <= 2 and abs(len(sound) - SOUND_RATE_HZ) < 100
    assert 8500 < np.abs(sound[2000:-2000]).max() < 9500
    assert server.asked == [
        {
            "model": "small", "voice": "nova", "input": TEXT, "response_format": "pcm",
            "authorization": f"Bearer {KEY}", "path": "/v1/audio/speech",
        }
    ]  # fmt: skip


def test_the_first_block_is_there_before_the_server_has_the_rest(server: SpeechServer) -> None:
    server.mode = "stall"

    async def scenario() -> None:
        async with aclosing(spoken_sentence(OpenAIVoice(), TEXT)) as parts:
            assert len((await anext(parts)).samples) > 0
            assert not server.release.is_set()
            server.release.set()
            assert sum([len(part.samples) async for part in parts]) > SOUND_RATE_HZ / 2

    asyncio.run(scenario())


@pytest.mark.parametrize("mode", ["late", "stall"])
def test_a_listener_that_goes_closes_the_connection_at_once(server: SpeechServer, mode: str) -> None:
    server.mode = mode
    thread = VoiceThread()

    async def scenario() -> None:
        async def listen() -> None:
            async with aclosing(thread.spoken(OpenAIVoice(), TEXT)) as parts:
                async for _ in parts:
                    pass

        listening = asyncio.ensure_future(listen())
        assert await asyncio.to_thread(server.heard.wait, 60)
        listening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listening
        assert await asyncio.to_thread(server.closed.wait, 60)

    asyncio.run(scenario())
    thread.close()


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("refuse", "rejects the API key (401); set STUDIO_VOICE_OPENAI_KEY"),
        ("fail", "does not speak (500: the key *** is of no use)"),
        ("json", "sends application/json, not 16 bit mono PCM"),
        ("mp3", "sends audio/mpeg, not 16 bit mono PCM"),
        ("silent", "sent no sound for a sentence"),
        ("break", "cannot be reached"),
        ("endless", "does not finish a sentence"),
    ],
)
def test_what_a_server_does_wrong_is_a_sentence_without_the_key(server: SpeechServer, mode: str, words: str) -> None:
    server.mode = mode
    with pytest.raises(VoiceError) as found:
        asyncio.run(parts_of(TEXT))
    said = str(found.value)
    assert words in said and KEY not in said and said.endswith(".") and "\n" not in said


def test_a_server_that_is_away_or_silent_is_named(server: SpeechServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.mode = "stall"
    monkeypatch.setattr(speech_module, "STALL_S", 0.2)
    with pytest.raises(VoiceError, match="OpenAI speech API has sent nothing for 0 s; try again"):
        asyncio.run(parts_of(TEXT))
    monkeypatch.setattr(openai, "PATIENCE_S", 0.2)
    server.mode = "late"
    with pytest.raises(VoiceError, match=r"127\.0\.0\.1 did not respond in time"):
        asyncio.run(parts_of(TEXT))
    with socket.socket() as silent:  # bound, so that no other program listens on this port
        silent.bind(("127.0.0.1", 0))
        monkeypatch.setenv("STUDIO_VOICE_OPENAI_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/v1")
        with pytest.raises(VoiceError, match=r"127\.0\.0\.1 cannot be reached \(connection failed\)"):
            asyncio.run(parts_of(TEXT))


def test_an_address_is_checked_and_the_key_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (problem := OpenAIVoice().probe()) is not None and "STUDIO_VOICE_OPENAI_URL" in problem.reason
    monkeypatch.setenv("STUDIO_VOICE_OPENAI_KEY", KEY)
    for wrong in ("ftp://a/v1", "http://", "https://me:secret@a/v1"):
        monkeypatch.setenv("STUDIO_VOICE_OPENAI_URL", wrong)
        with pytest.raises(StudioError, match=r"voice_openai\.url.*without a password") as found:
            OpenAIVoice().probe()
        assert "secret" not in str(found.value)
    monkeypatch.setenv("STUDIO_VOICE_OPENAI_URL", "https://a/v1/audio/speech")
    own = OpenAIVoice().settings()
    assert own.url == "https://a/v1" and KEY not in repr(own) and KEY not in str(own.model_dump(mode="json"))
