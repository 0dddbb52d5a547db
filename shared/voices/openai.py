"""Voice of a server with the OpenAI speech API, in the cloud or on one's own machine, with streamed PCM."""

import re
from collections.abc import AsyncGenerator
from typing import ClassVar

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from shared.config.layered import PREFIX
from shared.config.server_url import checked_server_url
from shared.media.pcm import HIGHEST, LOWEST
from shared.openai_server import OpenAIServer, ServerError
from shared.unavailable import Unavailable
from shared.voices.api import Spoken, Voice, VoiceError
from shared.voices.settings import VoiceSettings
from shared.voices.wav_stream import WavStream

PATIENCE_S = 20.0  # longest wait between two blocks
OTHER_AUDIO = (b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"\xff\xf1", b"OggS", b"fLaC")  # first bytes of files
RATE = re.compile(r"rate=(\d{4,6})\b")


class OpenAIVoiceSettings(VoiceSettings):
    """Settings of the speech server and of the voice on it."""

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
        return checked_server_url(value, "/audio/speech")


class OpenAIVoice(Voice):
    """A voice of a server's `/v1/audio/speech`."""

    name = "openai"
    title = "OpenAI speech API"

    def settings(self) -> OpenAIVoiceSettings:
        """Return its settings. Raises StudioError."""
        return OpenAIVoiceSettings.load()

    def probe(self) -> Unavailable | None:
        """Return why the voice cannot speak if no server is set, else None. Raises StudioError for wrong settings."""
        if self.settings().url:
            return None
        reason = (
            "No speech server is set; set STUDIO_VOICE_OPENAI_URL, and STUDIO_VOICE_OPENAI_KEY if it asks for a key."
        )
        return Unavailable(reason, "export STUDIO_VOICE_OPENAI_URL=http://127.0.0.1:8880/v1")

    async def speak(self, text: str) -> AsyncGenerator[Spoken, None]:
        """Yield the sound of a sentence as the server sends it."""
        own = self.settings()
        key = own.key.get_secret_value()
        server = OpenAIServer("speech server", "speak", own.url, key, own.variable("").rstrip("_"), PATIENCE_S)
        asked = {"model": own.model, "voice": own.voice, "input": text, "response_format": "pcm"}
        try:
            async with server.answer("/audio/speech", json=asked) as answer:
                sound = _Sound(server.name, answer.headers.get("content-type", ""), own.rate)
                async for block in answer.aiter_bytes():
                    if pcm := sound.feed(block):
                        yield Spoken(pcm, sound.rate)
        except ServerError as error:
            raise VoiceError(str(error)) from None
        finally:
            await server.close()


class _Sound:
    """Decodes a server's answer block by block: PCM, or a WAV file from a server that cannot send raw PCM.

    Raises VoiceError for any other content.
    """

    def __init__(self, server: str, kind: str, rate: int) -> None:
        said = RATE.search(kind)
        self.rate = int(said[1]) if said and LOWEST <= int(said[1]) <= HIGHEST else rate
        self._server, self._kind = server, kind.partition(";")[0].strip().lower()
        self._wav: WavStream | None = None
        self._head: bytes | None = b""

    def feed(self, data: bytes) -> bytes:
        """Add bytes of the answer and return the samples that are complete now, 16 bit little-endian mono."""
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
            f"{self._server} sends {self._kind[:60] or 'other data'}, not 16 bit mono PCM; "
            "choose a server or model that streams PCM."
        )
