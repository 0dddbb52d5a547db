"""A face for LiveKit Agents, from a Persona Studio of your own: free, offline, of any portrait that you may use."""

from livekit.agents import Plugin

from .avatar import AvatarSession
from .log import logger
from .studio import PersonaStudioException
from .version import __version__

__all__ = ["AvatarSession", "PersonaStudioException", "__version__"]


class PersonaStudioPlugin(Plugin):
    """Registration of this package with LiveKit Agents."""

    def __init__(self) -> None:
        super().__init__(__name__, __version__, __package__ or __name__, logger)


Plugin.register_plugin(PersonaStudioPlugin())
