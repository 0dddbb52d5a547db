"""The `dhlive` engine: a small network makes a filmed face speak. Live on one CPU core."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engines.api import (
    DEFAULT_CONTEXT,
    Driving,
    EngineInfo,
    EngineSession,
    PrepareProgress,
    RoiFrame,
    SessionContext,
    VoiceBlock,
)
from engines.dhlive.asset.person import FILE, Person, read_person
from engines.dhlive.file_names import MOUTHS
from engines.dhlive.filmed_engine import FilmedFaceEngine
from engines.dhlive.generation import Generation
from engines.dhlive.options import DhliveOptions
from engines.dhlive.settings import DhliveSettings
from engines.dhlive.voice.sound import VOICE_AHEAD_US
from shared.avatar.model import Avatar
from shared.errors import StudioError
from shared.runtime.files import file_sha256
from shared.weights.manifest import OFFICIAL

if TYPE_CHECKING:
    from engines.dhlive.session import DhliveSession

NAME = "dhlive"
KNOWN_BY = "mouth.sha256"  # file kept with an avatar: checksum of the network that computed the person's style
INFO = EngineInfo(
    name=NAME,
    title="DH_live",
    inputs=frozenset({"voice"}),
    output="region",
    voice_ahead_us=VOICE_AHEAD_US,
    depends_on="motion",
)


class DhliveEngine(FilmedFaceEngine):
    """Engine that makes the face of a body film speak, by drawing another mouth into it."""

    info = INFO
    Settings = DhliveSettings
    Options = DhliveOptions
    weights_manifest = OFFICIAL / "dhlive.toml"
    measured_file = FILE

    def settings(self) -> DhliveSettings:
        return DhliveSettings.load()

    def measure(self, avatar: Avatar, kept: Path, progress: PrepareProgress) -> None:
        from engines.dhlive.asset.film import measured_person
        from engines.dhlive.asset.person import write_person

        write_person(kept, measured_person(avatar, self.files(), progress))
        avatar.engine_file(NAME, KNOWN_BY).write_text(self._mouth_checksum(), encoding="utf-8")

    def still_holds(self, avatar: Avatar) -> bool:
        """Whether a measured style is still valid: it belongs to the network that computed it.

        With another mouth network the film is measured again. An imported person names no network and stays valid.
        """
        known_by = avatar.engine_file(NAME, KNOWN_BY)
        return not known_by.is_file() or known_by.read_text(encoding="utf-8") == self._mouth_checksum()

    def _mouth_checksum(self) -> str:
        """Return the checksum of the mouth network that persons are measured for, "" if it is missing."""
        mouth = self.files().get(MOUTHS[Generation.MINI2])
        return "" if mouth is None else file_sha256(mouth)

    def open(self, avatar: Avatar, context: SessionContext = DEFAULT_CONTEXT) -> "DhliveSession":
        self.check_avatar(avatar)
        from engines.dhlive.mouth import Mouth
        from engines.dhlive.session import DhliveSession

        options = context.options or self.options()
        assert isinstance(options, DhliveOptions)
        person = kept_person(avatar)
        mouth = Mouth.shared(person.generation, self.files(), self.settings().device)
        return DhliveSession(avatar, person, mouth, options, context)

    def draw_batch(
        self, sessions: Sequence[EngineSession], inputs: Sequence[Driving | VoiceBlock]
    ) -> list[list[RoiFrame]]:
        """Return the faces of several sessions, drawn in one call of the network."""
        from engines.dhlive.session import DhliveSession, draw

        shots = []
        for session, each in zip(sessions, inputs, strict=True):
            assert isinstance(session, DhliveSession)
            shots.append([] if isinstance(each, Driving) else [(session, shot) for shot in session.shots(each)])
        drawn = iter(draw([shot for each in shots for shot in each]))
        return [[next(drawn) for _ in each] for each in shots]


def kept_person(avatar: Avatar) -> Person:
    """Return the person that `prepare` stored with an avatar. Raises StudioError."""
    path = avatar.engine_file(NAME, FILE)
    if not path.is_file():
        raise StudioError(f"Avatar '{avatar.name}' has not been prepared for DH_live; open it once with this engine.")
    return read_person(path)
