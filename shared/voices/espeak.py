"""Voice of espeak-ng, a program (GPL-3) that the studio does not contain and calls if it is installed."""

import shutil
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import ClassVar

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.config.layered import PREFIX
from shared.unavailable import Unavailable
from shared.voices.api import Spoken, Voice, VoiceError
from shared.voices.program import program_output
from shared.voices.settings import VoiceSettings
from shared.voices.wav_stream import WavStream

PROGRAM = "espeak-ng"


class EspeakSettings(VoiceSettings):
    """Settings of espeak-ng."""

    TABLE: ClassVar[str] = "voice_espeak"
    model_config = SettingsConfigDict(env_prefix=f"{PREFIX}VOICE_ESPEAK_")

    voice: str = Field(
        "en-us", pattern=r"^[A-Za-z0-9][A-Za-z0-9+_./-]{0,79}$", description="language or voice of `espeak-ng --voices`"
    )
    speed: int = Field(165, ge=80, le=450, description="words a minute")


class EspeakVoice(Voice):
    """espeak-ng, called as a command: over a hundred languages, fast on any processor, with a robotic sound."""

    name = "espeak"
    title = "eSpeak NG"

    def settings(self) -> EspeakSettings:
        """Return its settings. Raises StudioError."""
        return EspeakSettings.load()

    def probe(self) -> Unavailable | None:
        """Return why it cannot speak: the program is not installed. Raises StudioError for wrong settings."""
        self.settings()
        if shutil.which(PROGRAM) is None:
            return Unavailable("The program espeak-ng is not installed here.", "sudo apt-get install espeak-ng")
        return None

    async def speak(self, text: str) -> AsyncGenerator[Spoken, None]:
        """Yield the sound of one sentence."""
        own, wav = self.settings(), WavStream()
        command = [PROGRAM, "--stdin", "--stdout", "-b", "1", "-v", own.voice, "-s", str(own.speed)]
        async with aclosing(program_output(PROGRAM, command, text)) as output:
            async for block in output:
                try:
                    pcm = wav.feed(block)
                except ValueError:
                    raise VoiceError(
                        "espeak-ng does not send WAV; is the right program installed under that name?"
                    ) from None
                if pcm:
                    yield Spoken(pcm, wav.rate)
