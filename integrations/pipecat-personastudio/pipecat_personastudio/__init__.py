"""A face for Pipecat bots, from a Persona Studio of your own: free, offline, of any portrait that you may use."""

from pipecat_personastudio.studio import PersonaStudioException
from pipecat_personastudio.version import __version__
from pipecat_personastudio.video import PersonaStudioVideoService

__all__ = ["PersonaStudioException", "PersonaStudioVideoService", "__version__"]
