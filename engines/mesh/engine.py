"""The `mesh` engine: its facts and options, and its sessions on a portrait or on a body video's own face."""

from typing import ClassVar

from engines.api import (
    DEFAULT_CONTEXT,
    EngineInfo,
    FrameEngine,
    PrepareProgress,
    SessionContext,
    no_progress,
)
from engines.body_source import Source, body_source, source_option
from engines.mesh.session import MeshSession, MotionSession
from engines.mesh.speech.speech_motion import VOICE_AHEAD_US
from engines.mesh.tracker_calibration import BODY_FILE, FILE, read_calibration
from engines.options import EngineOptions
from shared.avatar.model import Avatar

INFO = EngineInfo(
    name="mesh",
    title="Mesh warp",
    inputs=frozenset({"motion", "voice"}),
    depends_on="motion",
    voice_ahead_us=VOICE_AHEAD_US,
)


class MeshOptions(EngineOptions):
    """Options of the mesh engine."""

    source: Source = source_option()


class MeshEngine(FrameEngine):
    """Engine that moves the face mesh of the portrait or of a body video. Needs no weights and runs on any CPU."""

    info = INFO
    Options: ClassVar[type[EngineOptions] | None] = MeshOptions

    def prepare(self, avatar: Avatar, progress: PrepareProgress = no_progress) -> None:
        """Measure how a tracker reads the avatar's own images; takes a third of a second, once per avatar."""
        file = BODY_FILE if avatar.body_only else FILE
        if read_calibration(avatar.engine_file(INFO.name, file)) is None:
            progress(0, 1)
            MeshEngine.open(self, avatar, SessionContext(options=MeshOptions(source="auto")))
            progress(1, 1)

    def open(self, avatar: Avatar, context: SessionContext = DEFAULT_CONTEXT) -> MotionSession:
        options = context.options or self.options()
        assert isinstance(options, MeshOptions)
        source = body_source(avatar, options.source, context)
        if source is None:
            return MeshSession(avatar, context.rate)
        from engines.mesh.body.session import BodySession

        return BodySession(avatar, source, context.rate)
