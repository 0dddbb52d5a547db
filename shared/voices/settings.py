"""Base of the settings of a voice: STUDIO_VOICE_<NAME>_* variables over the table [voice_<name>] of studio.toml."""

from shared.config.layered import LayeredSettings


class VoiceSettings(LayeredSettings):
    """Base of the settings of a voice. `TABLE` is "voice_" and the voice's name."""
