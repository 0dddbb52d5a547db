"""The `dhlive_old` engine: DH_live's first network, 36 GMAC per frame. Offline, and live if there is a GPU."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from engines.api import DEFAULT_CONTEXT, EngineInfo, PrepareProgress, SessionContext
from engines.dhlive.file_names import MEAN_FACE, MOUTH_SHAPES, MOUTHS, OLD_AUDIO
from engines.dhlive.files import present
from engines.dhlive.filmed_engine import FilmedFaceEngine
from engines.dhlive.generation import Generation
from engines.dhlive.old.face import FILE, OldFace, read_points, write_points
from engines.dhlive.old.settings import OldDhliveSettings
from engines.dhlive.voice.sound import VOICE_AHEAD_US
from shared.avatar.model import Avatar
from shared.weights.manifest import OFFICIAL

if TYPE_CHECKING:
    from engines.dhlive.networks.old import OldNetwork
    from engines.dhlive.old.session import OldSession

NAME = "dhlive_old"
INFO = EngineInfo(
    name=NAME,
    title="DH_live, the old network",
    inputs=frozenset({"voice"}),
    modes=frozenset({"offline"}),
    output="region",
    voice_ahead_us=VOICE_AHEAD_US,
    depends_on="motion",
)


class OldDhliveEngine(FilmedFaceEngine):
    """Engine that draws the lower half of a filmed face, at 256 pixels a side."""

    info = INFO
    Settings = OldDhliveSettings
    weights_manifest = OFFICIAL / "dhlive_old.toml"
    measured_file = FILE

    def __init__(self) -> None:
        if self.settings().device.startswith("cuda"):
            self.info = replace(INFO, modes=frozenset({"live", "offline"}))

    def settings(self) -> OldDhliveSettings:
        return OldDhliveSettings.load()

    def measure(self, avatar: Avatar, kept: Path, progress: PrepareProgress) -> None:
        from engines.dhlive.asset.film import shown_points

        write_points(kept, shown_points(avatar, progress))

    def open(self, avatar: Avatar, context: SessionContext = DEFAULT_CONTEXT) -> "OldSession":
        self.check_avatar(avatar)
        from engines.dhlive.asset.film import read_mean_face
        from engines.dhlive.asset.mouth_shapes import MouthShapes
        from engines.dhlive.networks.checkpoints import load_audio
        from engines.dhlive.old.session import OldSession
        from engines.torch_device import pick_device

        files, plate = self.files(), avatar.plate
        points = read_points(avatar.engine_file(NAME, FILE), len(plate), avatar.name)
        mean = read_mean_face(present(files, MEAN_FACE))
        face = OldFace.placed(points, mean, plate.width, plate.height, avatar.name)
        device = pick_device(self.settings().device, "set STUDIO_DHLIVE_OLD_DEVICE to cpu")
        audio, shapes = load_audio(present(files, OLD_AUDIO)), MouthShapes.read(present(files, MOUTH_SHAPES))
        return OldSession(avatar, face, self.network(files).to(device), audio, shapes, context)

    def network(self, files: dict[str, Path]) -> "OldNetwork":
        """Load the network from one of these files, in evaluation mode. Raises StudioError."""
        from engines.dhlive.networks.checkpoints import load_old

        return load_old(present(files, MOUTHS[Generation.OLD]))
