"""Everything that a voice in another package needs; docs/text-and-voices.md shows a complete voice.

This interface changes only with notice.
"""

from shared.errors import StudioError
from shared.unavailable import Unavailable
from shared.voices.api import Spoken, SpokenWord, Voice, VoiceError
from shared.voices.settings import VoiceSettings

__all__ = ["Spoken", "SpokenWord", "StudioError", "Unavailable", "Voice", "VoiceError", "VoiceSettings"]
