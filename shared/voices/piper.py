"""Voice of piper, a program (GPL-3, older versions MIT) that the studio does not contain and calls if installed."""

import json
import shutil
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import ClassVar

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.config.layered import PREFIX
from shared.media.pcm import HIGHEST, LOWEST
from shared.unavailable import Unavailable
from shared.voices.api import Spoken, Voice, VoiceError
from shared.voices.program import program_output
from shared.voices.settings import VoiceSettings

PROGRAM = "piper"


class PiperSettings(VoiceSettings):
    """Settings of piper: the voice's model."""

    TABLE: ClassVar[str] = "voice_piper"
    model_config = SettingsConfigDict(env_prefix=f"{PREFIX}VOICE_PIPER_")

    model: Path | None = Field(None, description="a voice's .onnx file; its .onnx.json lies beside it")


class PiperVoice(Voice):
    """piper, called as a command: neural voices of many languages, on the CPU."""

    name = "piper"
    title = "Piper"

    def settings(self) -> PiperSettings:
        """Return its settings. Raises StudioError."""
        return PiperSettings.load()

    def probe(self) -> Unavailable | None:
        """Return why it cannot speak: the program or its voice is missing. Raises StudioError for wrong settings."""
        model = self._model()
        if shutil.which(PROGRAM) is None:
            return Unavailable("The program piper is not installed here.", "pipx install piper-tts")
        if model is None:
            reason = "No voice is chosen for piper; fetch one and set STUDIO_VOICE_PIPER_MODEL to its .onnx file."
            return Unavailable(reason, "python -m piper.download_voices en_US-lessac-medium")
        try:
            _rate_of(model)
        except VoiceError as error:
            return Unavailable(str(error))
        return None

    def _model(self) -> Path | None:
        model = self.settings().model
        return model.expanduser() if model is not None else None

    async def speak(self, text: str) -> AsyncGenerator[Spoken, None]:
        """Yield the sound of one sentence."""
        model = self._model()
        if model is None:
            raise VoiceError("No voice is chosen for piper; set STUDIO_VOICE_PIPER_MODEL to its .onnx file.")
        rate = _rate_of(model)
        command = [PROGRAM, "--model", str(model), "--output_raw"]
        # Piper treats each line as a separate utterance.
        async with aclosing(program_output(PROGRAM, command, " ".join(text.split()) + "\n")) as output:
            async for block in output:
                yield Spoken(block, rate)


def _rate_of(model: Path) -> int:
    """Sample rate of a voice in Hz. Raises VoiceError if its files are missing or not a voice."""
    about = model.with_name(f"{model.name}.json")
    try:
        rate = json.loads(about.read_text(encoding="utf-8"))["audio"]["sample_rate"] if model.is_file() else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        rate = None
    if type(rate) is not int or not LOWEST <= rate <= HIGHEST:
        raise VoiceError(
            f"{model.name} and {about.name} are not a voice of piper's; set STUDIO_VOICE_PIPER_MODEL to a voice's "
            ".onnx file."
        )
    return rate
