"""The voice of a server with the OpenAI speech API, in the cloud or on one's own machine.

PCM that is streamed as it is made.
"""

import json
import re
import ssl
from collections.abc import AsyncGenerator
from functools import cache
from typing import ClassVar
from urllib.parse import urlsplit

import httpx2
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from shared.config.layered import PREFIX
from shared.errors import short
from shared.media.pcm import HIGHEST, LOWEST
from shared.unavailable import Unavailable
from shared.voices.api import Spoken, Voice, VoiceError
from shared.voices.settings import VoiceSettings
from shared.voices.wav_stream import WavStream

TIMEOUT = httpx2.Timeout(20.0, connect=5.0)  # seconds between two blocks, and until the server takes the connection
LOOPBACK = ("127.0.0.1", "::1", "localhost")
KEPT_REFUSAL_BYTES = 4096
OTHER_AUDIO = (b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"\xff\xf1", b"OggS", b"fLaC")  # how files of it begin
RATE = re.compile(r"rate=(\d{4,6})\b")


class OpenAIVoiceSettings(VoiceSettings):
    """The server and the voice on it."""

    TABLE: ClassVar[str] = "voice_openai"
    model_config = SettingsConfigDict(env_prefix=f"{PREFIX}VOICE_OPENAI_")

    url: str = Field("", description="speech server, such as https://api.openai.com/v1 or http://127.0.0.1:8880/v1")
    key: SecretStr = Field(SecretStr(""), description="its API key; empty for a server that asks for none")
    model: str = Field("tts-1", min_length=1, max_length=200, description="model of the server")
    voice: str = Field("alloy", min_length=1, max_length=200, description="voice of the model")
    rate: int = Field(24_000, ge=LOWEST, le=HIGHEST, description="sample rate of its PCM, where it does not say")

    @field_validator("url")
    @classmethod
    def _reachable(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password):
            raise ValueError("it must be an address like https://api.openai.com/v1, without a password")
        return value.rstrip("/").removesuffix("/audio/speech")


class OpenAIVoice(Voice):
    """Whatever speaks behind `/v1/audio/speech`."""

    name = "openai"
    title = "OpenAI speech API"

    def settings(self) -> OpenAIVoiceSettings:
        """Return its settings. Raises StudioError."""
        return OpenAIVoiceSettings.load()

    def probe(self) -> Unavailable | None:
        """Return why it cannot speak: no server is set."""
        if self.settings().url:
            return None
        reason = (
            "No speech server is set; set STUDIO_VOICE_OPENAI_URL, and STUDIO_VOICE_OPENAI_KEY where it asks for a key."
        )
        return Unavailable(reason, "export STUDIO_VOICE_OPENAI_URL=http://127.0.0.1:8880/v1")

    async def speak(self, text: str) -> AsyncGenerator[Spoken, None]:
        """Yield the sound of a sentence as the server sends it."""
        own = self.settings()
        host = urlsplit(own.url).hostname or ""
        key = own.key.get_secret_value()
        asked = {"model": own.model, "voice": own.voice, "input": text, "response_format": "pcm"}
        try:
            async with (
                httpx2.AsyncClient(
                    timeout=TIMEOUT,
                    verify=_certificates() if own.url.startswith("https:") else False,
                    trust_env=host not in LOOPBACK,
                ) as client,
                client.stream(
                    "POST",
                    f"{own.url}/audio/speech",
                    json=asked,
                    headers={"Authorization": f"Bearer {key}"} if key else {},
                ) as answer,
            ):
                if answer.status_code != httpx2.codes.OK:
                    raise VoiceError(await _refusal(host, answer, key))
                sound = _Sound(host, answer.headers.get("content-type", ""), own.rate)
                async for block in answer.aiter_bytes():
                    if pcm := sound.feed(block):
                        yield Spoken(pcm, sound.rate)
        except httpx2.TimeoutException as error:
            late = "does not take the connection" if isinstance(error, httpx2.ConnectTimeout) else "has sent nothing"
            raise VoiceError(f"The speech server {host} {late} for too long; is it overloaded?") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            why = "it is away" if isinstance(error, httpx2.ConnectError) else short(error) or type(error).__name__
            raise VoiceError(
                f"The speech server {host} cannot be reached ({why}); check STUDIO_VOICE_OPENAI_URL."
            ) from None


class _Sound:
    """Recognises what a server sends as it comes: PCM, or a WAV file where it knows no other.

    Raises VoiceError for all else.
    """

    def __init__(self, host: str, kind: str, rate: int) -> None:
        said = RATE.search(kind)
        self.rate = int(said[1]) if said and LOWEST <= int(said[1]) <= HIGHEST else rate
        self._host, self._kind = host, kind.partition(";")[0].strip().lower()
        self._wav: WavStream | None = None
        self._head: bytes | None = b""

    def feed(self, data: bytes) -> bytes:
        """Return the samples in these bytes."""
        if self._head is not None:
            self._head += data
            if len(self._head) < 4:
                return b""
            data, self._head = self._head, None
            self._look_at(data)
        if self._wav is None:
            return data
        try:
            pcm = self._wav.feed(data)
        except ValueError:
            raise self._no_pcm() from None
        self.rate = self._wav.rate or self.rate
        return pcm

    def _look_at(self, head: bytes) -> None:
        text = self._kind.startswith("text/") or self._kind in ("application/json", "application/xml")
        if text or head.startswith(OTHER_AUDIO):
            raise self._no_pcm()
        if head.startswith(b"RIFF"):
            self._wav = WavStream()

    def _no_pcm(self) -> VoiceError:
        return VoiceError(
            f"The speech server {self._host} sends {self._kind[:60] or 'something'} that is no 16 bit mono PCM; "
            "choose a server or model that streams PCM."
        )


@cache
def _certificates() -> ssl.SSLContext:
    """The system's certificates, read once."""
    return ssl.create_default_context()


async def _refusal(host: str, answer: httpx2.Response, key: str) -> str:
    """Why the server does not speak, in one sentence without the key."""
    status = answer.status_code
    if status in (401, 403):
        return f"The speech server {host} refuses the key ({status}); set STUDIO_VOICE_OPENAI_KEY."
    if status == 404:
        return (
            f"The speech server {host} has no such address, model or voice (404); check STUDIO_VOICE_OPENAI_URL and "
            "_MODEL."
        )
    if answer.is_redirect:
        return f"The speech server {host} sends on to another address; set STUDIO_VOICE_OPENAI_URL to that one."
    body = b""
    async for block in answer.aiter_bytes():
        body += block
        if len(body) >= KEPT_REFUSAL_BYTES:
            break
    words = _words_of(body[:KEPT_REFUSAL_BYTES])
    if key:
        words = words.replace(key, "***")
    words = "".join(char if char.isprintable() else " " for char in words)
    words = " ".join(words.split())[:200].rstrip(".")
    what = f"{status}: {words}" if words else status
    return f"The speech server {host} does not speak ({what}); try again, or check its settings."


def _words_of(body: bytes) -> str:
    """The message in a refusal: OpenAI's form, FastAPI's, else plain text."""
    text = body.decode("utf-8", "replace")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return "" if text.lstrip().startswith("<") else text
    if isinstance(found, dict):
        error = found.get("error", found.get("detail", ""))
        found = error.get("message", "") if isinstance(error, dict) else error
    return found if isinstance(found, str) else ""
