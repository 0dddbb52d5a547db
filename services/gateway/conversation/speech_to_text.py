"""Client for a server with OpenAI's transcription API (`/v1/audio/transcriptions`): a turn of speech to text."""

import asyncio
import io
import json
import wave

from services.gateway.conversation.vad import SPEECH_RATE_HZ
from shared.config.conversation import ConversationSettings
from shared.openai_server import OpenAIServer, ServerError

PATIENCE_S = 20.0  # longest duration of one request as a whole
MOST_BYTES = 64 << 10
MOST_CHARACTERS = 2000  # more than half a minute of speech can contain; a longer transcript is faulty and is cut


def speech_to_text_server(settings: ConversationSettings) -> OpenAIServer:
    """Return a client for the speech-to-text server of the settings."""
    key = settings.speech_to_text_key.get_secret_value()
    setting = settings.variable("speech_to_text")
    return OpenAIServer(
        "speech-to-text server", "write down speech", settings.speech_to_text_url, key, setting, PATIENCE_S
    )


async def transcribed(server: OpenAIServer, settings: ConversationSettings, pcm: bytes) -> str:
    """Return the transcript of sound, s16 mono at 16 kHz, on one line; "" if it has no words. Raises ServerError."""
    form = {"model": settings.speech_to_text_model, "response_format": "json"}
    form |= {"language": settings.language} if settings.language else {}
    body = b""
    try:
        async with (
            asyncio.timeout(server.patience_s),
            server.answer(
                "/audio/transcriptions", data=form, files={"file": ("speech.wav", _wav(pcm), "audio/wav")}
            ) as answer,
        ):
            async for block in answer.aiter_bytes():
                body += block
                if len(body) > MOST_BYTES:
                    raise _no_transcript(server)
    except TimeoutError:
        raise ServerError(f"{server.name} has not answered in {server.patience_s:.0f} s; is it overloaded?") from None
    try:
        text = json.loads(body)["text"]
    except (ValueError, RecursionError, LookupError, TypeError):
        raise _no_transcript(server) from None
    if not isinstance(text, str):
        raise _no_transcript(server)
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:MOST_CHARACTERS]


def _no_transcript(server: OpenAIServer) -> ServerError:
    return ServerError(
        f"{server.name} sends something that is not a transcript; check {server.setting}_URL and _MODEL."
    )


def _wav(pcm: bytes) -> bytes:
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SPEECH_RATE_HZ)
        file.writeframes(pcm)
    return made.getvalue()
