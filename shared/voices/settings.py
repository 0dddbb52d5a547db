"""Settings that a voice has of its own.

STUDIO_VOICE_<NAME>_* variables over the table [voice_<name>] of studio.toml.
"""

from shared.config.layered import LayeredSettings


class VoiceSettings(LayeredSettings):
    """Settings of the voice that `TABLE` names, "voice_" and its name."""
